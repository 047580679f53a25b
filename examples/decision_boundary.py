"""Decision boundaries
===================

What two networks make of the same three spirals, side by side: one without a hidden layer, one with 64 hidden
units.

A program with cells (# %%), which notebooks and editors run one by one. It needs matplotlib.
"""

# %%
import matplotlib.pyplot as plt

import fastnn as fn

X, y = fn.datasets.spiral(150, 3, seed=0)
small = fn.Model([fn.Dense(3)], loss="cross_entropy", optimizer=fn.Adam(0.03), seed=0)
large = fn.Model([fn.Dense(64, "relu"), fn.Dense(3)], loss="cross_entropy", optimizer=fn.Adam(0.03), seed=0)
fn.fit_many([small, large], X, y, epochs=150)

# %%
# Without a hidden layer the borders are straight lines.
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for ax, model, name in zip(axes, (small, large), ("no hidden layer", "64 hidden units"), strict=True):
    fn.plot.decision_boundary(model, X, y, ax=ax)
    accuracy = model.evaluate(X, y)["accuracy"]
    ax.set_title(f"{name}: {accuracy:.1%} right")
    print(f"{name}: accuracy {accuracy:.3f}")
figure.savefig("decision_boundary.png", dpi=150)
print("decision_boundary.png")
