"""Handwritten digits, and a race with NumPy
=========================================

A network learns to read handwritten digits, and races the same training written in plain NumPy.

::

    python examples/digits.py [--epochs 30]

A quarter of the 1797 pictures is held out: the network never trains on them, and its accuracy is counted
there. The other pictures are shown five times, in place and moved by one pixel in each direction, because a
digit is the same digit a little to the side: that takes the accuracy from about 97 % to about 98.5 %.
"""

import argparse
import time

import numpy as np
from plain_numpy import PlainNetwork

import fastnn as fn

BATCH_SIZE = 32
SGD = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-3}


def load():
    """Return the pictures to learn from and the held-out quarter, each as (X, y)."""
    X, y = fn.datasets.digits()
    X /= 16  # pixels from 0 to 1
    order = np.random.default_rng(0).permutation(len(X))
    held_out, rest = order[: len(X) // 4], order[len(X) // 4 :]
    return (X[rest], y[rest]), (X[held_out], y[held_out])


def with_shifted(X, y):
    """Return the pictures of 8 x 8 pixels together with their shifts by one pixel to all four sides."""
    framed = np.pad(X.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    shifts = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    pictures = [framed[:, top : top + 8, left : left + 8].reshape(-1, 64) for top, left in shifts]
    return np.concatenate(pictures), np.tile(y, len(shifts))


def build():
    """Return a network for 8 x 8 pixels and ten digits."""
    model = fn.Model(
        [fn.Dense(64, "relu"), fn.Dense(32, "relu"), fn.Dense(10)],
        loss="cross_entropy",
        optimizer=fn.SGD(**SGD),
        seed=0,
    )
    model.build(64)
    return model


def train_fastnn(model, train, held_out, epochs, verbose):
    """Train, and return the history and the seconds it took."""
    start = time.perf_counter()
    history = model.fit(
        *train, epochs=epochs, batch_size=BATCH_SIZE, validation_data=held_out, verbose=verbose
    )
    return history.history, time.perf_counter() - start


def train_numpy(weights, train, held_out, epochs):
    """Train the same network from the same weights in NumPy; return its accuracy and the seconds it took."""
    network = PlainNetwork(weights, BATCH_SIZE)
    start = time.perf_counter()
    curve = network.fit(*train, held_out, epochs, **SGD)
    return curve[-1], time.perf_counter() - start


def draw(history, path):
    """Draw loss and accuracy by epoch, if matplotlib is installed; return whether it is."""
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        return False
    plt.rcParams.update(fn.plot.style())
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    epochs = range(1, len(history["loss"]) + 1)
    for axes, name in zip(panels, ["loss", "accuracy"], strict=True):
        axes.plot(epochs, history[name], color="C0", label="training")
        axes.plot(epochs, history[f"val_{name}"], "--", color="C1", label="held out")
        axes.set(xlabel="epoch", ylabel=name)
        axes.legend()
    figure.savefig(path, dpi=150)
    return True


def main():
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description="Learn to read handwritten digits.")
    parser.add_argument("--epochs", type=int, default=30)
    epochs = parser.parse_args().epochs

    original, held_out = load()
    train = with_shifted(*original)
    print(f"{len(original[0])} handwritten digits to learn from ({len(train[0])} with their shifts),")
    print(f"{len(held_out[0])} held out to be tested on.\n")

    # The first run on a machine compiles the kernels; a throw-away model does that outside the race.
    _, seconds = train_fastnn(build(), (train[0][:100], train[1][:100]), held_out, epochs=1, verbose=0)
    print(f"compiling kernels (first run only): {seconds:.2f} s\n")

    model = build()
    first_weights = [(layer.weights.copy(), layer.bias.copy()) for layer in model.layers]
    history, fastnn_seconds = train_fastnn(model, train, held_out, epochs, verbose=1)
    accuracy = model.evaluate(*held_out)["accuracy"]
    numpy_accuracy, numpy_seconds = train_numpy(first_weights, train, held_out, epochs)

    steps = epochs * -(-len(train[0]) // BATCH_SIZE)
    print(f"\n64-64-32-10 network, {epochs} epochs, {steps} steps on batches of {BATCH_SIZE}:\n")
    print("               test accuracy   training time")
    print(f"  fastnn             {accuracy:7.2%}     {fastnn_seconds:7.3f} s")
    print(f"  plain NumPy        {numpy_accuracy:7.2%}     {numpy_seconds:7.3f} s")
    print(f"\nfastnn is {numpy_seconds / fastnn_seconds:.1f} times as fast as plain NumPy.")

    path = "digits_learning_curve.png"
    if draw(history, path):
        print(f"The learning curve is in {path}.")
    else:
        print("For a picture of the learning curve, install matplotlib.")


if __name__ == "__main__":
    main()
