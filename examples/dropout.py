"""Dropout in a network for pictures
=================================

Pictures of 28 x 28 pixels go through hidden layers of 128 and 64 units with dropout after each. Training is
plain gradient descent with a small learning rate.

::

    python examples/dropout.py [--epochs 30]

The pictures are the small handwritten digits, enlarged. The picture needs matplotlib.
"""

import argparse

import numpy as np

import fastnn as fn

parser = argparse.ArgumentParser(description="Train a network with dropout.")
parser.add_argument("--epochs", type=int, default=30)
epochs = parser.parse_args().epochs

X, y = fn.datasets.digits()
large = np.kron(X.reshape(-1, 8, 8) / 16, np.ones((3, 3)))
X = np.pad(large, ((0, 0), (2, 2), (2, 2))).reshape(-1, 28 * 28)
order = np.random.default_rng(0).permutation(len(X))
train, test = order[450:], order[:450]

# %%
# The last layer gives logarithms of probabilities, and the loss "nll" is the negative logarithm of the right
# class; both together are what "cross_entropy" is for a layer without an activation.
histories = {}
for rate in (0.0, 0.2):
    layers = [
        *(fn.Dense(128, "relu"), fn.Dropout(rate)),
        *(fn.Dense(64, "relu"), fn.Dropout(rate)),
        fn.Dense(10, "log_softmax"),
    ]
    model = fn.Model(layers, loss="nll", optimizer=fn.SGD(0.003), metrics=["accuracy"], seed=0)
    history = model.fit(
        X[train], y[train], epochs=epochs, batch_size=16, validation_data=(X[test], y[test]), verbose=0
    )
    histories[rate] = history.history
    last = {name: values[-1] for name, values in history.history.items()}
    print(f"dropout {rate}: accuracy {last['accuracy']:.1%} in training, {last['val_accuracy']:.1%} held out")

probabilities = np.exp(model.predict(X[test[:1]]))[0]
print(f"a {y[test[0]]} is read as {probabilities.argmax()}, with probability {probabilities.max():.2f}")

# %%
# Dropout sets a fifth of the hidden outputs to zero, others at each step. So it is harder in training than on
# the digits that are held out, for which all units are there.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
for axes, (rate, history) in zip(panels, histories.items(), strict=True):
    axes.plot(history["accuracy"], color="C0", label="training")
    axes.plot(history["val_accuracy"], "--", color="C1", label="held out")
    axes.set(title=f"dropout {rate}" if rate else "no dropout", xlabel="epoch", ylim=(0, 1))
panels[0].set_ylabel("accuracy")
panels[1].legend(frameon=False, loc="lower right")
figure.savefig("dropout.png", dpi=120)
print("dropout.png")
