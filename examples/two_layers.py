"""One sigmoid layer, then two
===========================

The networks of many a first tutorial: a single layer copies a column, and a second layer computes exclusive
or.

::

    python examples/two_layers.py

Four rows of three numbers, of which the last is always 1 and takes the place of a bias; sigmoid layers
without biases, plain gradient descent on the sum of squared errors. The picture needs matplotlib.
"""

import numpy as np

import fastnn as fn

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
first_column, exclusive_or = np.array([[0, 0, 1, 1]]).T, np.array([[0, 1, 1, 0]]).T
EPOCHS = 2000


def train(units, y, seed):
    """Train a network from random weights between -1 and 1; its outputs after each epoch, (epochs, 4)."""
    rng = np.random.default_rng(seed)
    layers = [fn.Dense(n, "sigmoid", use_bias=False) for n in units]
    model = fn.Model(layers, "sse", fn.SGD(0.5), dtype="float64").build(3)
    for layer in model.layers:
        layer.weights = rng.uniform(-1, 1, layer.weights.shape)
    outputs = []
    for _ in range(EPOCHS):
        outputs.append(model.predict(X)[:, 0])
        model.partial_fit(X, y)  # a step on all four rows
    return np.array(outputs)


# %%
# A single layer is enough where one column of the input says it all, and not for exclusive or; with four
# hidden units in between that is learned as well.
tasks = {
    "one layer, first column": train([1], first_column, 1),
    "one layer, exclusive or": train([1], exclusive_or, 1),
    "two layers, exclusive or": train([4, 1], exclusive_or, 1),
}
for name, outputs in tasks.items():
    print(f"{name:25}", *(f"{output:.3f}" for output in outputs[-1]))

# %%
# The output for each of the four rows while the networks learn.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
styles = [("C0", "-"), ("C1", "--"), ("C2", "-."), ("C6", ":")]
for axes, (name, outputs) in zip(panels, tasks.items(), strict=True):
    for row, curve, (colour, line) in zip(X, outputs.T, styles, strict=True):
        axes.plot(curve, line, color=colour, label=f"{row[0]}, {row[1]}")
    axes.set(title=name, xlabel="epoch", ylim=(-0.03, 1.03))
panels[0].set_ylabel("output")
panels[-1].legend(title="input", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
figure.savefig("two_layers.png", dpi=120)
print("two_layers.png")
