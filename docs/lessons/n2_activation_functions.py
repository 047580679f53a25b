"""
2. Activation functions
=======================

Between two layers each number goes through a function that is not a straight line. Which ones are used, what
they look like, and why their slope matters as much as they do.
"""

# %%
# The usual ones
# --------------
#
# .. math::
#
#    \text{sigmoid}(x) = \frac{1}{1 + e^{-x}}, \qquad
#    \tanh(x) = \frac{e^x - e^{-x}}{e^x + e^{-x}}, \qquad
#    \text{relu}(x) = \max(0, x)
#
# The sigmoid gives numbers between 0 and 1, as probabilities are; tanh is its larger sibling, between -1
# and 1 and symmetrical; relu costs nothing and does not flatten on the right.

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

x = np.linspace(-5, 5, 400)
functions = {
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x, y: y * (1 - y)),
    "tanh": (np.tanh, lambda x, y: 1 - y * y),
    "relu": (lambda x: np.maximum(x, 0), lambda x, y: (x > 0).astype(float)),
}
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for ax, (name, (f, slope)) in zip(axes, functions.items(), strict=True):
    y = f(x)
    ax.plot(x, y, color="C0", label="value")
    ax.plot(x, slope(x, y), color="C1", linestyle="--", label="slope")
    ax.set(title=name, xlabel="x", ylim=(-1.1, 2))
    ax.legend()
plt.show()

# %%
# In all three cases the slope can be computed from the *value*: :math:`y (1 - y)`, :math:`1 - y^2`, and
# whether :math:`y` is positive. So the forward pass has already done most of the work of the backward pass.
#
# In fastnn they are layers, or arguments of a layer. These are the two functions behind ``"sigmoid"``:
#
# .. literalinclude:: ../../kernels/layers/activation.py
#    :pyobject: _sigmoid
#
# .. literalinclude:: ../../kernels/layers/activation.py
#    :pyobject: _sigmoid_derivative

for name, (f, _) in functions.items():
    y = fn.Activation(name)(x[:, None].astype(np.float64))
    assert np.allclose(y[:, 0], f(x), atol=1e-6), name

# %%
# Why slopes matter
# -----------------
#
# A network learns from slopes that are multiplied, layer by layer (the next page shows how). That of the
# sigmoid is at most a quarter, so ten layers leave a millionth at best. This is called a vanishing gradient:

X = np.random.default_rng(0).normal(size=(200, 8))
depths = range(1, 21)
for name, style in (("sigmoid", "C1--"), ("tanh", "C2-."), ("relu", "C0-")):
    sizes = []
    for depth in depths:
        initializer = "he_normal" if name == "relu" else "glorot_normal"
        layers = [fn.Dense(64, name, kernel_initializer=initializer) for _ in range(depth)]
        model = fn.Model([*layers, fn.Dense(1)], loss="mse", seed=0).build(8)
        model.loss_and_gradient(X, X[:, :1])
        gradient = model.loss_and_gradient(X, X[:, :1])[1]
        sizes.append(np.linalg.norm(gradient[: 8 * 64]) + 1e-30)  # of the first layer's weights
    plt.semilogy(depths, sizes, style, label=name)
plt.gcf().set_size_inches(7, 3.5)
plt.xticks(range(2, 21, 2))
plt.xlabel("hidden layers")
plt.ylabel("gradient of the first layer")
plt.legend()
plt.show()

# %%
# This is why hidden layers use relu or its smooth relatives, gelu and silu, in deep networks, tanh in
# shallow ones, and the sigmoid only at the end.
#
# Two units that bend
# -------------------
#
# A sum of bent lines can be any curve; the more units, the closer. A network with one hidden layer, of 1,
# 2, 4 and 16 units, learns a wave:

wave_x = np.linspace(-3, 3, 300)[:, None]
wave_y = np.sin(2 * wave_x)
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), sharey=True, layout="constrained")
for ax, units in zip(axes, (1, 2, 4, 16), strict=True):
    model = fn.Model([fn.Dense(units, "tanh"), fn.Dense(1)], "mse", fn.Adam(0.02), seed=1)
    model.fit(wave_x, wave_y, epochs=600, batch_size=50)
    ax.plot(wave_x, wave_y, color="0.5", linewidth=3)
    ax.plot(wave_x, model.predict(wave_x), color="C0")
    ax.set_title(f"{units} unit" + "s" * (units > 1))
plt.show()
assert model.evaluate(wave_x, wave_y)["loss"] < 0.05
