"""Networks that learn from river's streams: features and classes that appear later, tables, bad input."""

import copy
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("river", reason="the extra `river` is not installed")

from river import datasets, evaluate, metrics, preprocessing  # noqa: E402

import fastnn as fn  # noqa: E402
from fastnn.river import MLPClassifier, MLPRegressor  # noqa: E402

NAMES = ["a", "b"]


def samples(n, names=NAMES, seed=0):
    rng = np.random.default_rng(seed)
    return [dict(zip(names, row, strict=True)) for row in rng.normal(size=(n, len(names))).tolist()]


def trained(estimator, n=30):
    for x in samples(n):
        is_classifier = isinstance(estimator, MLPClassifier)
        estimator.learn_one(x, x["a"] > 0 if is_classifier else 2 * x["a"] - x["b"])
    return estimator


def regressor(**options):
    return MLPRegressor((7, 4), "tanh", **{"learning_rate_init": 0.05, "seed": 0, **options})


def classifier(**options):
    return MLPClassifier((7,), "tanh", **{"learning_rate_init": 0.05, "seed": 0, **options})


def row(x):
    return np.array([x[name] for name in NAMES], np.float32)


# --- one sample at a time


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_is_a_step_of_the_network(dtype):
    model = trained(regressor(alpha=0.01, dtype=dtype))
    network = copy.deepcopy(model.model)
    for x in samples(5, seed=1):
        model.learn_one(x, x["b"])
        network.partial_fit(np.array([x["a"], x["b"]], dtype), x["b"])
        assert np.array_equal(model.model.parameters, network.parameters)
        assert model.predict_one(x) == network.predict(np.array([x["a"], x["b"]], dtype))[0]
    assert model.features == ("a", "b")


def test_numbers_of_any_kind_are_features():
    model, plain = trained(regressor()), trained(regressor())
    model.learn_one({"a": np.float64(0.5), "b": True}, np.int64(2))
    plain.learn_one({"a": 0.5, "b": 1.0}, 2.0)
    for y in (3, True, np.float32(0.25), Decimal("0.5"), Fraction(1, 4), 1e6):
        model.learn_one({"a": Fraction(1, 2), "b": Decimal(1)}, y)
        plain.learn_one({"a": 0.5, "b": 1.0}, float(y))
    assert np.array_equal(model.model.parameters, plain.model.parameters)


def test_probabilities_are_those_of_the_outputs():
    model = trained(classifier())
    for x in samples(5):
        given = model.predict_proba_one(x)
        logits = model.model.predict(row(x)).astype(float)
        expected = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose([given[label] for label in model.classes], expected, rtol=1e-12)
        assert model.predict_one(x) == max(given, key=given.get)


@pytest.mark.parametrize("make", [regressor, classifier])
def test_the_same_seed_gives_the_same_whatever_the_order_of_features(make):
    model, other = make(), make()
    for x in samples(20, ["c", "b", "a"]):
        model.learn_one(x, x["a"] > 0)
        other.learn_one(dict(sorted(x.items())), x["a"] > 0)
    assert model.model.parameters.tobytes() == other.model.parameters.tobytes()
    assert (make(seed=1).learn_one({"a": 1}, 1), make(seed=None).seed) == (None, None)


@pytest.mark.parametrize("make", [regressor, classifier])
def test_copies_learn_on(make):
    model = trained(make())
    copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), model.clone(include_attributes=True)]
    fresh = model.clone()
    assert fresh.model is None and fresh.features == ()  # noqa: PT018
    for each in (model, *copies):
        for x in samples(10, ["a", "b", "c"], seed=1):
            each.learn_one(x, x["c"] > 0)
    assert len({each.model.parameters.tobytes() for each in (model, *copies)}) == 1


# --- what appears later


@pytest.mark.parametrize("optimizer", ["adam", fn.SGD(0.01), fn.SGD(0.01, momentum=0.9)])
def test_a_new_feature_changes_nothing_else(optimizer):
    """As long as it is 0, the network and its optimizer do what they did without it, to the bit."""
    model = trained(regressor(optimizer=optimizer, alpha=0.0))
    before = copy.deepcopy(model.model)
    for k, x in enumerate(samples(10, seed=2)):
        model.learn_one({**x, "c": 0.0}, x["a"])
        before.partial_fit(row(x), x["a"])
        weights = model.model.layers[0].weights
        if k == 0:
            drawn = weights[2].copy()
        assert weights[:2].tobytes() == before.layers[0].weights.tobytes()
        assert model.model.parameters[-37:].tobytes() == before.parameters[-37:].tobytes()
        assert np.array_equal(weights[2], drawn)
    assert model.features == ("a", "b", "c")
    assert model.model.state.step == before.state.step == 40
    assert len(set(drawn.tolist())) == 7 and abs(drawn).max() <= np.sqrt(6 / (3 + 7))  # noqa: PT018
    model.learn_one({"a": 0.0, "b": 0.0, "c": 1.0}, 3.0)
    assert (model.model.layers[0].weights[2] != drawn).all()


def test_what_is_drawn_for_features_does_not_depend_on_when_they_appear():
    late, early = regressor(alpha=0.0), regressor(alpha=0.0)
    early.learn_one({"a": 0.0, "b": 0.0, "c": 0.0}, 0.0)
    late.learn_one({"a": 0.0}, 0.0)
    late.learn_one({"a": 0.0, "b": 0.0}, 0.0)
    late.learn_one({"a": 0.0, "b": 0.0, "c": 0.0}, 0.0)
    assert np.array_equal(late.model.layers[0].weights[2], early.model.layers[0].weights[2])


def test_a_network_is_not_made_again_for_each_feature():
    model, networks = regressor(), []
    for k in range(60):
        model.learn_one({f"word {j}": 1.0 for j in range(k, k + 3)}, float(k % 2))
        if not networks or model.model is not networks[-1]:
            networks.append(model.model)
    assert len(model.features) == 62 <= model.model.n_in < 93
    assert len(networks) <= 10
    assert not model.model.layers[0].weights[62:].any()


def test_a_changed_rate_stays_when_the_network_grows():
    model = trained(regressor(optimizer=fn.SGD(0.01)))
    model.model.optimizer.learning_rate = 0.0
    before = model.model
    model.learn_one({"a": 1.0, "b": 1.0, "c": 1.0}, 5.0)
    assert model.model is not before
    assert np.array_equal(model.model.layers[0].weights[:2], before.layers[0].weights)
    assert model.optimizer.learning_rate == 0.01


def test_absent_features_are_zero_and_unknown_ones_are_left_out():
    model = trained(regressor())
    assert model.predict_one({"b": 0.3}) == model.predict_one({"a": 0.0, "b": 0.3})
    assert model.predict_one({"a": 0.1, "b": 0.3, "z": 9.0}) == model.predict_one({"b": 0.3, "a": 0.1})
    other = copy.deepcopy(model)
    model.learn_one({"b": 0.3}, 1.0)
    other.learn_one({"a": 0.0, "b": 0.3}, 1.0)
    assert np.array_equal(model.model.parameters, other.model.parameters)
    model.learn_one({}, 1.0)
    assert model.features == ("a", "b")


def test_a_new_class_changes_nothing_else():
    model = trained(classifier(optimizer=fn.optimizers.Adam(1e-30), alpha=0.0))
    before = model.model
    first, second = (memory.copy() for memory in before.state.optimizer.reshape(2, -1))
    model.learn_one({"a": 0.5, "b": 1.0}, "new")
    after = model.model
    assert model.classes == (True, False, "new") or model.classes == (False, True, "new")
    hidden, last = after.layers
    assert np.array_equal(hidden.weights, before.layers[0].weights)
    assert np.array_equal(last.weights[:, :2], before.layers[1].weights)
    assert last.weights[:, 2].all()
    assert after.state.step == before.state.step + 1
    moments = after.state.optimizer.reshape(2, -1)
    hidden_size = 2 * 7 + 7
    for old, new, decay in ((first, moments[0], 0.9), (second, moments[1], 0.999)):
        assert old[:hidden_size].any()
        change = np.abs(new[:hidden_size] - decay * old[:hidden_size])
        assert (change <= (1 - decay) * 4).all()  # what a step adds, of small gradients
    assert set(model.predict_proba_one({"a": 0.5})) == {True, False, "new"}


def test_classes_one_by_one():
    model = classifier()
    assert (model.predict_one({"a": 1}), model.predict_proba_one({"a": 1})) == (None, {})
    for k in range(300):
        model.learn_one({f"is {k % 5}": 1.0}, k % 5)
        if k == 0:
            assert (model.model, model.predict_one({}), model.predict_proba_one({})) == (None, 0, {0: 1.0})
    assert [model.predict_one({f"is {k}": 1.0}) for k in range(5)] == [0, 1, 2, 3, 4]


# --- tables


def test_a_mini_batch_is_a_step():
    X = pd.DataFrame(samples(12), index=np.arange(12) * 2)
    model = trained(regressor())
    network = copy.deepcopy(model.model)
    model.learn_many(X[["b", "a"]], pd.Series(np.arange(12.0)))
    network.partial_fit(X.to_numpy(np.float32), np.arange(12.0))
    assert np.array_equal(model.model.parameters, network.parameters)
    given = model.predict_many(X.assign(z=1.0))
    assert given.index.tolist() == X.index.tolist()
    assert given.tolist() == [model.predict_one(x) for x in X.to_dict("records")]
    model.learn_many(X.assign(c=True), pd.Series(range(12)))
    assert model.features == ("a", "b", "c")
    assert model.predict_many(X[:0]).tolist() == []
    model.learn_many(X[:0].assign(d=1), pd.Series([], dtype=float))
    assert model.features == ("a", "b", "c")


def test_mini_batches_of_classes():
    X = pd.DataFrame(samples(40))
    y = pd.Series(np.where(X["a"] > 0, "yes", "no"))
    model = classifier()
    assert model.predict_many(X).tolist() == 40 * [None]
    assert model.predict_proba_many(X).shape == (40, 0)
    for _ in range(60):
        model.learn_many(X, y)
    assert (model.predict_many(X) == y).mean() > 0.9
    table = model.predict_proba_many(X)
    assert list(table.columns) == list(model.classes)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-6)
    one = model.predict_proba_one(X.iloc[3].to_dict())
    np.testing.assert_allclose(table.iloc[3], list(one.values()), rtol=1e-5)


# --- in river


def test_pipelines_are_validated_progressively():
    network = MLPClassifier((20,), learning_rate_init=0.01, seed=0)
    model = preprocessing.StandardScaler() | network
    score = evaluate.progressive_val_score(datasets.ImageSegments(), model, metrics.Accuracy())
    assert score.get() > 0.85
    error = evaluate.progressive_val_score(
        datasets.TrumpApproval(),
        preprocessing.StandardScaler()
        | preprocessing.TargetStandardScaler(MLPRegressor((20,), learning_rate_init=0.01, seed=0)),
        metrics.MAE(),
    )
    assert error.get() < 0.7


# --- what is wrong

X_TEXT = pd.DataFrame({"a": [1.0], "b": ["red"]})
X_NAN = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, np.nan]})
WRONG_FEATURES = {
    "text": ({"a": 1.0, "b": "red"}, TypeError, "feature 'b' must be a number, got 'red'.*OneHotEncoder"),
    "number in text": ({"a": "1.5", "b": 1.0}, TypeError, "feature 'a' must be a number, got '1.5'"),
    "none": ({"a": None, "b": 1.0}, TypeError, "feature 'a' must be a number, got None"),
    "nan": ({"a": 1.0, "b": float("nan")}, ValueError, "feature 'b' must be finite.*nan.*StatImputer"),
    "infinity": ({"a": float("-inf"), "b": 1.0}, ValueError, "feature 'a' must be finite.*-inf"),
    "far too large": ({"a": 10**400, "b": 1}, ValueError, "feature 'a' must be finite in float32, got 1000"),
    "too large": ({"a": 1e39, "b": 1.0}, ValueError, "feature 'a' must be finite in float32, got 1e[+]39"),
    "new and nan": ({"a": 1.0, "b": 1.0, "c": float("nan")}, ValueError, "feature 'c' must be finite"),
    "a list": ([1.0, 2.0], TypeError, "x must be a dictionary of features, got list"),
    "a number": (3.0, TypeError, "x must be a dictionary of features, got float"),
}


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("name", WRONG_FEATURES)
@pytest.mark.parametrize("is_new", [False, True])
def test_wrong_features_are_named_before_anything_changes(name, make, is_new):
    x, error, message = WRONG_FEATURES[name]
    model = make() if is_new else trained(make())
    before = pickle.dumps(model)
    with pytest.raises(error, match=message):
        model.learn_one(x, 1.0)
    with pytest.raises(error, match=message):
        model.predict_one(x)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("make", [regressor, classifier])
def test_wrong_tables_are_refused_before_anything_changes(make):
    model = trained(make())
    before = pickle.dumps(model)
    for X, error, message in (
        (X_TEXT, TypeError, "feature 'b' must be a column of numbers"),
        (X_NAN.assign(c=1), ValueError, "feature 'b' must be finite.*nan in row 1"),
        (X_NAN.fillna(1e60), ValueError, "feature 'b' must be finite in float32, got 1e[+]60 in row 1"),
    ):
        with pytest.raises(error, match=message):
            model.learn_many(X, pd.Series(np.ones(len(X))))
        with pytest.raises(error, match=message):
            model.predict_many(X)
    with pytest.raises(ValueError, match="for each of 1 samples, got 3"):
        model.learn_many(X_TEXT[["a"]], pd.Series([1.0, 2.0, 3.0]))
    assert pickle.dumps(model) == before


WRONG_TARGETS = [
    (regressor, "3", TypeError, "y must be a number, got '3'"),
    (regressor, None, TypeError, "y must be a number, got None"),
    (regressor, float("nan"), ValueError, "y must be finite in float32, got nan"),
    (regressor, 1e300, ValueError, "y must be finite in float32, got 1e[+]300"),
    (regressor, 10**400, ValueError, "y must be finite in float32, got 1000"),
    (regressor, 1 + 1j, TypeError, "y must be a number"),
    (classifier, [1], TypeError, r"y must be a label that can be a key of a dictionary.*got \[1\]"),
    (classifier, np.ones(2), TypeError, "y must be a label that can be a key"),
    (classifier, None, ValueError, "y must be a label, got None"),
    (classifier, float("nan"), ValueError, "y must be a label, got nan"),
]


@pytest.mark.parametrize(("make", "y", "error", "message"), WRONG_TARGETS)
def test_wrong_targets_are_refused_before_anything_changes(make, y, error, message):
    model = trained(make())
    before = pickle.dumps(model)
    for x in ({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0, "c": 3.0}):
        with pytest.raises(error, match=message):
            model.learn_one(x, y)
    if not isinstance(y, np.ndarray):
        column = pd.Series([1, y], dtype=object)
        with pytest.raises(error, match=message):
            model.learn_many(pd.DataFrame(samples(2, ["a", "c"])), column)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, ValueError, "hidden_layer_sizes must be >= 1, got 0"),
        ({"activation": "rellu"}, ValueError, "relu"),
        ({"alpha": -1.0}, ValueError, "alpha"),
        ({"learning_rate_init": -0.1}, ValueError, "learning_rate"),
        ({"optimizer": "adamm"}, ValueError, "adam"),
        ({"dtype": "float16"}, ValueError, "float16"),
        ({"seed": -1}, ValueError, "seed"),
        ({"loss": "cross_entropy"}, ValueError, "loss must be for values"),
        ({"loss": "squared"}, ValueError, "squared"),
    ],
)
def test_wrong_parameters_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        MLPRegressor(**options)
    if "loss" not in options:
        with pytest.raises(error, match=message):
            MLPClassifier(**options)


def test_a_diverged_step_changes_no_weights():
    model = MLPRegressor((3,), "identity", optimizer=fn.SGD(1e30), seed=0)
    model.learn_one({"a": 1.0}, 1.0)
    before = model.model.parameters.copy()
    with pytest.raises(fn.DivergenceError):
        for _ in range(9):
            before = model.model.parameters.copy()
            model.learn_one({"a": 1e3}, -1e3)
    assert np.array_equal(model.model.parameters, before)


def test_without_the_package(monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.startswith("fastnn.river")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(fn, "river", raising=False)
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(ImportError, match=r"fastnn-jit\[river\]"):
        fn.river  # noqa: B018
