"""
5. Learning rates
=================

How long a step is decides whether a network learns at all. What too small and too large look like, and what
optimizers do about it.
"""

# %%
# One weight
# ----------
#
# With one weight, and a loss that is a parabola of curvature :math:`c`, a step multiplies the distance from
# the minimum by :math:`1 - \eta c`. Up to :math:`\eta = 1/c` it goes straight there, up to :math:`2/c` it
# swings from side to side, and beyond that it diverges.

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

w = np.linspace(-2.2, 2.2, 100)
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), sharey=True, layout="constrained")
for ax, rate in zip(axes, (0.05, 0.4, 0.95, 1.05), strict=True):
    path = [2.0]
    for _ in range(12):
        path.append(path[-1] - rate * 2 * path[-1])  # the derivative of w**2
    path = np.array(path)
    ax.plot(w, w**2, color="0.5")
    ax.plot(path, path**2, "o-", color="C0", markersize=3, linewidth=0.8)
    ax.set(title=f"rate {rate}", xlim=(-2.2, 2.2), ylim=(-0.2, 5), xlabel="weight")
axes[0].set_ylabel("loss")
plt.show()

# %%
# A network
# ---------
#
# A network has many curvatures at once, and the largest one limits the rate. Handwritten digits, 20 epochs,
# at rates from 0.0001 to 100, all trained at once by :func:`fastnn.fit_many`:

import warnings

X, y = fn.datasets.digits()
X = X / 16
rates = np.geomspace(1e-4, 100, 25)


def final_losses(optimizer):
    models = [
        fn.Model([fn.Dense(32, "relu"), fn.Dense(10)], "cross_entropy", optimizer(rate), seed=0)
        for rate in rates
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of those that diverge
        histories = fn.fit_many(models, X, y, epochs=20)
    return [h.history["loss"][-1] if h.error is None else np.nan for h in histories]


plt.figure(figsize=(7, 3.5))
for name, optimizer, style in (
    ("SGD", fn.SGD, "o-"),
    ("SGD, momentum 0.9", lambda rate: fn.SGD(rate, momentum=0.9), "s--"),
    ("Adam", fn.Adam, "^:"),
):
    color = {"o": "C0", "s": "C2", "^": "C1"}[style[0]]
    plt.loglog(rates, final_losses(optimizer), style, color=color, markersize=4, label=name)
plt.xlabel("learning rate")
plt.ylabel("loss after 20 epochs")
plt.ylim(1e-5, 30)
plt.legend()
plt.show()

# %%
# On the left too little is learned in 20 epochs; on the right, steps are too large and undo what was learned.
# Momentum adds up steps in the same direction, so it needs a rate about a tenth as large. Adam divides each
# weight's step by the size of its gradients, so its rate means much the same in every network: 0.001 to 0.01.
#
# In NumPy, for a vector of weights :math:`w` and its gradient :math:`g`:

rng = np.random.default_rng(0)
w, g = rng.normal(size=5), rng.normal(size=5)
m, v, rate, beta_1, beta_2, step = np.zeros(5), np.zeros(5), 0.01, 0.9, 0.999, 1
m = beta_1 * m + (1 - beta_1) * g
v = beta_2 * v + (1 - beta_2) * g * g
w -= rate * (m / (1 - beta_1**step)) / (np.sqrt(v / (1 - beta_2**step)) + 1e-8)

# %%
# and the kernel that does it for all parameters of a network in one pass:
#
# .. literalinclude:: ../../kernels/training/optimizer.py
#    :pyobject: adam_kernel

# %%
# Rates that change
# -----------------
#
# Large steps at first and small ones at the end: a schedule. A step is a batch. The two most used are an
# exponential decay and half a cosine after a linear warmup:

steps, warmup = 1000, 100
t = np.arange(steps)
exponential = 1e-2 * 0.5 ** (t / 200)
cosine = 1e-2 * 0.5 * (1 + np.cos(np.pi * np.clip((t - warmup) / (steps - warmup), 0, 1)))
cosine[:warmup] = 1e-2 * (t[:warmup] + 1) / warmup
plt.figure(figsize=(7, 3))
plt.plot(t, exponential, "C2--", label="fn.schedules.exponential(1e-2, every=200, factor=0.5)")
plt.plot(t, cosine, "C0", label="fn.schedules.cosine(1e-2, steps=1000, warmup=100)")
plt.xlabel("step")
plt.ylabel("learning rate")
plt.legend(loc="lower center", bbox_to_anchor=(0.5, 1))
plt.show()

# %%
# The optimizer takes the schedule in place of the rate. The digits once more, 57 batches an epoch:

plt.figure(figsize=(7, 3.2))
for rate, style, label in (
    (1e-2, "C1--", "constant"),
    (fn.schedules.cosine(1e-2, steps=20 * 57, warmup=100), "C0-", "cosine"),
):
    model = fn.Model([fn.Dense(32, "relu"), fn.Dense(10)], "cross_entropy", fn.Adam(rate), seed=0)
    history = model.fit(X, y, epochs=20)
    plt.semilogy(range(1, 21), history.history["loss"], style, label=label)
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend()
plt.show()
