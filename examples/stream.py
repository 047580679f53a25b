"""A stream whose sensors come and go, and whose law changes: learned one sample at a time, with river.

    python examples/stream.py [--samples 6000]

Three sensors report at first. A fourth is installed after a third of the stream; another one fails for a
while, and reports nothing. After two thirds the law itself changes, as machines wear. A network is compared
with a linear model of river's; both predict each value before they learn it. Needs the extra `river`.
"""

import argparse
import math
import random
import time

from river import linear_model, metrics, optim, preprocessing

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=6000)
    n = parser.parse_args().samples

    network = MLPRegressor((32, 16), "tanh", learning_rate_init=0.01, seed=0)
    models = {
        "network": preprocessing.StandardScaler() | network,
        "linear model": preprocessing.StandardScaler() | linear_model.LinearRegression(optim.SGD(0.01)),
    }
    errors = [metrics.MAE() for _ in models]
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
            errors = [metrics.MAE() for _ in models]
    for name in models:
        print(f"{name}: {1e6 * seconds[name] / n:.0f} us to learn a sample, scaling included")


if __name__ == "__main__":
    main()
