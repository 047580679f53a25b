"""Backpropagation: error terms by the chain rule
==============================================

Where the gradient comes from: a forward pass, an error term for each unit, and a product for each weight.

::

    python examples/backpropagation.py

Three inputs, two hidden units and one output, all of them sigmoid and without biases. The error is half the
sum of squares; fastnn's loss "sse" is the sum itself, so its gradient is twice as large. The picture needs
matplotlib.
"""

import numpy as np

import fastnn as fn

rng = np.random.default_rng(0)
X = rng.standard_normal((9, 3))
y = (X[:, :1] * X[:, 1:2] > 0).astype(float)
first, second = rng.standard_normal((3, 2)), rng.standard_normal((2, 1))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# %%
# The chain rule, written out. An error term is the derivative of the error with respect to what a unit sums
# up: of the output it is the error times the slope of the sigmoid, and a hidden unit gets its share along its
# weight.
def half_gradient(first, second):
    """Half the derivatives of the sum of squared errors with respect to both matrices of weights."""
    hidden = sigmoid(X @ first)
    output = sigmoid(hidden @ second)
    output_error_term = (output - y) * output * (1 - output)
    hidden_error_term = output_error_term @ second.T * hidden * (1 - hidden)
    return X.T @ hidden_error_term, hidden.T @ output_error_term


# %%
# fastnn's gradient is the same.
RATE = 0.5
model = fn.Model(
    [fn.Dense(2, "sigmoid", use_bias=False), fn.Dense(1, "sigmoid", use_bias=False)],
    loss="sse",
    optimizer=fn.SGD(RATE / 2 / len(X)),
    dtype="float64",
).build(3)
model.layers[0].weights, model.layers[1].weights = first, second
by_hand = 2 * np.concatenate([part.ravel() for part in half_gradient(first, second)])
loss, by_fastnn = model.loss_and_gradient(X, y)
print("by hand", np.round(by_hand, 4))
print("fastnn ", np.round(by_fastnn, 4))

# %%
# And so is gradient descent: a step against the gradient, three hundred times.
losses = model.fit(X, y, epochs=300, batch_size=None, shuffle=False, verbose=0).history["loss"]
numpy_losses = []
for _ in range(300):
    numpy_losses.append(np.sum((sigmoid(sigmoid(X @ first) @ second) - y) ** 2))
    downhill = half_gradient(first, second)
    first, second = first - RATE / len(X) * downhill[0], second - RATE / len(X) * downhill[1]
print(f"the sum of squared errors goes from {losses[0]:.4f} to {losses[-1]:.4f}")
print(f"largest difference from NumPy {np.abs(np.subtract(losses, numpy_losses)).max():.1e}")

# %%
# Left the eight derivatives at the start, right the way down.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.bar(np.arange(8) - 0.2, by_hand, 0.4, color="C0", label="error terms by hand")
left.bar(np.arange(8) + 0.2, by_fastnn, 0.4, color="C1", label="loss_and_gradient")
left.axhline(0, color="0.5", linewidth=0.8)
left.set(xlabel="weight", ylabel="derivative of the loss")
right.plot(numpy_losses, color="C0", label="NumPy")
right.plot(losses, "--", color="C1", linewidth=2, label="fastnn")
right.set(xlabel="epoch", ylabel="sum of squared errors")
for axes in (left, right):
    axes.legend(frameon=False)
figure.savefig("backpropagation.png", dpi=120)
print("backpropagation.png")
