"""Layers by hand
==============

What a layer computes, and how layers make a network.

::

    python examples/layers.py

The two layers with given weights are those of many a first tutorial. The picture needs matplotlib.
"""

import numpy as np

import fastnn as fn

np.set_printoptions(precision=5, suppress=True)

print("A dense layer multiplies by its weights and adds its bias: y = x @ weights + bias.")
print("It learns the size of its input when it first meets one, and draws its weights then.\n")
x = np.array([[0.0, 1.0]])
layer = fn.Dense(5)
y = layer(x)
print("weights", layer.weights.shape, "and bias", layer.bias.shape)
print("fastnn ", y)
print("by hand", x @ layer.weights + layer.bias)

# %%
# An activation comes after it.
print("\nAn activation bends the result, element by element:")
z = np.array([[-5.0, 10.0], [15.0, -10.0]])
print("relu of", z.tolist(), "is", fn.Activation("relu")(z).tolist())

print("\nor row by row, as softmax, which makes each row sum to one:")
probabilities = fn.Activation("softmax")(np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]))
print(probabilities, "sums", probabilities.sum(axis=1))

# %%
# Weights can be given, too.
print("\nTwo layers with given weights, for three samples of four features at once.")
model = fn.Model([fn.Dense(3), fn.Dense(3)], loss="mse", dtype="float64")
model.build(4)
first, second = model.layers
# Written with a row for each neuron, so transposed: fastnn's weights have a column for each.
first.weights = np.array([[0.2, 0.8, -0.5, 1.0], [0.5, -0.91, 0.26, -0.5], [-0.26, -0.27, 0.17, 0.87]]).T
first.bias = np.array([2.0, 3.0, 0.5])
second.weights = np.array([[0.1, -0.14, 0.5], [-0.5, 0.12, -0.33], [-0.44, 0.73, -0.13]]).T
second.bias = np.array([-1.0, 2.0, -0.5])
samples = np.array([[1.0, 2.0, 3.0, 2.5], [2.0, 5.0, -1.0, 2.0], [-1.5, 2.7, 3.3, -0.8]])
print("the network   ", *model(samples))
print("layer by layer", *second(first(samples)))

print("\nWithout an activation between them two layers are one, which is why networks have activations:")
weights = first.weights @ second.weights
bias = first.bias @ second.weights + second.bias
print("one layer     ", *(samples @ weights + bias))

# %%
# The activations bend as follows.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
z = np.linspace(-4, 4, 201)
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(1, 4, figsize=(10, 2.6), layout="constrained")
for axes, name in zip(panels, ["relu", "sigmoid", "tanh", "gelu"], strict=True):
    axes.plot(z, fn.Activation(name)(z[:, np.newaxis]), color="C0")
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set(title=name, xlabel="z")
figure.savefig("activations.png", dpi=120)
print("\nactivations.png")
