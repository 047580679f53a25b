"""The estimators beside scikit-learn's own: the same parameters and random_state give the same result.

Both compute in float64 and differ by rounding alone, which training makes larger step by step: hence few
epochs, and tolerances far below what any other difference of a rule would cause.
"""

import itertools

import numpy as np
import pytest
from sklearn import datasets
from sklearn import neural_network as theirs
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from fastnn import sklearn as ours
from tests.helpers.sweeps import sampled

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1"),
]

CLOSE = {"rtol": 1e-7, "atol": 1e-9}
WINE = scale(datasets.load_wine().data), datasets.load_wine().target
BINARY = WINE[0], np.array(["no", "yes"])[(WINE[1] == 1).astype(int)]
DIABETES = scale(datasets.load_diabetes().data)[:150], scale(datasets.load_diabetes().target)[:150]
LINNERUD = scale(datasets.load_linnerud().data), scale(datasets.load_linnerud().target)
COUNTS = DIABETES[0], np.random.default_rng(0).poisson(np.exp(0.5 * DIABETES[1]))
LABELS = make_multilabel_classification(120, 8, n_classes=4, random_state=0)
LABELS = scale(LABELS[0]), LABELS[1]

SETTINGS = {
    "adam": {},
    "adam, small batches": {"batch_size": 16, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
    "no shuffling": {"batch_size": 16, "shuffle": False, "alpha": 1.0},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05, "batch_size": 50},
    "sgd without Nesterov": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5, "batch_size": 50},
    "sgd without momentum": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.3},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.02,
        "tol": 0.05,
        "n_iter_no_change": 3,
    },
    "stops": {"tol": 0.02, "n_iter_no_change": 4, "learning_rate_init": 0.01},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 5},
    "logistic": {"activation": "logistic", "hidden_layer_sizes": (6, 5)},
    "tanh": {"activation": "tanh", "hidden_layer_sizes": (6, 5, 4), "batch_size": 40},
    "no hidden layer": {"hidden_layer_sizes": (), "activation": "identity"},
    "no hidden layer, logistic": {"hidden_layer_sizes": (), "activation": "logistic"},
    "lbfgs": {"solver": "lbfgs", "max_iter": 10, "alpha": 0.1},
}
DATA = {
    "multiclass": ("MLPClassifier", WINE, {}),
    "binary": ("MLPClassifier", BINARY, {}),
    "multilabel": ("MLPClassifier", LABELS, {}),
    "one class": ("MLPClassifier", (WINE[0], np.full(len(WINE[0]), 7)), {}),
    "regression": ("MLPRegressor", DIABETES, {}),
    "several outputs": ("MLPRegressor", LINNERUD, {}),
    "poisson": ("MLPRegressor", COUNTS, {"loss": "poisson"}),
}
ATTRIBUTES = ["n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"]
FIGURES = ["loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_"]


def pair(name, **settings):
    return [getattr(module, name)(**{"random_state": 0, **settings}) for module in (ours, theirs)]


def assert_same(own, other, X):
    for name in ATTRIBUTES:
        assert getattr(own, name) == getattr(other, name), name
    for name in FIGURES:
        assert hasattr(own, name) == hasattr(other, name), name
        if getattr(other, name, None) is None:
            assert getattr(own, name, None) is None, name
        else:
            np.testing.assert_allclose(getattr(own, name), getattr(other, name), **CLOSE, err_msg=name)
    for mine, given in zip(own.coefs_ + own.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert mine.dtype == given.dtype
        np.testing.assert_allclose(mine, given, rtol=1e-5, atol=1e-7)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        assert hasattr(own, method) == hasattr(other, method)
        if hasattr(other, method):
            mine, given = getattr(own, method)(X), getattr(other, method)(X)
            assert mine.dtype == given.dtype and mine.shape == given.shape
            if mine.dtype.kind == "f":
                np.testing.assert_allclose(mine, given, rtol=1e-5, atol=1e-7)
            else:
                np.testing.assert_array_equal(mine, given)


# But for one, in which scikit-learn's loss and gradient do not belong together: see the next test.
CASES = [(data, case) for data in DATA for case in SETTINGS if (data, case) != ("several outputs", "lbfgs")]


@pytest.mark.parametrize("data, case", CASES)
def test_fit(data, case):
    name, (X, y), own = DATA[data]
    settings = SETTINGS[case]
    if data == "several outputs" and settings.get("early_stopping"):
        settings = settings | {"max_iter": 5}  # with six samples in the validation set, ties decide
    estimators = pair(name, **{"max_iter": 30, "hidden_layer_sizes": (7,), **own, **settings})
    for estimator in estimators:
        estimator.fit(X, y)
    assert_same(*estimators, X)


@pytest.mark.parametrize("alpha", np.logspace(-1, 1, 3))
@pytest.mark.parametrize("draw", [datasets.make_moons, datasets.make_circles])
def test_lbfgs_walks_the_same_way(draw, alpha):
    """The example plot_mlp_alpha: what differs later is rounding, ten times as much every ten steps."""
    X, y = draw(noise=0.25, random_state=0)
    for steps, tolerance in ((10, 1e-12), (30, 1e-9)):
        settings = {"hidden_layer_sizes": (10, 10), "alpha": alpha, "early_stopping": True, "random_state": 1}
        own, other = pair("MLPClassifier", solver="lbfgs", max_iter=steps, **settings)
        own.fit(scale(X), y)
        other.fit(scale(X), y)
        assert own.n_iter_ == other.n_iter_
        np.testing.assert_allclose(own.loss_, other.loss_, rtol=tolerance)
        for mine, given in zip(own.coefs_ + own.intercepts_, other.coefs_ + other.intercepts_, strict=True):
            np.testing.assert_allclose(mine, given, atol=tolerance)


def test_lbfgs_goes_on_where_clipping_stops_scikit_learns():
    """The gradient is not clipped, so that a line search with a clipped loss fails."""
    X, y = datasets.load_wine(return_X_y=True)
    own, other = pair("MLPClassifier", solver="lbfgs", hidden_layer_sizes=(20,), max_iter=100)
    with pytest.warns(ConvergenceWarning, match="ABNORMAL"):
        other.fit(X, y)
    assert own.fit(X, y).loss_ < 1 < other.loss_


def test_lbfgs_with_several_outputs_reaches_a_lower_loss():
    """scikit-learn's loss is the mean over outputs there, its gradient that of the sum."""
    X, y = LINNERUD
    own, other = pair("MLPRegressor", solver="lbfgs", max_iter=500, hidden_layer_sizes=(7,), alpha=0.1)
    assert own.fit(X, y).loss_ < 1.05 * other.fit(X, y).loss_
    data, penalty = (((y - own.predict(X)) ** 2).mean(), sum((w**2).sum() for w in own.coefs_))
    assert own.loss_ == pytest.approx(0.5 * data + 0.1 / 2 * penalty / len(X))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("data", ["multiclass", "regression", "poisson"])
def test_sample_weight_with_one_batch(data, solver):
    name, (X, y), own = DATA[data]
    weight = np.random.default_rng(1).uniform(0.1, 2, len(X))
    estimators = pair(name, solver=solver, max_iter=15, hidden_layer_sizes=(7,), alpha=0.5, **own)
    for estimator in estimators:
        estimator.fit(X, y, weight)
    assert_same(*estimators, X)


WEIGHTED = {
    "adam": {"batch_size": 16},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02, "batch_size": 13},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.02,
        "batch_size": 13,
        "tol": 1e-3,
    },
    "no shuffling": {"shuffle": False, "batch_size": 50},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3, "batch_size": 16},
}


@pytest.mark.slow
@pytest.mark.parametrize(("data", "case"), sampled(itertools.product(DATA, WEIGHTED), every=3))
def test_weighted_training_stops_where_scikit_learns_does(data, case):
    """Batches do not divide the samples, and a tenth of these outweighs the rest."""
    name, (X, y), own = DATA[data]
    weight = np.where(np.random.default_rng(1).uniform(size=len(X)) < 0.1, 10, 0.1)
    estimators = pair(name, max_iter=1000, hidden_layer_sizes=(8,), **own, **WEIGHTED[case])
    for estimator in estimators:
        estimator.fit(X, y, weight)
    assert_same(*estimators, X)


@pytest.mark.parametrize("data", ["multiclass", "poisson", "several outputs"])
def test_weights_of_zero(data):
    name, (X, y), own = DATA[data]
    weight = np.arange(len(X)) % 3.0
    estimators = pair(name, max_iter=1000, batch_size=10, shuffle=False, learning_rate_init=0.01, **own)
    for estimator in estimators:
        estimator.fit(X, y, weight)
    assert_same(*estimators, X)


def test_a_batch_without_weight_counts_for_nothing():
    X, y = WINE
    weight = np.r_[np.zeros(20), np.ones(len(X) - 20)]
    own, rest = (ours.MLPClassifier(batch_size=20, shuffle=False, max_iter=1, alpha=0.0) for _ in range(2))
    own.set_params(solver="sgd", momentum=0.0, random_state=0).fit(X, y, weight)
    rest.set_params(solver="sgd", momentum=0.0, random_state=0).fit(X[20:], y[20:])
    assert own.loss_curve_ == rest.loss_curve_
    np.testing.assert_array_equal(own.coefs_[0], rest.coefs_[0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("data", ["multiclass", "binary"])
def test_losses_of_sure_mistakes_are_bounded(data, solver, dtype):
    """Data that is not scaled: scikit-learn takes logarithms of clipped probabilities, and stops by them."""
    X = datasets.load_wine().data.astype(dtype)
    estimators = pair("MLPClassifier", max_iter=25, solver=solver)
    for estimator in estimators:
        estimator.fit(X, DATA[data][1][1])
    own, other = estimators
    assert own.loss_curve_[0] > 5 and own.n_iter_ == other.n_iter_
    np.testing.assert_allclose(own.loss_curve_, other.loss_curve_, rtol=1e-7 if dtype is np.float64 else 1e-3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_score_that_is_not_a_number_counts_as_scikit_learns():
    """A rate of the validation set overflows: the score is NaN, which is not worse than the best one."""
    settings = {"loss": "poisson", "early_stopping": True, "max_iter": 30, "n_iter_no_change": 3, "tol": 1.0}
    for row, factor in itertools.product(range(len(COUNTS[0])), (1e5, -1e5)):
        X, y = COUNTS[0].copy(), COUNTS[1]
        X[row] *= factor
        own, other = pair("MLPRegressor", validation_fraction=0.3, **settings)
        try:
            other.fit(X, y)
        except ValueError:  # the row is trained on
            continue
        if np.isnan(other.validation_scores_).any():
            break
    own.fit(X, y)
    assert np.isnan(own.validation_scores_).any()
    np.testing.assert_allclose(own.validation_scores_, other.validation_scores_)
    assert own.n_iter_ == other.n_iter_


@pytest.mark.parametrize("settings", [{}, {"solver": "sgd", "learning_rate": "invscaling"}], ids=str)
@pytest.mark.parametrize("data", ["multiclass", "binary", "regression", "several outputs"])
def test_partial_fit(data, settings):
    name, (X, y), own = DATA[data]
    estimators = pair(name, learning_rate_init=0.01, batch_size=15, **own, **settings)
    for estimator in estimators:
        for start in range(0, 20, 4):
            rows = slice(start % len(X), None)
            classes = {"classes": np.unique(y)} if name == "MLPClassifier" and start == 0 else {}
            estimator.partial_fit(X[rows], y[rows], **classes)
    assert_same(*estimators, X)


WARM = [{}, {"solver": "sgd"}, {"solver": "lbfgs"}, {"early_stopping": True}]


@pytest.mark.parametrize("settings", WARM, ids=str)
def test_warm_start(settings):
    X, y = WINE
    estimators = pair("MLPClassifier", warm_start=True, max_iter=6, hidden_layer_sizes=(7,), **settings)
    for estimator in estimators:
        for _ in range(3):
            estimator.fit(X, y)
        estimator.set_params(alpha=1.0, max_iter=3).fit(X, y)
    assert_same(*estimators, X)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_attributes_are_all_there(name):
    own, other = pair(name)
    given = other.get_params()
    assert {key: own.get_params()[key] for key in given} == given
    assert own.loss == other.loss
    X, y = DIABETES if name == "MLPRegressor" else WINE
    for estimator in (own, other):
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
            estimator.set_params(max_iter=3).fit(X, y)
    public = {attribute for attribute in dir(other) if not attribute.startswith("_")}
    assert public <= set(dir(own))


def test_what_verbose_prints(capsys):
    X, y = WINE
    printed = []
    for settings in ({"early_stopping": True}, {"tol": 0.1}):
        for estimator in pair("MLPClassifier", verbose=True, max_iter=200, n_iter_no_change=2, **settings):
            estimator.fit(X, y)
            printed.append(capsys.readouterr().out)
    assert "Iteration 1, loss = " in printed[0] and "Stopping." in printed[2]
    assert printed[::2] == printed[1::2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_dtypes_follow_the_data(dtype):
    X, y = (2 * WINE[0]).astype(dtype), WINE[1]
    own, other = pair("MLPClassifier", max_iter=5)
    for estimator in (own, other):
        estimator.fit(X, y)
    assert own.coefs_[0].dtype == other.coefs_[0].dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert own.predict_proba(X).dtype == other.predict_proba(X).dtype
    np.testing.assert_allclose(own.loss_curve_, other.loss_curve_, rtol=1e-3)
