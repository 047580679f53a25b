"""
4. Softmax and cross-entropy
============================

For classes a network ends in one number for each class. How they become probabilities, and which loss
belongs to them.
"""

# %%
# Softmax
# -------
#
# The numbers that come out are called logits. The softmax makes them positive, and their sum 1:
#
# .. math:: p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}
#
# A difference of 1 between two logits makes one class :math:`e \approx 2.7` times as probable as the other.
# Only differences count, so the largest may be subtracted first: then no exponential overflows.

import numpy as np

import fastnn as fn


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


logits = np.array([[2.0, 1.0, 0.1], [0.0, 0.0, 0.0], [1000.0, 999.0, 0.0]])
print(softmax(logits).round(3))
assert np.allclose(fn.Activation("softmax")(logits), softmax(logits), atol=1e-6)

# %%
# .. literalinclude:: ../../kernels/layers/softmax.py
#    :pyobject: softmax_forward

# %%
# Cross-entropy
# -------------
#
# The loss of a sample is how surprised the network is by its class: the negative logarithm of the
# probability that it gave it.
#
# .. math:: L = -\log p_c
#
# It is 0 for an answer that is certain and right, 0.7 for a coin toss, and grows without bound for one that
# is certain and wrong.

import matplotlib.pyplot as plt

p = np.linspace(0.001, 1, 400)
plt.rcParams.update(fn.plot.style())
plt.figure(figsize=(6, 3.2))
plt.plot(p, -np.log(p), color="C0", label="cross-entropy")
plt.plot(p, (1 - p) ** 2, color="C1", linestyle="--", label="squared error")
plt.xlabel("probability given to the right class")
plt.ylabel("loss")
plt.ylim(0, 6)
plt.legend()
plt.show()

# %%
# The two together
# ----------------
#
# Their derivative is as short as a derivative can be: the probability, minus 1 for the right class.
#
# .. math:: \frac{\partial L}{\partial z_k} = p_k - [k = c]
#
# A wrong answer is corrected at full strength, however certain it was, since no slope of an activation comes
# in between. With the squared error after a sigmoid one does: :math:`\hat y (1 - \hat y)` is nearly zero just
# where the answer is most wrong.

classes = np.array([0, 2, 1])
probabilities = softmax(logits)
loss = -np.mean(np.log(probabilities[np.arange(3), classes] + 1e-300))
by_hand = probabilities.copy()
by_hand[np.arange(3), classes] -= 1
by_hand /= len(classes)  # of the mean
print(by_hand.round(3))

# %%
# In fastnn the loss ``"cross_entropy"`` takes logits, or the probabilities of a softmax at the end, which
# it then computes together with it. A layer that hands its input on shows the derivative:

model = fn.Model([fn.Dense(3, use_bias=False)], loss="cross_entropy", dtype="float64", seed=0).build(3)
model.layers[0].weights = np.eye(3)
loss_there, gradient = model.loss_and_gradient(logits, classes)
assert np.isclose(loss, loss_there)
assert np.allclose(gradient.reshape(3, 3), logits.T @ by_hand)

# %%
# .. literalinclude:: ../../kernels/training/loss.py
#    :pyobject: cross_entropy_kernel

# %%
# Does it matter?
# ---------------
#
# The same network on handwritten digits, with cross-entropy and with the squared error of the
# probabilities:

X, y = fn.datasets.digits()
X = X / 16
one_hot = np.eye(10)[y]
plt.figure(figsize=(6, 3.2))
for loss, target, style in (("cross_entropy", y, "C0-"), ("mse", one_hot, "C1--")):
    layers = [fn.Dense(32, "relu"), fn.Dense(10, "softmax")]
    model = fn.Model(layers, loss, fn.SGD(0.1), seed=0)
    accuracy = []
    for _ in range(40):
        model.fit(X[:1300], target[:1300], epochs=1)
        accuracy.append(np.mean(model.predict(X[1300:]).argmax(axis=1) == y[1300:]))
    plt.plot(range(1, 41), accuracy, style, label=loss)
plt.xlabel("epoch")
plt.ylabel("accuracy on held-out digits")
plt.legend()
plt.show()
