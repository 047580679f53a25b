"""Exclusive or needs a hidden layer
=================================

The smallest problem that one neuron cannot solve.

::

    python examples/xor.py

One neuron draws one straight line, and no line separates (0, 1) and (1, 0) from (0, 0) and (1, 1). The best
it can do is to say 0.5 everywhere. A hidden layer bends the plane first; then a line is enough. The picture
needs matplotlib.
"""

import numpy as np

import fastnn as fn

X, y = fn.datasets.xor()


def train(layers):
    """Train a network on the four rows; return it, and the probability of a 1 that it gives to each."""
    # The last layer gives a logit: the loss takes it as it is, and a sigmoid makes a probability of it.
    model = fn.Model(layers, loss="binary_cross_entropy", optimizer=fn.Adam(0.05), seed=0)
    history = model.fit(X, y, epochs=1000, batch_size=None, verbose=0)
    print(f"  loss {history.history['loss'][0]:.3f} at first, {history.history['loss'][-1]:.3f} at last")
    return model, 1 / (1 + np.exp(-model.predict(X)))


# %%
# One neuron, and eight with one behind them.
models = {}
for title, layers in [
    ("one neuron", [fn.Dense(1)]),
    ("8 hidden neurons", [fn.Dense(8, "tanh"), fn.Dense(1)]),
]:
    print(f"{title}:")
    models[title], probabilities = train(layers)
    for (a, b), target, probability in zip(X, y, probabilities, strict=True):
        print(f"  {a:.0f} xor {b:.0f} = {target.item():.0f}   predicted {probability.item():.3f}")

# %%
# What both say of the whole plane: where the output changes its sign is the border.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for axes, (title, model) in zip(panels, models.items(), strict=True):
    fn.plot.decision_boundary(model, X, y, ax=axes)
    axes.set(title=title, aspect="equal")
figure.savefig("xor.png", dpi=120)
print("xor.png")
