"""Feed-forward: four layers, one by one
=====================================

What a network does to its input: each layer multiplies, adds, bends, and hands the result to the next.

::

    python examples/feedforward.py

Four rows of two numbers go through layers of 32, 16, 8 and 4 units, with four activations: sigmoid, softmax,
tanh and relu. Nothing is trained yet. The picture needs matplotlib.
"""

import numpy as np

import fastnn as fn

rng = np.random.default_rng(4)
X = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
units, activations = [32, 16, 8, 4], ["sigmoid", "softmax", "tanh", "relu"]
layers = [fn.Dense(n, activation) for n, activation in zip(units, activations, strict=True)]
model = fn.Model(layers, loss="mse", dtype="float64").build(2)
for layer in model.layers:  # weights of a standard normal distribution
    layer.weights = rng.standard_normal(layer.weights.shape)
    layer.bias = rng.standard_normal(layer.bias.shape)

# %%
# In NumPy a layer is a line: ``activation(x @ weights + bias)``.
BENT = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
}
outputs, x = [], X
for layer, activation in zip(model.layers, activations, strict=True):
    by_hand = BENT[activation](x @ layer.weights + layer.bias)
    x = layer(x)
    outputs.append(x)
    print(f"{activation:8} {x.shape}, largest difference from NumPy {np.abs(x - by_hand).max():.1e}")
print("the model, all layers at once:")
print(np.round(model.predict(X), 3))

# %%
# What each layer hands on. The first and the last row of the input are the same, and so are their rows
# everywhere.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(5, 1, figsize=(8, 6), layout="constrained")
names = ["input"] + [f"{name}, {n} units" for name, n in zip(activations, units, strict=True)]
for axes, values, name in zip(panels, [X, *outputs], names, strict=True):
    image = axes.imshow(values, cmap="viridis", aspect="auto")
    axes.set(title=name, ylabel="row", xticks=[], yticks=range(4))
    figure.colorbar(image, ax=axes, pad=0.01)
figure.savefig("feedforward.png", dpi=120)
print("feedforward.png")
