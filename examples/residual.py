"""Very deep networks need residual blocks
=======================================

A plain network of 64 layers learns nothing, one of residual blocks learns as well as a shallow one.

::

    python examples/residual.py [--epochs 60]

The picture needs matplotlib.
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


# %%
# A network of one block, and then networks of up to 64 hidden layers.
fn.Model([*residual(2), fn.Dense(3)], seed=0).build(2).summary()

print(f"\naccuracy on three spirals after {epochs} epochs; a guess would be right in 33.3%\n")
print("hidden layers     plain  residual")
depths, found = (4, 16, 64), []
for depth in depths:
    found.append((accuracy(plain(depth)), accuracy(residual(depth))))
    print(f"{depth:13}{found[-1][0]:10.1%}{found[-1][1]:10.1%}")

# %%
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for shares, name, style, colour in zip(
    zip(*found, strict=True), ("plain", "residual"), ("s--", "o-"), ("C1", "C0"), strict=True
):
    axes.plot(depths, shares, style, color=colour, label=name)
axes.axhline(1 / 3, color="0.5", linewidth=1, linestyle=":", label="a guess")
axes.set_xscale("log", base=2)
axes.set_xticks(depths, depths)
axes.set(xlabel="hidden layers", ylabel="accuracy", ylim=(0, 1.05))
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
figure.savefig("residual.png", dpi=120)
print("residual.png")
