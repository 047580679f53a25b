"""How far to trust a prediction: five ways
========================================

Intervals that are to hold 90 % of the targets, made in five ways: an ensemble, dropout, Laplace's
approximation and conformal prediction twice.

::

    python examples/uncertainty.py

The noise of the targets is known, and larger on the right; in the middle, between 0 and 1, are no samples. A
deep ensemble, dropout and Laplace's approximation say how uncertain the network itself is. Conformal
intervals (V. Vovk et al., 2005; J. Lei et al., 2018) take any network, and as much to both sides of its
prediction as held-out samples need: whatever the network, they hold 90 % of the targets that are drawn as
those were. Around quantiles instead of a mean (Y. Romano, E. Patterson, E. Candes, 2019) they are as wide as
the noise at each place. The picture needs matplotlib.
"""

import math

import numpy as np

import fastnn as fn

SHARE, Z = 0.9, 1.6449  # of a normal distribution, 90 % lie within so many standard deviations
EPOCHS, BATCH = 300, 32


def draw(n, rng):
    """A sine on [-2, 0] and [1, 3], with noise of a deviation of 0.1 on the left and of 0.3 on the right."""
    x = rng.uniform(-2, 2, (n, 1))
    right = x > 0
    return x + right, np.sin(3 * (x + right)) + (0.1 + 0.2 * right) * rng.normal(size=x.shape)


def network(loss, n_out, X, y, seed=0, dropout=0.0):
    """A network of two hidden layers, trained; one with dropout needs more units."""
    if dropout:
        hidden = [fn.Dense(128, "relu", kernel_initializer="he_normal"), fn.Dropout(dropout)]
        hidden += [fn.Dense(128, "relu", kernel_initializer="he_normal"), fn.Dropout(dropout)]
    else:
        hidden = [fn.Dense(32, "tanh"), fn.Dense(32, "tanh")]
    rate = fn.schedules.cosine(3e-3 if dropout else 1e-2, EPOCHS * -(-len(X) // BATCH))
    model = fn.Model([*hidden, fn.Dense(n_out)], loss, fn.Adam(rate), seed=seed)
    model.fit(X, y, epochs=EPOCHS, batch_size=BATCH)
    return model


def by_ensemble(train, held_out):
    """Five networks that learn mean and variance."""
    ensemble = fn.Ensemble([network("gaussian_nll", 2, *train, seed=seed) for seed in range(5)])

    def interval(x):
        found = ensemble.predict_distribution(x)
        return found["mean"] - Z * found["std"], found["mean"] + Z * found["std"]

    return interval


def by_dropout(train, held_out):
    """A hundred networks that dropout draws of one; what held-out samples deviate beyond that is noise."""
    model = network("mse", 1, *train, dropout=0.05)
    found = model.predict_distribution(held_out[0], samples=100)
    noise = np.mean((held_out[1][:, 0] - found["mean"]) ** 2 - found["std"] ** 2)

    def interval(x):
        found = model.predict_distribution(x, samples=100)
        margin = Z * np.sqrt(found["std"] ** 2 + max(noise, 0))
        return found["mean"] - margin, found["mean"] + margin

    return interval


def by_laplace(train, held_out):
    """A normal distribution of the weights of the last layer, and the noise that is most probable with it."""
    laplace = fn.uncertainty.LastLayerLaplace(network("mse", 1, *train)).fit(*train)

    def interval(x):
        found = laplace.predict_distribution(x)
        return found["mean"] - Z * found["std"], found["mean"] + Z * found["std"]

    return interval


def margin_of(scores):
    """What the scores of held-out samples say of a new one: it is no larger, with a probability of 90 %."""
    k = math.ceil((len(scores) + 1) * SHARE)
    return np.sort(scores)[k - 1] if k <= len(scores) else math.inf


def by_conformal(train, held_out):
    """As far from the prediction as 90 % of the held-out targets are."""
    model = network("mse", 1, *train)
    margin = margin_of(abs(held_out[1] - model.predict(held_out[0]))[:, 0])

    def interval(x):
        center = model.predict(x)[:, 0]
        return center - margin, center + margin

    return interval


def by_conformal_quantiles(train, held_out):
    """As far beyond two quantiles as 90 % of the held-out targets are, which may be less than nothing."""
    levels = [(1 - SHARE) / 2, (1 + SHARE) / 2]
    model = network(fn.losses.quantiles(levels, noncrossing=True), 2, *train)

    def quantiles(x):
        return model.predict_distribution(x)["quantiles"].T

    low, high = quantiles(held_out[0])
    margin = margin_of(np.maximum(low - held_out[1][:, 0], held_out[1][:, 0] - high))

    def interval(x):
        low, high = quantiles(x)
        return low - margin, high + margin

    return interval


METHODS = {
    "deep ensemble": by_ensemble,
    "dropout": by_dropout,
    "Laplace": by_laplace,
    "conformal": by_conformal,
    "conformal quantiles": by_conformal_quantiles,
}


def plot(intervals, train, path="uncertainty.png"):
    """The intervals, from beyond the samples on the left to beyond those on the right."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    x = np.linspace(-3, 4, 400)
    pyplot.rcParams.update(fn.plot.style())
    figure, axes = pyplot.subplots(2, 3, figsize=(9, 5.4), sharex=True, sharey=True, layout="constrained")
    axes[-1, -1].set_axis_off()
    axes[0, -1].tick_params(labelbottom=True)
    for axis, (name, interval) in zip(axes.flat, intervals.items(), strict=False):
        low, high = interval(x[:, np.newaxis])
        axis.plot(*train, ".", color="0.5", markersize=3)
        axis.fill_between(x, low, high, facecolor=("C0", 0.35), edgecolor="C0")
        axis.plot(x, (low + high) / 2, color="C0")
        axis.plot(x, np.sin(3 * x), color="k", linewidth=0.8, linestyle="--")
        axis.set(title=name, xlabel="x", ylim=(-3, 3))
    figure.savefig(path, dpi=110)
    print("wrote", path)


def main():
    """Train on some samples, hold out some for what needs them, and count on new ones."""
    rng = np.random.default_rng(1)
    train, held_out, (x, y) = draw(300, rng), draw(2000, rng), draw(10_000, rng)
    print(f"{'':>20}    held   on the left   on the right   mean width   width at 0.5")
    intervals = {}
    for name, method in METHODS.items():
        intervals[name] = interval = method(train, held_out)
        low, high = interval(x)
        held, left = (low <= y[:, 0]) & (y[:, 0] <= high), x[:, 0] < 0.5
        gap = np.ptp(interval(np.array([[0.5]])))
        print(
            f"{name:>20}   {held.mean():5.1%}   {held[left].mean():11.1%}   {held[~left].mean():12.1%}"
            f"   {np.mean(high - low):10.2f}   {gap:12.2f}"
        )
    plot(intervals, train)


if __name__ == "__main__":
    main()
