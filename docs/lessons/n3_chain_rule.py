"""
3. The chain rule
=================

How a network finds out in which direction to change each of its weights: backpropagation.
"""

# %%
# How wrong it is
# ---------------
#
# The loss is one number that says how wrong the outputs are. For values it is often the mean of the squared
# errors:
#
# .. math:: L = \frac{1}{n} \sum_i (\hat y_i - y_i)^2
#
# Learning means making it smaller. The gradient says, for each weight, how much the loss grows when that
# weight grows; so each weight is changed a little in the opposite direction:
#
# .. math:: w \leftarrow w - \eta \, \frac{\partial L}{\partial w}

import numpy as np

import fastnn as fn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=float)
y = np.array([[0], [1], [1], [0]], dtype=float)  # exclusive or of the first two
rng = np.random.default_rng(1)
W1, W2 = rng.uniform(-1, 1, (3, 4)), rng.uniform(-1, 1, (4, 1))

# %%
# Forward
# -------

h = sigmoid(X @ W1)
out = sigmoid(h @ W2)
loss = np.mean((out - y) ** 2)
print(loss)

# %%
# Backward
# --------
#
# The chain rule says: the derivative of a function of a function is the product of the two derivatives.
# From the end to the beginning, with :math:`\hat y = \sigma(z_2)`, :math:`z_2 = h W_2`, :math:`h =
# \sigma(z_1)`, :math:`z_1 = X W_1`:
#
# .. math::
#
#    \delta_2 &= \frac{\partial L}{\partial z_2} = \frac{2}{n} (\hat y - y) \cdot \hat y (1 - \hat y) \\
#    \frac{\partial L}{\partial W_2} &= h^T \delta_2 \\
#    \delta_1 &= \frac{\partial L}{\partial z_1} = \delta_2 W_2^T \cdot h (1 - h) \\
#    \frac{\partial L}{\partial W_1} &= X^T \delta_1
#
# The :math:`\delta` are called error terms. The error of the output goes back to the hidden units through
# the same weights that led from them to the output, hence the name backpropagation.

delta2 = 2 / y.size * (out - y) * out * (1 - out)
dW2 = h.T @ delta2
delta1 = (delta2 @ W2.T) * h * (1 - h)
dW1 = X.T @ delta1

# %%
# Is it right?
# ------------
#
# A gradient can always be checked: move one weight a little, and see how much the loss changes.

W1[0, 2] += 1e-6
moved = np.mean((sigmoid(sigmoid(X @ W1) @ W2) - y) ** 2)
W1[0, 2] -= 1e-6
print(dW1[0, 2], (moved - loss) / 1e-6)
assert np.isclose(dW1[0, 2], (moved - loss) / 1e-6, rtol=1e-4)

# %%
# The same with fastnn
# --------------------

layers = [fn.Dense(4, "sigmoid", use_bias=False), fn.Dense(1, "sigmoid", use_bias=False)]
model = fn.Model(layers, loss="mse", optimizer=fn.SGD(10.0), dtype="float64", seed=1).build(3)
model.layers[0].weights, model.layers[1].weights = W1, W2
loss_there, gradient = model.loss_and_gradient(X, y)
assert np.isclose(loss, loss_there)
assert np.allclose(gradient, np.concatenate([dW1.ravel(), dW2.ravel()]))

# %%
# ``gradient`` is the vector of all derivatives, in the order of ``model.parameters``. The two kernels
# behind it are those of the formulas above: a layer's weights get :math:`X^T \delta`, and what is before
# the layer gets :math:`\delta W^T`.
#
# .. literalinclude:: ../../kernels/layers/dense.py
#    :pyobject: dense_backward_input
#
# .. literalinclude:: ../../kernels/layers/dense.py
#    :pyobject: dense_backward_weights

# %%
# Learning
# --------
#
# Ten thousand times the same: forward, backward, and a step against the gradient.

losses = []
for _ in range(10_000):
    h = sigmoid(X @ W1)
    out = sigmoid(h @ W2)
    losses.append(np.mean((out - y) ** 2))
    delta2 = 2 / y.size * (out - y) * out * (1 - out)
    delta1 = (delta2 @ W2.T) * h * (1 - h)
    W2 -= 10.0 * h.T @ delta2
    W1 -= 10.0 * X.T @ delta1
print(out.ravel().round(3))

history = model.fit(X, y, epochs=10_000, batch_size=4, shuffle=False)
print(model.predict(X).ravel().round(3))
assert np.allclose(model.predict(X), sigmoid(sigmoid(X @ W1) @ W2), atol=1e-6)

import matplotlib.pyplot as plt

plt.rcParams.update(fn.plot.style())
plt.figure(figsize=(7, 3.5))
plt.loglog(np.arange(1, 10_001), losses, color="0.5", linewidth=5, label="NumPy")
plt.loglog(np.arange(1, 10_001), history.history["loss"], color="C0", label="fastnn")
plt.xlabel("step")
plt.ylabel("loss")
plt.legend()
plt.show()

# %%
# Both take the same steps. The loop above returns to Python a dozen times in each step;
# :meth:`fastnn.Model.fit` is one compiled call for all of them.
