"""Very deep networks: a plain one learns nothing, one of residual blocks learns as well as a shallow one.

python examples/residual.py [--epochs 60]
"""

import argparse

import fastnn as fn

parser = argparse.ArgumentParser(description="Train deep networks with and without residual blocks.")
parser.add_argument("--epochs", type=int, default=60)
epochs = parser.parse_args().epochs

X, y = fn.datasets.spiral(samples=100, classes=3, seed=0)


def plain(depth):
    """Hidden layers in a row."""
    return [fn.Dense(32, "relu") for _ in range(depth)]


def residual(depth):
    """As many layers, but what each pair of them computes is added to its input.

    Through the sums the gradient reaches the first layers as if there were no others in between.
    """
    layers = [fn.Dense(32)]
    for _ in range(depth // 2):
        layers.append(fn.Residual([fn.LayerNormalization(), fn.Dense(32, "relu"), fn.Dense(32)]))
    return layers


def accuracy(hidden):
    model = fn.Model([*hidden, fn.Dense(3)], loss="cross_entropy", optimizer=fn.Adam(3e-3), seed=0)
    model.fit(X, y, epochs=epochs, batch_size=25, verbose=0)
    return model.evaluate(X, y)["accuracy"]


fn.Model([*residual(2), fn.Dense(3)], seed=0).build(2).summary()

print(f"\naccuracy on three spirals after {epochs} epochs; a guess would be right in 33.3%\n")
print("hidden layers     plain  residual")
for depth in (4, 16, 64):
    print(f"{depth:13}{accuracy(plain(depth)):10.1%}{accuracy(residual(depth)):10.1%}")
