"""The estimators beside scikit-learn's on real data: ``python -m bench.scores``.

Test scores over seeds, and the time of `fit`, at equal hyper-parameters. A seed chooses the quarter of the
data that is held out, and is the `random_state` of both. For each data set the table shows the mean scores,
the mean of the differences with its 95 % interval (Student's t), and the p-value of Wilcoxon's signed-rank
test of the pairs. The exit status is 1 if a difference is significant at 5 % after Holm's correction.

Both take turns in one process. A timed fit comes right after a short one of the same estimator, which
wakes the processor. scikit-learn runs at the better of one thread and all of its linear algebra's.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from scipy import stats
from sklearn import datasets, neural_network
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from bench.compare import number, processor
from bench.peers import blas
from fastnn import sklearn as ours

Data = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A data set, where it is from, and what is learnt from it."""

    name: str
    source: str
    task: str
    load: Callable[[], Data]
    loss: str | None = None  # of the regressor; None for classes


def of_scikit_learn(name: str) -> Data:
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return X, y


def of_statsmodels(name: str) -> Any:
    """A data set that statsmodels ships, as a DataFrame."""
    import importlib

    return importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data


def votes() -> Data:
    """Clinton or Dole, of the American national election study of 1996."""
    frame = of_statsmodels("anes96")
    return frame.drop(columns="vote").to_numpy(), frame["vote"].to_numpy(int)


def affairs() -> Data:
    """Whether there were any, of Redbook's survey of married women of 1974."""
    frame = of_statsmodels("fair")
    return frame.drop(columns="affairs").to_numpy(), (frame["affairs"] > 0).to_numpy(int)


def visits() -> Data:
    """Visits to a doctor in a year, of the RAND health insurance experiment."""
    frame = of_statsmodels("randhie")
    return frame.drop(columns="mdvis").to_numpy(), frame["mdvis"].to_numpy(float)


def schools() -> Data:
    """Share of a Californian school district's pupils above the national median in mathematics, 1998."""
    frame = of_statsmodels("star98")
    share = frame["NABOVE"] / (frame["NABOVE"] + frame["NBELOW"])
    return frame.drop(columns=["NABOVE", "NBELOW"]).to_numpy(), share.to_numpy()


def scaled(load: Callable[[], Data]) -> Data:
    X, y = load()
    return X, scale(y)


CASES = [
    *(
        Case(name, "scikit-learn", "classes", partial(of_scikit_learn, name))
        for name in ("iris", "wine", "breast_cancer", "digits")
    ),
    *(
        Case(name, "scikit-learn", task, partial(scaled, partial(of_scikit_learn, name)), "squared_error")
        for name, task in (("diabetes", "value"), ("linnerud", "3 values"))
    ),
    Case("anes96", "statsmodels", "classes", votes),
    Case("fair", "statsmodels", "classes", affairs),
    Case("star98", "statsmodels", "value", partial(scaled, schools), "squared_error"),
    Case("randhie", "statsmodels", "counts", visits, "poisson"),
]

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "small_batches": {"batch_size": 32},
    "two_layers": {"hidden_layer_sizes": (64, 32), "activation": "tanh", "alpha": 1e-2},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "early_stopping": {"early_stopping": True},
    "lbfgs": {"solver": "lbfgs"},
}


@dataclass
class Result:
    """Scores and seconds of both, a number a seed."""

    case: Case
    shape: tuple[int, int]
    scores: dict[str, list[float]]
    seconds: dict[str, list[float]]
    threads: int | None

    def differences(self) -> np.ndarray:
        """Of the pairs; what only the seventh digit shows is the order in which numbers are added."""
        return np.round(np.subtract(self.scores["fastnn"], self.scores["scikit-learn"]), 6) + 0.0

    def interval(self) -> float:
        """Half the width of the 95 % interval of the mean difference."""
        d = self.differences()
        if np.ptp(d) == 0:
            return 0.0
        return float(stats.sem(d) * stats.t.ppf(0.975, len(d) - 1))

    def p_value(self) -> float:
        d = self.differences()
        return float(stats.wilcoxon(d).pvalue) if d.any() else 1.0

    def ratio(self) -> float:
        """How many times as long scikit-learn takes: the median of the pairs."""
        return median(np.divide(self.seconds["scikit-learn"], self.seconds["fastnn"]))


def estimators(case: Case, settings: dict[str, Any]) -> dict[str, BaseEstimator]:
    """fastnn's and scikit-learn's, with the same parameters."""
    name = "MLPClassifier" if case.loss is None else "MLPRegressor"
    loss = {} if case.loss is None else {"loss": case.loss}
    modules = {"fastnn": ours, "scikit-learn": neural_network}
    return {label: getattr(module, name)(**settings, **loss) for label, module in modules.items()}


def seconds(estimator: BaseEstimator, X: np.ndarray, y: np.ndarray, threads: int | None) -> float:
    """Time of `fit`, right after a short one."""
    with blas.threads(threads):
        clone(estimator).set_params(max_iter=10).fit(X, y)
        start = time.perf_counter()
        estimator.fit(X, y)
        return time.perf_counter() - start


def run(case: Case, settings: dict[str, Any], seeds: int, dtype: str) -> Result:
    """Train and score both on one data set."""
    X, y = case.load()
    X = scale(X).astype(dtype)
    pair = estimators(case, settings)
    choices = (1, None) if blas.ADJUSTABLE else (None,)
    trial = [seconds(clone(pair["scikit-learn"]).set_params(random_state=0), X, y, n) for n in choices]
    threads = {"fastnn": None, "scikit-learn": choices[int(np.argmin(trial))]}
    result = Result(case, X.shape, {n: [] for n in pair}, {n: [] for n in pair}, threads["scikit-learn"])
    for seed in range(seeds):
        classes = y if case.loss is None else None
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed, stratify=classes)
        for label, estimator in pair.items():
            own = clone(estimator).set_params(random_state=seed)
            result.seconds[label].append(seconds(own, X_train, y_train, threads[label]))
            result.scores[label].append(own.score(X_test, y_test))
    return result


def holm(p_values: list[float]) -> list[float]:
    """P-values corrected for their number (S. Holm, 1979)."""
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.minimum(np.maximum.accumulate(factors * np.array(p_values)[order]), 1)
    result = np.empty(len(p_values))
    result[order] = corrected
    return result.tolist()


def line(result: Result) -> str:
    """A row of the table."""
    shown = "accuracy" if result.case.loss is None else "R2"
    cells = [
        f"{result.case.name} ({result.case.source})",
        f"{result.shape[0]} x {result.shape[1]}",
        f"{result.case.task}, {shown}",
    ]
    for label in ("scikit-learn", "fastnn"):
        values = result.scores[label]
        cells.append(f"{np.mean(values):.4f} ({np.std(values, ddof=1):.4f})")
    cells.append(f"{result.differences().mean():+.4f} +- {result.interval():.4f}")
    cells.append(f"{result.p_value():.2f}")
    for label in ("scikit-learn", "fastnn"):
        cells.append(number(1e3 * median(result.seconds[label])))
    cells.append(f"{number(result.ratio())}x")
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| data set (from) | samples | task, score | scikit-learn (sd) | fastnn (sd) | difference | p "
    "| scikit-learn, ms | fastnn, ms | ratio |\n|---|---|---|---|---|---|---|---|---|---|"
)


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m bench.scores", description=__doc__.splitlines()[0])
    parser.add_argument("--data", help=f"comma-separated, out of {', '.join(names)}")
    parser.add_argument("--setting", choices=SETTINGS, default="defaults")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="of the samples")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args(argv)
    chosen = names if options.data is None else options.data.split(",")
    if options.seeds < 3 or set(chosen) - set(names):
        parser.error(f"give at least 3 seeds, and names out of {', '.join(names)}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", message="Solver terminated early|lbfgs failed")

    settings = SETTINGS[options.setting]
    print(f"{processor()}; {options.setting}: {settings or '{}'}, {options.dtype}, {options.seeds} seeds")
    print(HEAD)
    results = []
    for case in CASES:
        if case.name not in chosen:
            continue
        try:
            results.append(run(case, settings, options.seeds, options.dtype))
        except ModuleNotFoundError as error:
            print(f"skipped: {case.name}, {error.name} is not installed")
            continue
        print(line(results[-1]), flush=True)
    if not results:
        return 1
    p_values = holm([result.p_value() for result in results])
    differ = [result.case.name for result, p in zip(results, p_values, strict=True) if p < 0.05]
    fastest = float(np.exp(np.mean([np.log(result.ratio()) for result in results])))
    print(f"{len(results)} data sets; fastnn is {fastest:.2f} times as fast in geometric mean")
    print(f"scores that differ at 5 %, corrected for {len(results)} tests: {', '.join(differ) or 'none'}")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
