"""Estimators in files of skops and under joblib's hash."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import scale

import fastnn as fn
from fastnn import activations, initializers, losses, metrics
from fastnn.sklearn import MLPClassifier, MLPRegressor
from tests.helpers.doc_blocks import blocks

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = scale(load_iris().data), load_iris().target
XR, YR = scale(load_diabetes().data), scale(load_diabetes().target)
PLAIN = {
    "adam": (MLPClassifier, {}),
    "sgd": (MLPClassifier, {"solver": "sgd", "learning_rate": "adaptive"}),
    "lbfgs": (MLPClassifier, {"solver": "lbfgs"}),
    "early stopping": (MLPClassifier, {"early_stopping": True}),
    "regressor": (MLPRegressor, {"loss": "huber", "activation": "gelu"}),
}
OWN = {
    "schedule": (MLPClassifier, {"schedule": fn.schedules.cosine(0.01, steps=10), "dropout": 0.1}),
    "callbacks": (MLPClassifier, {"optimizer": fn.RMSprop(0.01), "callbacks": [fn.EarlyStopping("loss")]}),
}
CASES = PLAIN | OWN
by_case = pytest.mark.parametrize("case", CASES)


def fitted(case):
    kind, settings = CASES[case]
    data = (X, Y) if kind is MLPClassifier else (XR, YR)
    return kind(hidden_layer_sizes=(6,), max_iter=5, random_state=0, **settings).fit(*data), *data


@by_case
def test_skops_files(case):
    skops = pytest.importorskip("skops.io", reason="skops is not installed: it is in the extra test")
    estimator, X, y = fitted(case)
    content = skops.dumps(estimator)
    needed = set(skops.get_untrusted_types(data=content))
    page = {}
    code = next(b.code for b in blocks("docs/scikit_learn.md") if "skops" in b.code)
    exec(code[code.index("TRUSTED") : code.index("]") + 1], page)
    assert all(name.startswith("fastnn.") for name in needed)
    assert needed <= set(page["TRUSTED"]) or case in OWN
    again = skops.loads(content, trusted=needed)
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    assert joblib.hash(again.model_) == joblib.hash(estimator.model_)
    if case in ("lbfgs", "early stopping"):
        return
    for one in (again, estimator):  # the memory of the optimizer is there too
        one.partial_fit(X, y)
    for mine, given in zip(again.coefs_, estimator.coefs_, strict=True):
        np.testing.assert_array_equal(mine, given)


MADE = [
    *(make() for make in activations.TABLE.values()),
    *(make() for make in losses.TABLE.values()),
    *(make(0.1) if name == "constant" else make() for name, make in initializers.TABLE.items()),
    *metrics.TABLE.values(),
    fn.schedules.cosine(0.1, 3),
]


@pytest.mark.parametrize("specification", MADE, ids=lambda one: one.name)
def test_specifications_are_plain_data(specification):
    assert not any(map(callable, vars(specification).values()))


@by_case
def test_equal_estimators_have_equal_hashes(case):
    estimator = fitted(case)[0]
    for one in (estimator, estimator.model_):
        expected = joblib.hash(one)
        again = pickle.loads(pickle.dumps(one))
        assert joblib.hash(again) == joblib.hash(copy.deepcopy(again)) == expected
    expected = joblib.hash(estimator)
    estimator.predict(XR if case == "regressor" else X)
    assert joblib.hash(estimator) == expected == joblib.hash(fitted(case)[0])
    estimator.coefs_[0][0, 0] += 1
    assert joblib.hash(estimator) != expected


@pytest.mark.slow
def test_the_hash_is_the_same_in_another_process(tmp_path):
    estimator = fitted("schedule")[0]
    joblib.dump(estimator, tmp_path / "estimator")
    code = "import joblib, sys; print(joblib.hash(joblib.load(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "estimator"], capture_output=True, text=True
    )
    assert done.stdout.strip() == joblib.hash(estimator), done.stderr
