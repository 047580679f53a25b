"""Noise removed from digits: a denoising autoencoder
==================================================

A convolutional network learns to remove noise from handwritten digits: it is shown each digit with noise, and
has to draw it without.

::

    python examples/autoencoder.py [--epochs 40]

P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, *Extracting and composing robust features with denoising
autoencoders*, ICML 2008. The picture needs matplotlib.
"""

import argparse

import numpy as np

import fastnn as fn

parser = argparse.ArgumentParser(description="Remove noise from handwritten digits.")
parser.add_argument("--epochs", type=int, default=40)
epochs = parser.parse_args().epochs

rng = np.random.default_rng(0)
X, _ = fn.datasets.digits()
X = X.reshape(-1, 8, 8, 1) / 16
train, test = X[:1348], X[1348:]


def noisy(images):
    """The images with normal noise of standard deviation 0.4."""
    return (images + rng.normal(0.0, 0.4, images.shape)).astype(np.float32)


# %%
# From 64 pixels to 2 x 2 x 16 numbers, and back.
model = fn.Model(
    [
        fn.Conv2D(16, 3, padding="same", activation="relu"),
        fn.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        fn.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        fn.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
        fn.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
        fn.Conv2D(1, 3, padding="same"),
    ],
    loss="mse",
    optimizer=fn.Adam(fn.schedules.cosine(3e-3, steps=epochs * 4 * 22)),
    seed=0,
)
copies = np.concatenate([train] * 4)  # each with noise of its own
model.fit(noisy(copies), copies, epochs=epochs, batch_size=256)

given = noisy(test)
cleaned = model.predict(given)
before, after = (float(np.mean((images - test) ** 2)) for images in (given, cleaned))
print(f"mean squared error on digits it has not seen: {before:.4f} with noise, {after:.4f} without")

# %%
# Eight digits that it has not seen.
try:
    import matplotlib  # noqa: F401
except ImportError:
    print("For a picture, install matplotlib.")
else:
    pictures = np.concatenate([test[:8], given[:8], cleaned[:8]])
    axes = fn.plot.images(pictures, columns=8)
    for axis, name in zip(axes[::8], ["digit", "with noise", "cleaned"], strict=True):
        axis.set_ylabel(name)
    axes[0].figure.savefig("autoencoder.png", dpi=150)
    print("autoencoder.png")
