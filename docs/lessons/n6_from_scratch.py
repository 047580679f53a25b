"""
6. A network from scratch
=========================

All pieces together: a network for handwritten digits in thirty lines of NumPy, and the same with fastnn.
"""

# %%
# The data
# --------
#
# 1797 digits of 8 x 8 pixels. The last 400 are held out: what counts is how the network does on digits it
# has not seen.

import time

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.digits()
order = np.random.default_rng(0).permutation(len(X))
X, y = X[order] / 16, y[order]
train_X, train_y, test_X, test_y = X[:1397], y[:1397], X[1397:], y[1397:]

plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(1, 10, figsize=(9, 1.3))
for ax, picture, label in zip(axes, X, y, strict=False):
    ax.imshow(picture.reshape(8, 8), cmap="gray_r")
    ax.set(title=label, xticks=[], yticks=[])
plt.show()

# %%
# In NumPy
# --------
#
# 64 pixels, 64 hidden units with relu, 10 classes; batches of 32, and plain gradient descent.

rng = np.random.default_rng(1)
W1, b1 = rng.normal(0, np.sqrt(2 / 64), (64, 64)), np.zeros(64)
W2, b2 = rng.normal(0, np.sqrt(2 / 64), (64, 10)), np.zeros(10)
start = [array.copy() for array in (W1, b1, W2, b2)]


def train(epochs, rate=0.1, size=32):
    n = len(train_X) - len(train_X) % size
    losses = []
    for _ in range(epochs):
        total = 0.0
        for first in range(0, n, size):
            x, c = train_X[first : first + size], train_y[first : first + size]
            h = np.maximum(x @ W1 + b1, 0)
            z = h @ W2 + b2
            p = np.exp(z - z.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            total -= np.log(p[np.arange(size), c]).sum()
            p[np.arange(size), c] -= 1
            dz = p / size
            dh = dz @ W2.T * (h > 0)
            W2[...] -= rate * h.T @ dz
            b2[...] -= rate * dz.sum(axis=0)
            W1[...] -= rate * x.T @ dh
            b1[...] -= rate * dh.sum(axis=0)
        losses.append(total / n)
    return losses


begin = time.perf_counter()
losses = train(epochs=50)
numpy_seconds = time.perf_counter() - begin
answers = (np.maximum(test_X @ W1 + b1, 0) @ W2 + b2).argmax(axis=1)
print(f"accuracy on held-out digits: {np.mean(answers == test_y):.3f}")

# %%
# With fastnn
# -----------
#
# From the same weights, over the same batches in the same order, and so with the same result, but for
# rounding.

layers = [fn.Dense(64, "relu"), fn.Dense(10)]
model = fn.Model(layers, loss="cross_entropy", optimizer=fn.SGD(0.1), dtype="float64", seed=0).build(64)
model.layers[0].weights, model.layers[0].bias = start[:2]
model.layers[1].weights, model.layers[1].bias = start[2:]
n = len(train_X) - len(train_X) % 32
model.fit(train_X[:32], train_y[:32], epochs=0)  # so that nothing is compiled while the clock runs
begin = time.perf_counter()
history = model.fit(train_X[:n], train_y[:n], epochs=50, batch_size=32, shuffle=False, threads=1)
seconds = time.perf_counter() - begin
assert np.allclose(model.layers[0].weights, W1, atol=1e-6)
assert np.allclose(history.history["loss"], losses, atol=1e-6)
print(f"accuracy on held-out digits: {model.evaluate(test_X, test_y)['accuracy']:.3f}")
print(f"NumPy {numpy_seconds:.2f} s, fastnn {seconds:.2f} s, on the machine that made this page")

# %%
plt.figure(figsize=(7, 3.2))
plt.semilogy(losses, color="0.5", linewidth=5, label="NumPy")
plt.semilogy(history.history["loss"], color="C0", label="fastnn")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend()
plt.show()

# %%
# What it has learned: the weights of the 64 hidden units, as pictures. Orange pixels speak for the unit,
# blue ones against it.

fn.plot.weights(model, 0, image_shape=(8, 8))
plt.show()
