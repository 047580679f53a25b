"""scikit-learn's own checks of estimators, and its own tests of its two classes, on ours."""

import importlib.util
from pathlib import Path

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Checks that do not apply say so by a warning; scikit-learn's tests divide and overflow on purpose.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]

ESTIMATORS = [
    MLPClassifier(max_iter=100),
    MLPRegressor(max_iter=100),
    MLPClassifier((10,), solver="lbfgs"),
    MLPRegressor(hidden_layer_sizes=(10,), solver="lbfgs", max_iter=100),
]


@parametrize_with_checks(ESTIMATORS, xfail_strict=True)
def test_check(estimator, check):
    check(estimator)


# --- the tests of sklearn.neural_network, with the import changed

EXPECTED_FAILURES = {
    "test_gradient": "calls the private _loss_grad_lbfgs",
}
UPSTREAM = Path(importlib.util.find_spec("sklearn.neural_network.tests.test_mlp").origin)
LINE = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
source = UPSTREAM.read_text(encoding="utf-8")
assert source.count(LINE) == 1
exec(compile(source.replace(LINE, ""), str(UPSTREAM), "exec"), globals())
for name, reason in EXPECTED_FAILURES.items():
    globals()[name] = pytest.mark.xfail(raises=AttributeError, reason=reason)(globals()[name])


@pytest.fixture
def global_random_seed():
    return 42


def test_scikit_learns_tests_were_found():
    found = [name for name, value in globals().items() if getattr(value, "__module__", "") == __name__]
    assert sum(name.startswith("test_") for name in found) > 40
