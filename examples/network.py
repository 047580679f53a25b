"""Networks as diagrams
====================

Two networks are drawn: a small one that computes exclusive or, and a large one in short.

A program with cells (# %%), which notebooks and editors run one by one. It needs matplotlib.
"""

# %%
import fastnn as fn

X, y = fn.datasets.xor()
model = fn.Model(
    [fn.Dense(4, "tanh"), fn.Dense(1)], loss="binary_cross_entropy", optimizer=fn.Adam(0.05), seed=0
)
model.fit(X, y, epochs=500, batch_size=None)
print("predicted", (model.predict(X)[:, 0] > 0).astype(int))
model  # a notebook shows its layers

# %%
# Orange lines are positive weights, blue ones negative; the thicker, the larger.
ax = fn.plot.network(model)
ax.figure.savefig("network.png", dpi=150)
print("network.png")

# %%
# Of wide layers the first and the last units are drawn.
layers = [fn.Standardize(), fn.Dense(128, "relu"), fn.Dropout(0.2), fn.Dense(64, "relu"), fn.Dense(10)]
large = fn.Model(layers, loss="cross_entropy", seed=0).build(784)
ax = fn.plot.network(large, most=8)
ax.set_title(f"{large.parameters.size:,} parameters")
ax.figure.savefig("large_network.png", dpi=150)
print("large_network.png")
