"""Weights of hidden units
=======================

The pictures that the hidden units of a network look for in handwritten digits.

A program with cells (# %%), which notebooks and editors run one by one. It needs matplotlib.
"""

# %%
import matplotlib.pyplot as plt

import fastnn as fn

X, y = fn.datasets.digits()
layers = [fn.MinMax(), fn.Dense(16, "relu", l2=1e-3), fn.Dense(10)]
model = fn.Model(layers, loss="cross_entropy", seed=0)
model.fit(X, y, epochs=40)
print(f"accuracy {model.evaluate(X, y)['accuracy']:.3f}")

# %%
# The weights of each dense layer: a row is an input, a column a unit; blue is negative, orange positive.
axes = fn.plot.weights(model)
axes[0].figure.savefig("weights.png", dpi=150)
print("weights.png")

# %%
# The inputs of the first layer are the pixels of a picture, and so are its columns.
weights = model.layers[1].weights
limit = abs(weights).max()
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(2, 8, figsize=(8, 2.2), layout="constrained")
for panel, column in zip(panels.flat, weights.T, strict=True):
    panel.imshow(column.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
    panel.set_axis_off()
figure.suptitle("What each hidden unit looks for")
figure.savefig("units.png", dpi=150)
print("units.png")
