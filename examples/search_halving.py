"""scikit-learn's halving search
=============================

A search over settings of an estimator: many settings train briefly, the best ones longer.

::

    python examples/search_halving.py [--settings 24] [--dask]

With --dask the fits run on a Dask cluster, here one of this machine, by joblib's backend; that needs the
extras `dask` and `sklearn`. The picture needs matplotlib.
"""

import argparse
import contextlib
import time
import warnings

import joblib
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV

import fastnn as fn
from fastnn.sklearn import MLPClassifier


@contextlib.contextmanager
def workers(dask):
    """What joblib runs the fits by."""
    if not dask:
        with joblib.parallel_config("threading", n_jobs=2):  # a compiled call does not hold Python's lock
            yield
        return
    from distributed import Client, LocalCluster

    with LocalCluster(threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        with joblib.parallel_config("dask"):
            yield


def draw(results):
    """Draw the scores of each setting by epochs of training; those that are dropped end early."""
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        raise SystemExit("For a picture, install matplotlib.") from None
    plt.rcParams.update(fn.plot.style())
    scores = {}
    rows = zip(results["params"], results["n_resources"], results["mean_test_score"], strict=True)
    for setting, epochs, score in rows:
        name = str({**setting, "max_iter": None})  # which grows from round to round
        scores.setdefault(name, []).append((epochs, score))
    longest = max(map(len, scores.values()))
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    for points in scores.values():
        style = ("o-", "C0") if len(points) == longest else ("o--", "0.45")
        axes.plot(*zip(*points, strict=True), style[0], color=style[1])
    axes.set(xscale="log", xlabel="epochs", ylabel="accuracy, cross-validated")
    axes.set_xticks(sorted(set(results["n_resources"])), labels=sorted(set(results["n_resources"])))
    axes.minorticks_off()
    figure.savefig("search_halving.png", dpi=120)
    print("search_halving.png")


def main():
    parser = argparse.ArgumentParser(description="Search the settings of an estimator by halving.")
    parser.add_argument("--settings", type=int, default=24)
    parser.add_argument("--dask", action="store_true")
    options = parser.parse_args()
    X, y = fn.datasets.digits()
    X = X / 16
    settings = {
        "hidden_layer_sizes": [(8,), (32,), (128,), (32, 32)],
        "learning_rate_init": [1e-4, 1e-3, 1e-2, 1e-1],
        "alpha": [1e-6, 1e-4, 1e-2],
    }
    search = HalvingRandomSearchCV(
        MLPClassifier(random_state=0, dtype="float32", tol=0.0),
        settings,
        n_candidates=options.settings,
        resource="max_iter",
        min_resources=3,
        max_resources=27,
        cv=3,
        random_state=0,
    )
    warnings.simplefilter("ignore", ConvergenceWarning)  # most settings are meant to train briefly
    start = time.perf_counter()
    with workers(options.dask):
        search.fit(X, y)
    seconds = time.perf_counter() - start
    for count, epochs in zip(search.n_candidates_, search.n_resources_, strict=True):
        print(f"{count:4} settings, {epochs:3} epochs")
    print(f"{seconds:.2f} s; the best: {search.best_score_:.1%} with {search.best_params_}")
    draw(search.cv_results_)


if __name__ == "__main__":
    main()
