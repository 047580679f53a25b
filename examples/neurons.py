"""Neurons one by one
==================

A single sigmoid neuron, and three neurons with given weights that a pencil can follow.

::

    python examples/neurons.py

A neuron multiplies its inputs by weights, adds them up with a bias, and passes the sum through an activation.
The picture needs matplotlib.
"""

import numpy as np

import fastnn as fn

# %%
# A neuron with five inputs is a dense layer of one unit.
rng = np.random.default_rng(7)
features, weights, bias = rng.standard_normal((1, 5)), rng.standard_normal((5, 1)), rng.standard_normal(1)
neuron = fn.Model([fn.Dense(1, "sigmoid")], loss="mse", dtype="float64").build(5)
neuron.layers[0].weights, neuron.layers[0].bias = weights, bias
total = features @ weights + bias
print(f"the weighted sum is {total.item():.4f}")
print(f"by hand {1 / (1 + np.exp(-total)).item():.6f}")
print(f"fastnn  {neuron(features).item():.6f}")

# %%
# Two relu neurons and an output, all without biases. For the inputs 2 and 3 the sum of the first neuron is
# 2 * 2 + 4 * 3 = 16. That of the second is 4 * 2 - 5 * 3 = -7, so it gives 0; and 2 * 16 + 7 * 0 = 32.
network = fn.Model(
    [fn.Dense(2, "relu", use_bias=False), fn.Dense(1, use_bias=False)], loss="mse", dtype="float64"
).build(2)
hidden, output = network.layers
hidden.weights = np.array([[2.0, 4.0], [4.0, -5.0]]).T  # written with a row for each neuron
output.weights = np.array([[2.0], [7.0]])
inputs = np.array([[2.0, 3.0]])
print("hidden", hidden(inputs)[0], "output", network(inputs)[0])

# %%
# Each relu neuron is flat on one side of a line and rises on the other. The output is their weighted sum.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
a, b = np.meshgrid(np.linspace(-4, 4, 81), np.linspace(-4, 4, 81))
plane = np.column_stack([a.ravel(), b.ravel()])
figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
titles = ["first neuron", "second neuron", "output"]
for axes, title, values in zip(panels, titles, [*hidden(plane).T, network(plane)[:, 0]], strict=True):
    contours = axes.contourf(a, b, values.reshape(a.shape), levels=12, cmap="viridis")
    axes.plot(*inputs[0], "o", color="white", markeredgecolor="black")
    axes.set(title=title, xlabel="first input", ylabel="second input", aspect="equal")
    figure.colorbar(contours, ax=axes)
figure.savefig("neurons.png", dpi=120)
print("neurons.png")
