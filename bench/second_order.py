"""Least squares, by fastnn and by SciPy, and Adam, without noise: ``python -m bench.second_order``.

Adam is given one and a half times as long as SciPy took, at several learning rates, constant and
falling as a cosine, and its best result is shown. Both in float64, from the same initial weights.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np

import fastnn as fn
import fastnn.scipy
from bench.compare import processor

GOAL = 1e-8
BATCH = 32
PLACES = np.random.default_rng(0).uniform(-1, 1, (600, 2))
LINE = np.linspace(-1, 1, 400).reshape(-1, 1)


@dataclass(frozen=True)
class Case:
    """A function, the hidden units of the network that fits it, and how long each least squares runs."""

    name: str
    X: np.ndarray
    y: np.ndarray
    hidden: tuple[int, ...]
    method: str
    evaluations: int
    own_evaluations: int

    def model(self, optimizer: str | fn.SGD | fn.Adam = "adam") -> fn.Model:
        layers = [*(fn.Dense(units, "tanh") for units in self.hidden), fn.Dense(1)]
        return fn.Model(layers, "mse", optimizer, dtype="float64", seed=0).build(self.X.shape[1])


WAVE = np.sin(5 * LINE) + 0.5 * LINE**2
CHIRP = np.sin(3 * np.pi * (LINE + 1) ** 2 / 1.6)
SURFACE = np.sin(3 * PLACES[:, :1]) * np.cos(2 * PLACES[:, 1:])
CASES = [
    Case("wave, 1-20-1", LINE, WAVE, (20,), "trf", 120, 150),
    Case("wave, 1-12-12-1", LINE, WAVE, (12, 12), "trf", 110, 160),
    Case("chirp, 1-40-1", LINE, CHIRP, (40,), "lm", 800, 400),
    Case("surface, 2-40-1", PLACES, SURFACE, (40,), "lm", 180, 180),
    Case("surface, 2-100-1", PLACES, SURFACE, (100,), "lm", 160, 180),
]


def by_levenberg_marquardt(case: Case) -> tuple[float, float]:
    """Seconds and mean squared error."""
    model = case.model()
    start = time.perf_counter()
    fn.levenberg_marquardt(
        model, case.X, case.y, max_evaluations=case.own_evaluations, ftol=0, xtol=0, gtol=0
    )
    return time.perf_counter() - start, model.evaluate(case.X, case.y)["loss"]


def by_scipy(case: Case) -> tuple[float, float]:
    """Seconds and mean squared error."""
    model = case.model()
    start = time.perf_counter()
    fn.scipy.least_squares(model, case.X, case.y, case.method, max_nfev=case.evaluations)
    return time.perf_counter() - start, model.evaluate(case.X, case.y)["loss"]


def by_adam(case: Case, seconds: float, rates: list[float]) -> tuple[float, float, str]:
    """Seconds and mean squared error of the best setting, and which one it is."""
    model = case.model()
    model.fit(case.X, case.y, epochs=20, batch_size=BATCH)
    start = time.perf_counter()
    model.fit(case.X, case.y, epochs=200, batch_size=BATCH)
    epochs = max(1, int(200 * seconds / (time.perf_counter() - start)))
    steps = epochs * -(-len(case.X) // BATCH)
    results = []
    for rate in rates:
        for name, schedule in (("constant", rate), ("cosine", fn.schedules.cosine(rate, steps=steps))):
            model = case.model(fn.Adam(schedule))
            start = time.perf_counter()
            model.fit(case.X, case.y, epochs=epochs, batch_size=BATCH)
            taken = time.perf_counter() - start
            results.append((model.evaluate(case.X, case.y)["loss"], taken, f"{rate:g} {name}"))
    loss, taken, setting = min(results)
    return taken, loss, setting


def main(argv: list[str] | None = None) -> int:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(prog="python -m bench.second_order", description=__doc__)
    parser.add_argument("--cases", type=int, default=len(CASES), help="only the first so many")
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-3, 1e-2, 3e-2])
    options = parser.parse_args(argv)
    print(processor())
    print(f"{'':20}{'parameters':>11}{'fastnn':>20}{'SciPy':>26}{'Adam, its best':>24}")
    warm = CASES[0]
    fn.scipy.least_squares(warm.model(), warm.X, warm.y, max_nfev=2)  # loads SciPy and the kernels
    fn.levenberg_marquardt(warm.model(), warm.X, warm.y, max_evaluations=2)
    for case in CASES[: options.cases]:
        own, own_loss = by_levenberg_marquardt(case)
        seconds, loss = by_scipy(case)
        taken, other, setting = by_adam(case, 1.5 * seconds, options.rates)
        size = case.model().parameters.size
        print(f"{case.name:20}{size:11}{own:8.3f} s {own_loss:10.1e}", end="")
        print(f"{case.method:>6}{seconds:8.2f} s {loss:10.1e}", end="")
        print(f"{taken:10.2f} s {other:10.1e}  {setting}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
