"""Steps of `partial_fit` without scikit-learn's checks: as with them, and left where these matter."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor
from fastnn.sklearn._solvers import TrainableMLP
from tests.helpers import array_likes
from tests.helpers.short_ways import outcome

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 3))
BITS = RNG.integers(0, 2, (4, 3)).astype("float64")
TARGETS = {
    "two classes": RNG.integers(0, 2, 8),
    "three classes": np.array([3, 7, 3, 5, 5, 7, 3, 7]),
    "true or false": RNG.integers(0, 2, 8).astype(bool),
    "small integers": RNG.integers(-3, 3, 8).astype("int8"),
    "values": RNG.normal(size=8),
    "integers": RNG.integers(0, 9, 8),
    "several values": RNG.normal(size=(8, 2)).astype("float32"),
}
CLASSIFIED = {"two classes", "three classes", "true or false", "small integers"}


def make(name, **options):
    kind = MLPClassifier if name in CLASSIFIED else MLPRegressor
    return kind(hidden_layer_sizes=(4,), random_state=0, **options)


def first(estimator, x, y):
    """The first step."""
    classes = {"classes": np.unique(y)} if isinstance(estimator, MLPClassifier) else {}
    return estimator.partial_fit(x, y, **classes)


def the_long_way(estimator):
    """Let nothing be learned of a step."""
    estimator._learn_step = lambda X, y: None
    return estimator


def everything(estimator):
    """All that a step changes."""
    public = {
        name: np.array(value).tolist()
        for name, value in vars(estimator).items()
        if name.endswith("_") and name not in ("coefs_", "intercepts_", "model_", "validation_scores_")
    }
    state = estimator.model_.state
    arrays = state.parameters.tobytes(), state.optimizer.tobytes(), state.counters.tolist()
    views = [part.tobytes() for part in (*estimator.coefs_, *estimator.intercepts_)]
    history, stopped = estimator.model_.history, estimator.model_.stop_training
    kept = estimator._no_improvement_count, np.array(estimator._best_parameters).tobytes()
    return public, arrays, views, history.history, history.learning_rate, stopped, kept


@pytest.fixture
def long_steps(monkeypatch):
    """Counts steps with all checks."""
    made = []
    fit = TrainableMLP._fit

    def counted(self, *arguments, **options):
        made.append(self)
        return fit(self, *arguments, **options)

    monkeypatch.setattr(TrainableMLP, "_fit", counted)

    def of(call):
        made.clear()
        call()
        return len(made)

    return of


OPTIONS = {
    "plain": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1},
    "falling rates": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive rates": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 10.0},
    "dropout": {"dropout": 0.3},
    "an optimizer": {"optimizer": fn.optimizers.RMSprop(0.01)},
    "float32": {"dtype": "float32"},
    "small batches": {"batch_size": 2},
    "batches of all": {"batch_size": 5},
    "a tuple of activations": {"activation": ("tanh",)},
}


CASES = [(name, "plain") for name in TARGETS]
CASES += [(name, options) for name in ("three classes", "several values") for options in OPTIONS]


@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_same_bits_as_with_all_checks(name, options):
    y = TARGETS[name]
    short, long = make(name, **OPTIONS[options]), the_long_way(make(name, **OPTIONS[options]))
    for estimator in (short, long):
        first(estimator, X, y)
    for i in range(8):
        order = np.random.default_rng(i).permutation(8)[:5]
        for estimator in (short, long):
            assert estimator.partial_fit(X[order], y[order]) is estimator
        assert everything(short) == everything(long)
        assert short.score(X, y) == long.score(X, y)


@pytest.mark.parametrize("name", TARGETS)
def test_steps_need_no_checks(name, long_steps):
    y, estimator = TARGETS[name], make(name)
    first(estimator, X, y)
    assert long_steps(lambda: estimator.partial_fit(X[::-1], y[::-1])) == 0
    if name in CLASSIFIED:
        classes = estimator.classes_.tolist()
        assert long_steps(lambda: estimator.partial_fit(X, y, classes=classes)) == 0
        assert long_steps(lambda: estimator.partial_fit(X, y, classes=classes[::-1])) == 1
        with pytest.raises(ValueError, match="is not the same as on last call"):
            estimator.partial_fit(X, y, classes=[*classes, 99])


CHANGES = {
    "nothing": lambda e: None,
    "alpha": lambda e: e.set_params(alpha=0.5),
    "an equal parameter": lambda e: setattr(e, "alpha", np.float64(e.alpha)),
    "activation": lambda e: e.set_params(activation="tanh"),
    "another size": lambda e: e.set_params(hidden_layer_sizes=(5,)),
    "sizes of zero": lambda e: e.set_params(hidden_layer_sizes=0),
    "a wrong parameter": lambda e: e.set_params(tol=-1),
    "solver": lambda e: e.set_params(solver="lbfgs"),
    "early stopping": lambda e: e.set_params(early_stopping=True),
    "batch size": lambda e: e.set_params(batch_size=2),
    "larger batch size": lambda e: e.set_params(batch_size=100),
    "verbose": lambda e: e.set_params(verbose=True),
    "dtype": lambda e: e.set_params(dtype="float32"),
    "callbacks": lambda e: e.set_params(callbacks=[lambda epoch, logs: None]),
    "the model's rate": lambda e: setattr(e.model_.optimizer, "learning_rate", 0.5),
    "the model's optimizer": lambda e: setattr(e.model_, "optimizer", "sgd"),
    "a frozen layer": lambda e: setattr(e.model_.layers[0], "trainable", False),
    "written weights": lambda e: e.coefs_[0].__setitem__(slice(None), 0.25),
    "assigned weights": lambda e: e.coefs_.__setitem__(0, np.full((3, 4), 0.25)),
    "a list of weights": lambda e: setattr(e, "coefs_", [c + 1 for c in e.coefs_]),
    "wrong weights": lambda e: e.coefs_.__setitem__(0, np.zeros((3, 5))),
    "fewer weights": lambda e: e.coefs_.pop(),
    "infinite weights": lambda e: e.coefs_[0].__setitem__(0, np.inf),
    "no weights": lambda e: delattr(e, "coefs_"),
    "no biases": lambda e: delattr(e, "intercepts_"),
    "another model": lambda e: setattr(e, "model_", copy.deepcopy(e.model_)),
    "features": lambda e: setattr(e, "n_features_in_", 4),
    "names": lambda e: setattr(e, "feature_names_in_", np.array(["a", "b", "c"], object)),
    "a fit": lambda e: e.fit(X[:4], TARGETS["two classes"][:4]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHANGES)
def test_changes_between_steps(name):
    y, told = TARGETS["two classes"], []
    for way in (lambda estimator: estimator, the_long_way):
        estimator = way(make("two classes", max_iter=3))
        first(estimator, X, y).partial_fit(X, y).partial_fit(X, y)
        CHANGES[name](estimator)
        found = []
        for _ in range(2):
            kind, result = outcome(lambda: estimator.partial_fit(X, y))  # noqa: B023
            found.append("returned" if kind == "returned" else (kind, result))
        whole = hasattr(estimator, "coefs_") and hasattr(estimator, "intercepts_")
        state = everything(estimator) if whole else None
        told.append((found, state))
    np.testing.assert_equal(told[0], told[1])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lists_of_parameters_may_change(long_steps):
    """What is not fixed while an estimator has it is read again in each step."""
    y = TARGETS["two classes"]
    estimator = make("two classes").set_params(hidden_layer_sizes=[4])
    first(estimator, X, y)
    assert long_steps(lambda: estimator.partial_fit(X, y)) == 1
    estimator.hidden_layer_sizes[0] = 5
    with pytest.raises(ValueError, match="sizes of layers must stay the same"):
        estimator.partial_fit(X, y)


WRONG = {
    "an unknown class": (X, np.array([0, 1, 2, 0, 1, 0, 1, 0])),
    "a class below": (X, np.array([0, 1, -1, 0, 1, 0, 1, 0])),
    "classes as floats": (X, TARGETS["two classes"] + 0.5),
    "classes as text": (X, TARGETS["two classes"].astype(str)),
    "NaN": (np.where(X == X[2, 1], np.nan, X), TARGETS["two classes"]),
    "infinity": (np.where(X == X[2, 1], np.inf, X), TARGETS["two classes"]),
    "columns": (X[:, :2], TARGETS["two classes"]),
    "one sample": (X[0], TARGETS["two classes"][:1]),
    "no rows": (X[:0], TARGETS["two classes"][:0]),
    "other lengths": (X, TARGETS["two classes"][:7]),
    "too many axes": (X, TARGETS["two classes"].reshape(-1, 1, 1)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_samples_are_refused_as_ever(name):
    y, told = TARGETS["two classes"], []
    for way in (lambda estimator: estimator, the_long_way):
        estimator = way(make("two classes"))
        first(estimator, X, y).partial_fit(X, y).partial_fit(X, y)
        before = everything(estimator)
        found = outcome(lambda: estimator.partial_fit(*WRONG[name]))  # noqa: B023
        assert found[0] != "returned"
        assert everything(estimator) == before
        told.append((found, before))
    assert told[0] == told[1]


def test_targets_that_are_not_finite_are_refused_as_ever():
    for wrong in (np.nan, np.inf):
        told = []
        for way in (lambda estimator: estimator, the_long_way):
            estimator = way(make("values"))
            first(estimator, X, TARGETS["values"]).partial_fit(X, TARGETS["values"])
            y = TARGETS["values"].copy()
            y[3] = wrong
            told.append((outcome(lambda: estimator.partial_fit(X, y)), everything(estimator)))  # noqa: B023
        assert told[0] == told[1]
        assert told[0][0][0] is ValueError


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "place"), [("two classes", "X"), ("values", "y")])
def test_all_kinds_of_arrays_as_by_the_long_way(name, place):
    y = BITS[:, 0].astype(int) if name in CLASSIFIED else BITS[:, 0]
    short, long = make(name), the_long_way(make(name))
    for estimator in (short, long):
        first(estimator, BITS, np.resize(y, 4))
    kinds = {**array_likes.CONVERTED, **{n: make for n, (make, *_) in array_likes.REFUSED.items()}}
    kinds |= {n: make for n, (make, *_) in array_likes.REFUSED_OF_OTHER_LENGTH.items()}
    for kind, like in kinds.items():
        if kind == "too many to hold":
            continue
        told = []
        for estimator in (short, long):
            estimator.partial_fit(BITS, y)
            given = (like(BITS), y) if place == "X" else (BITS, like(y.astype(float)))
            found = outcome(lambda: estimator.partial_fit(*given))  # noqa: B023
            told.append("returned" if found[0] == "returned" else found)
        assert told[0] == told[1] or kind in ("a generator", "a set"), kind
        assert everything(short)[1] == everything(long)[1], kind


def test_divergence_is_told_as_ever():
    told = []
    for way in (lambda estimator: estimator, the_long_way):
        estimator = way(make("values", solver="sgd", learning_rate_init=1e-3))
        first(estimator, X, TARGETS["values"]).partial_fit(X, TARGETS["values"])
        estimator.model_.optimizer.learning_rate = 1e200
        found = [outcome(lambda: estimator.partial_fit(X, TARGETS["values"])) for _ in range(4)]  # noqa: B023
        told.append([one if one[0] != "returned" else "returned" for one in found])
    assert told[0] == told[1]
    assert told[0][-1][0] is ValueError


def test_weights_of_samples_take_all_checks(long_steps):
    y = TARGETS["two classes"]
    estimator = first(make("two classes"), X, y)
    assert long_steps(lambda: estimator.partial_fit(X, y, np.ones(8))) == 1
    assert long_steps(lambda: estimator.partial_fit(X, y)) == 1  # what was learned is of steps without
    assert long_steps(lambda: estimator.partial_fit(X, y)) == 0
    weighted = first(make("two classes").set_params(class_weight={0: 2.0, 1: 1.0}), X, y)
    assert long_steps(lambda: weighted.partial_fit(X, y)) == 1


def test_copies_pickles_and_clones(long_steps):
    y = TARGETS["two classes"]
    estimator = first(make("two classes"), X, y).partial_fit(X, y)
    for made in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
        assert "_step" not in vars(made)
        before = everything(estimator)
        assert long_steps(lambda: made.partial_fit(X, y)) == 1  # noqa: B023
        assert long_steps(lambda: made.partial_fit(X, y)) == 0  # noqa: B023
        assert everything(estimator) == before
    with pytest.raises(ValueError, match="classes must be passed"):
        clone(estimator).partial_fit(X, y)


def test_training_that_stops_improving_is_noticed():
    estimators = [make("two classes", tol=10.0, n_iter_no_change=2) for _ in range(2)]
    the_long_way(estimators[1])
    for estimator in estimators:
        first(estimator, X, TARGETS["two classes"])
        for _ in range(6):
            estimator.partial_fit(X, TARGETS["two classes"])
    assert everything(estimators[0]) == everything(estimators[1])
