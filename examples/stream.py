"""A stream whose sensors come and go
==================================

Sensors are installed and fail, and the law changes: all of it is learned one sample at a time, with river.

::

    python examples/stream.py [--samples 6000]

Three sensors report at first. A fourth is installed after a third of the stream; another one fails for a
while, and reports nothing. After two thirds the law itself changes, as machines wear. A network is compared
with a linear model of river's; both predict each value before they learn it. Needs the extra `river`; the
picture needs matplotlib.
"""

import argparse
import math
import random
import time

from river import linear_model, metrics, optim, preprocessing

import fastnn as fn
from fastnn.river import MLPRegressor


def stream(n):
    """Yield samples and targets."""
    rng = random.Random(0)
    for k in range(n):
        x = {name: rng.gauss(20, 5) for name in ("pressure", "speed", "heat")}
        x["flow"] = rng.gauss(3, 1)
        bent = math.sin((x["pressure"] - 20) / 5) * (x["speed"] - 20) / 2
        y = bent + (x["flow"] - 3) - (x["heat"] - 20) / 5 * (1 if k < 2 * n / 3 else -1)
        if k < n / 3:
            del x["flow"]  # not installed yet
        if n / 2 < k < n / 2 + n / 20:
            del x["heat"]  # fails
        yield x, y


def draw(n, rows):
    """The errors of the network and of the linear model, and what happens meanwhile."""
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        return
    plt.rcParams.update(fn.plot.style())
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    samples, network, linear = zip(*rows, strict=True)
    axes.plot(samples, linear, "s--", color="C1", label="linear model")
    axes.plot(samples, network, "o-", color="C0", label="network")
    for at, what in ((1 / 3, "a sensor\nis new"), (1 / 2, "one\nfails"), (2 / 3, "the law\nchanges")):
        axes.axvline(at * n, color="0.5", linewidth=1)
        axes.text(at * n + n / 150, 0.05, what, va="bottom", transform=axes.get_xaxis_transform())
    axes.set(xlabel="samples", ylabel="mean absolute error", ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig("stream.png", dpi=120)
    print("stream.png")


def main():
    parser = argparse.ArgumentParser(description="Learn a stream whose sensors come and go.")
    parser.add_argument("--samples", type=int, default=6000)
    n = parser.parse_args().samples

    network = MLPRegressor((32, 16), "tanh", learning_rate_init=0.01, seed=0)
    models = {
        "network": preprocessing.StandardScaler() | network,
        "linear model": preprocessing.StandardScaler() | linear_model.LinearRegression(optim.SGD(0.01)),
    }
    errors, rows = [metrics.MAE() for _ in models], []
    seconds = dict.fromkeys(models, 0.0)
    print(f"mean absolute error of the last {n // 12} samples, each predicted before it is learned")
    print(f"{'samples':>8}  {'inputs':>6}  " + "  ".join(f"{name:>12}" for name in models))
    for k, (x, y) in enumerate(stream(n), 1):
        for (name, model), error in zip(models.items(), errors, strict=True):
            error.update(y, model.predict_one(x))
            start = time.perf_counter()
            model.learn_one(x, y)
            seconds[name] += time.perf_counter() - start
        if k % (n // 12) == 0:
            shown = "  ".join(f"{error.get():>12.3f}" for error in errors)
            print(f"{k:>8}  {len(network.features):>6}  {shown}")
            rows.append((k, *(error.get() for error in errors)))
            errors = [metrics.MAE() for _ in models]
    for name in models:
        print(f"{name}: {1e6 * seconds[name] / n:.0f} us to learn a sample, scaling included")
    draw(n, rows)


if __name__ == "__main__":
    main()
