"""Exclusive or: the smallest problem that needs a hidden layer.

    python examples/xor.py

One neuron draws one straight line, and no line separates (0, 1) and (1, 0) from (0, 0) and (1, 1). The best
it can do is to say 0.5 everywhere. A hidden layer bends the plane first; then a line is enough.
"""

import numpy as np

import fastnn as fn

X, y = fn.datasets.xor()


def train(layers):
    """Train a network on the four rows and return the probability of a 1 that it gives to each."""
    # The last layer gives a logit: the loss takes it as it is, and a sigmoid makes a probability of it.
    model = fn.Model(layers, loss="binary_cross_entropy", optimizer=fn.Adam(0.05), seed=0)
    history = model.fit(X, y, epochs=1000, batch_size=None, verbose=0)
    print(f"  loss {history.history['loss'][0]:.3f} at first, {history.history['loss'][-1]:.3f} at last")
    return 1 / (1 + np.exp(-model.predict(X)))


for title, layers in [
    ("one neuron", [fn.Dense(1)]),
    ("8 hidden neurons", [fn.Dense(8, "tanh"), fn.Dense(1)]),
]:
    print(f"{title}:")
    probabilities = train(layers)
    for (a, b), target, probability in zip(X, y, probabilities, strict=True):
        print(f"  {a:.0f} xor {b:.0f} = {target.item():.0f}   predicted {probability.item():.3f}")
