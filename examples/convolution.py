"""What a convolution sees: digits by a small network
==================================================

A convolutional network is trained in seconds, reads 99 % of the held-out digits, and shows what its first
layer makes of one.

::

    python examples/convolution.py [--epochs 20]

A program with cells (# %%), which notebooks and editors run one by one. The picture needs matplotlib.
"""

# %%
import argparse
import time

import numpy as np

import fastnn as fn

parser = argparse.ArgumentParser(description="Read handwritten digits by a convolutional network.")
parser.add_argument("--epochs", type=int, default=20)
epochs = parser.parse_args().epochs

X, y = fn.datasets.digits()
X = X.reshape(-1, 8, 8, 1) / 16
order = np.random.default_rng(0).permutation(len(X))
held_out, rest = order[: len(X) // 4], order[len(X) // 4 :]

# %%
# A digit is the same digit a pixel to the side: each picture is shown five times.
framed = np.pad(X[rest], ((0, 0), (1, 1), (1, 1), (0, 0)))
places = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
shifted = np.concatenate([framed[:, i : i + 8, j : j + 8] for i, j in places])
labels = np.tile(y[rest], len(places))

# %%
steps = epochs * -(-len(shifted) // 64)


def build():
    """A new network."""
    layers = [
        fn.Conv2D(16, 3, padding="same", activation="relu"),
        fn.Conv2D(32, 3, activation="relu"),
        fn.MaxPooling2D(2),
        fn.Flatten(),
        fn.Dropout(0.4),
        fn.Dense(64, "relu"),
        fn.Dense(10),
    ]
    return fn.Model(layers, "cross_entropy", fn.Adam(fn.schedules.cosine(3e-3, steps=steps)), seed=0)


build().fit(shifted[:64], labels[:64], epochs=1)  # the first run on a machine compiles the kernels
model = build()
start = time.perf_counter()
model.fit(shifted, labels, epochs=epochs, batch_size=64)
model.summary()
print(f"{epochs} epochs of {len(shifted)} pictures in {time.perf_counter() - start:.1f} s")
print(
    f"accuracy on {len(held_out)} held-out digits: {model.evaluate(X[held_out], y[held_out])['accuracy']:.2%}"
)

# %%
# What the first layer makes of a digit: one picture per filter.
try:
    import matplotlib  # noqa: F401
except ImportError:
    print("For a picture of the first layer's outputs, install matplotlib.")
else:
    digit = X[held_out[0]]
    [maps] = model.outputs(digit, layers=[0])
    pictures = np.concatenate([digit[..., 0][np.newaxis], np.moveaxis(maps, -1, 0)])
    axes = fn.plot.images(pictures, titles=["a digit", *range(16)], columns=6)
    axes[0].figure.savefig("feature_maps.png", dpi=150)
    print("feature_maps.png")
