"""
1. The forward pass
===================

A network is a function: numbers go in at one end and come out at the other. This page follows them.
"""

# %%
# A unit
# ------
#
# A unit multiplies each of its inputs by a weight, adds the products, and adds a bias:
#
# .. math:: z = x_1 w_1 + x_2 w_2 + \dots + x_n w_n + b
#
# A weight says how much an input counts, and in which direction; the bias says how large the sum is when
# all inputs are zero.

import numpy as np

inputs = np.array([1.0, 2.0, 3.0, 2.5])
weights = np.array([0.2, 0.8, -0.5, 1.0])
bias = 2.0
z = 0.0
for x, w in zip(inputs, weights, strict=True):
    z += x * w
print(z + bias, inputs @ weights + bias)

# %%
# A layer
# -------
#
# A layer is several units that get the same inputs. Their weights are the columns of a matrix :math:`W`,
# and one product computes all of them: :math:`z = x W + b`. With a row for each sample, it also computes
# all samples at once:
#
# .. math:: Z = X W + b
#
# :math:`X` has the shape (samples, inputs), :math:`W` (inputs, units), :math:`b` (units) and :math:`Z`
# (samples, units).
#
# The inner sizes must be equal: as many columns in :math:`X` as rows in :math:`W`.

X = np.array([[1.0, 2.0, 3.0, 2.5], [2.0, 5.0, -1.0, 2.0], [-1.5, 2.7, 3.3, -0.8]])
W = np.array([[0.2, 0.5, -0.26], [0.8, -0.91, -0.27], [-0.5, 0.26, 0.17], [1.0, -0.5, 0.87]])
b = np.array([2.0, 3.0, 0.5])
print((X @ W + b).round(3))

# %%
# Layers in a row
# ---------------
#
# The outputs of a layer are the inputs of the next one. That is all that "feedforward" means.

W2 = np.array([[0.1, -0.5, -0.44], [-0.14, 0.12, 0.73], [0.5, -0.33, -0.13]])
b2 = np.array([-1.0, 2.0, -0.5])
hidden = X @ W + b
output = hidden @ W2 + b2
print(output.round(5))

# %%
# The same with fastnn
# --------------------
#
# A :class:`fastnn.Dense` layer has its weights in the same shape, (inputs, outputs), and can be given ours.

import fastnn as fn

model = fn.Model([fn.Dense(3), fn.Dense(3)], dtype="float64").build(4)
model.layers[0].weights, model.layers[0].bias = W, b
model.layers[1].weights, model.layers[1].bias = W2, b2
print(model.predict(X).round(5))
assert np.allclose(model.predict(X), output)

# %%
# This is the kernel behind it: one call of the matrix product, which begins each sum with the bias.
#
# .. literalinclude:: ../../kernels/layers/dense.py
#    :pyobject: dense_forward

# %%
# What such a network can be
# --------------------------
#
# Two layers of this kind are one: :math:`(X W + b) W_2 + b_2 = X (W W_2) + (b W_2 + b_2)`. However many are
# put in a row, the result is a straight line, or a plane.

assert np.allclose(output, X @ (W @ W2) + (b @ W2 + b2))

import matplotlib.pyplot as plt

rng = np.random.default_rng(3)
line = np.linspace(-2, 2, 200)[:, None]
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, activation in zip(axes, (None, "tanh"), strict=True):
    net = fn.Model([fn.Dense(16, activation), fn.Dense(16, activation), fn.Dense(1)], seed=4).build(1)
    for layer in net.layers:
        layer.bias = rng.normal(0, 0.5, layer.bias.shape)
        layer.weights = 2 * layer.weights
    ax.plot(line, net.predict(line), color="C0")
    ax.set(title=f"activation: {activation}", xlabel="input")
axes[0].set_ylabel("output")
plt.show()

# %%
# So something must bend the line between the layers: an activation function, which is the next page.
