"""Weights of single outputs, missing targets, weights of labels that hold, classes of several labels."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
import fastnn.scipy
from tests.helpers.reference import LOSSES
from tests.helpers.tolerances import PRODUCT, TRAINING

RNG = np.random.default_rng(0)
N, N_OUT = 50, 3
X = RNG.normal(size=(N, 4))
VALUES, BITS = RNG.normal(size=(N, N_OUT)), RNG.integers(0, 2, (N, N_OUT)).astype(float)
WEIGHT = RNG.uniform(0.1, 2, (N, N_OUT))
WEIGHT[::3, 1] = 0
WEIGHT[7] = 0
ELEMENTWISE = {
    "mse": (fn.losses.mse(), VALUES),
    "sse": (fn.losses.sse(), VALUES),
    "mae": (fn.losses.mae(), VALUES),
    "huber": (fn.losses.huber(0.5), VALUES),
    "quantile": (fn.losses.quantile(0.8), VALUES),
    "poisson": (fn.losses.poisson(), np.abs(VALUES)),
    "binary_cross_entropy": (fn.losses.binary_cross_entropy(), BITS),
    "pos_weight": (fn.losses.binary_cross_entropy(pos_weight=3.0), BITS),
    "scaled": (fn.losses.mse().scaled(0.5), VALUES),
    "own": (
        fn.register_loss(lambda y, t: (y - t) ** 4, lambda y, t: 4 * (y - t) ** 3, "fourth_of_outputs"),
        VALUES,
    ),
}
del fn.losses.TABLE["fourth_of_outputs"]  # for the tests of all losses
elementwise = pytest.mark.parametrize(("loss", "y"), ELEMENTWISE.values(), ids=ELEMENTWISE)


def network(loss="mse", dtype="float64", last=None, n_out=N_OUT, **options):
    return fn.Model([fn.Dense(5, "tanh"), fn.Dense(n_out, last)], loss, dtype=dtype, seed=0, **options)


def by_hand(loss, prediction, y, weight):
    """Each output as a batch of one row with one output, and their weighted mean or sum."""
    pairs = zip(prediction.ravel(), y.ravel(), strict=True)
    if loss.name == "fourth_of_outputs":
        each = [(p - t) ** 4 for p, t in pairs]
    else:
        each = [LOSSES[loss.name](np.array([[p]]), np.array([[t]]), **loss.settings)[0] for p, t in pairs]
    total = loss.factor * (np.array(each) * weight.ravel()).sum()
    return total if loss.is_sum else total / weight.sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@elementwise
def test_loss_and_gradient(loss, y, dtype):
    model = network(loss, dtype).build(4)
    expected = by_hand(loss, model.predict(X).astype(np.float64), y, WEIGHT)
    assert model.evaluate(X, y, WEIGHT)["loss"] == pytest.approx(expected, **tolerance(dtype))
    assert model.loss_and_gradient(X, y, WEIGHT)[0] == pytest.approx(expected, **tolerance(dtype))
    assert fn.check_gradient(model, X, y, WEIGHT, tolerance=1e-5) < 1e-5


def tolerance(dtype):
    return {"rel": PRODUCT[dtype]["rtol"], "abs": PRODUCT[dtype]["atol"]}


@elementwise
def test_equal_weights_of_a_row_are_the_weight_of_the_row(loss, y):
    model, rows = network(loss).build(4), WEIGHT[:, 0]
    found = model.loss_and_gradient(X, y, np.tile(rows[:, np.newaxis], N_OUT))
    expected = model.loss_and_gradient(X, y, rows)
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    assert_allclose(found[1], expected[1], **PRODUCT["float64"])


METRICS = {
    "mse": lambda p, t: np.average((p - t) ** 2, weights=WEIGHT),
    "mae": lambda p, t: np.average(np.abs(p - t), weights=WEIGHT),
    "r2": lambda p, t: np.mean([r2(p[:, j], t[:, j], WEIGHT[:, j]) for j in range(N_OUT)]),
    "accuracy": lambda p, t: np.average((p > 0.5) == (t > 0.5), weights=WEIGHT),
}


def r2(p, t, w):
    return 1 - w @ (t - p) ** 2 / (w @ (t - np.average(t, weights=w)) ** 2)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [7, N])
@pytest.mark.parametrize("metric", METRICS)
def test_metrics_and_the_figures_of_an_epoch(metric, batch_size, shuffle):
    """A training with a rate of 0 records what `evaluate` gives, by batches in any order too."""
    model = network(optimizer=fn.SGD(0.0), metrics=[metric])
    figures = model.evaluate(X, BITS, WEIGHT)
    assert figures[metric] == pytest.approx(METRICS[metric](model.predict(X), BITS), rel=1e-12)
    options = {"batch_size": batch_size, "shuffle": shuffle, "validation_data": (X, BITS, WEIGHT)}
    history = model.fit(X, BITS, epochs=2, sample_weight=WEIGHT, **options).history
    for name, value in figures.items():
        assert history[name] == pytest.approx([value, value], rel=1e-12)
        assert history[f"val_{name}"] == [value, value]


@pytest.mark.parametrize("weight", [WEIGHT, WEIGHT > 0], ids=["weights", "there or not"])
def test_training_by_a_team_is_to_the_same_bits(weight):
    rows = RNG.integers(0, N, 600)
    runs = []
    for threads in (1, 2):
        model = fn.Model([fn.Dense(150, "tanh"), fn.Dense(N_OUT)], "mse", seed=0)
        model.fit(
            X[rows], VALUES[rows], epochs=2, batch_size=256, sample_weight=weight[rows], threads=threads
        )
        runs.append(model.parameters)
    assert np.array_equal(*runs)


def test_rows_from_a_file(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    first, second = network(), network()
    first.fit(mapped, VALUES, epochs=2, sample_weight=WEIGHT)
    second.fit(X.astype(np.float32), VALUES, epochs=2, sample_weight=WEIGHT)
    assert np.array_equal(first.parameters, second.parameters)


def test_one_output_takes_a_column():
    models = network(n_out=1), network(n_out=1)
    for model, weight in zip(models, (WEIGHT[:, :1], WEIGHT[:, 0]), strict=True):
        model.fit(X, VALUES[:, :1], epochs=2, sample_weight=weight)
    assert np.array_equal(models[0].parameters, models[1].parameters)


def test_layers_that_measure_the_data_take_the_mean_weight_of_a_row():
    layers = [[fn.Standardize(), fn.Dense(N_OUT)] for _ in range(2)]
    models = [fn.Model(own, "mse", dtype="float64", seed=0) for own in layers]
    models[0].fit(X, VALUES, sample_weight=WEIGHT)
    models[1].build(4).adapt(X, WEIGHT.mean(axis=1))
    assert_allclose(models[0].layers[0](X), models[1].layers[0](X), **PRODUCT["float64"])


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (network(), (N, 2), rf"\({N},\) or \({N}, 3\), got \({N}, 2\)"),
        (network(), (N, N_OUT, 1), "dimensions"),
        (network("cross_entropy"), (N, N_OUT), "must have 1 dimensions"),
    ],
    ids=["width", "dimensions", "classes"],
)
def test_other_shapes_are_refused(model, shape, message):
    y = np.zeros(N, int) if model.loss.target == "classes" else VALUES
    with pytest.raises(ValueError, match=f"sample_weight must have .*{message}|{message}"):
        model.fit(X, y, sample_weight=np.ones(shape))


# ---- missing targets

MISSING = WEIGHT == 0


def with_missing(y, missing=MISSING):
    return np.where(missing, np.nan, y)


@pytest.mark.parametrize("options", [{}, {"sample_weight": np.arange(N) % 4}, {"sample_weight": WEIGHT + 1}])
@elementwise
def test_a_missing_target_has_no_weight(loss, y, options):
    model, plain = network(loss, missing_targets="ignore"), network(loss)
    given = options.get("sample_weight", np.ones(N))
    weight = (given if given.ndim == 2 else given[:, np.newaxis]) * ~MISSING
    target = with_missing(y)
    before = target.copy()
    shared = {"epochs": 3, "batch_size": 16, "validation_split": 0.3}
    history = model.fit(X, target, **shared, **options).history
    assert history == plain.fit(X, y, sample_weight=weight, **shared).history
    assert np.array_equal(model.parameters, plain.parameters)
    assert np.array_equal(target, before, equal_nan=True)
    assert model.evaluate(X, target, **options) == plain.evaluate(X, y, weight)
    found, expected = model.loss_and_gradient(X, target, **options), plain.loss_and_gradient(X, y, weight)
    assert found[0] == expected[0] and np.array_equal(found[1], expected[1])
    model.partial_fit(X, target, **options)
    plain.partial_fit(X, y, weight)
    assert np.array_equal(model.parameters, plain.parameters)


def test_the_other_ways_to_train_and_judge():
    y, weight = with_missing(VALUES), (~MISSING).astype(float)
    settings = {"missing_targets": "ignore", "dtype": "float64"}
    model, plain = network(missing_targets="ignore"), network()
    fn.fit_many([model], X, y, epochs=2, validation_data=(X, y))
    plain.fit(X, VALUES, sample_weight=weight, epochs=2)
    assert np.array_equal(model.parameters, plain.parameters)
    assert model.history.history["val_loss"][-1] == plain.evaluate(X, VALUES, weight)["loss"]
    assert fn.check_gradient(model, X, y) < 1e-5
    assert fn.Ensemble([model]).evaluate(X, y)["loss"] == pytest.approx(model.evaluate(X, y)["loss"])
    first, second = fn.Model([fn.Dense(N_OUT)], "mse", **settings), network()
    exact = fn.Model([fn.Dense(N_OUT)], "mse", **settings)
    fastnn.scipy.minimize(first, X, y, tol=1e-12)
    fastnn.scipy.least_squares(exact, X, y)
    for j in range(N_OUT):  # each output by itself is linear regression on the rows that have it
        rows = ~MISSING[:, j]
        inputs = np.column_stack([X[rows], np.ones(rows.sum())])
        expected = np.linalg.lstsq(inputs, VALUES[rows, j], rcond=None)[0]
        for fitted in (first, exact):
            layer = fitted.layers[0]
            assert_allclose([*layer.weights[:, j], layer.bias[j]], expected, **TRAINING["float32"])
    assert second.missing_targets == "raise"


def test_own_metrics_see_what_is_missing():
    seen = []

    def largest(y, prediction, sample_weight):
        seen.append((y, prediction, sample_weight))
        return np.nanmax(np.abs(y - prediction))

    model = network(metrics=[largest], missing_targets="ignore").build(4)
    figure = model.evaluate(X, with_missing(VALUES))["largest"]
    rows = ~MISSING.all(axis=1)
    assert figure == np.abs(model.predict(X) - VALUES)[~MISSING].max()
    assert np.array_equal(seen[0][0], with_missing(VALUES)[rows], equal_nan=True)
    assert np.array_equal(seen[0][2], ~MISSING[rows])

    def share(y, prediction):
        seen.append(y)
        return 0.0

    classes = network("cross_entropy", metrics=[share], missing_targets="ignore")
    classes.evaluate(X[:4], [0, np.nan, 2, np.nan])
    assert seen[-1].tolist() == [0, 2] and seen[-1].dtype == np.int64


@pytest.mark.parametrize("kind", ["numbers", "column", "one hot"])
def test_rows_without_a_class(kind):
    labels, missing = np.arange(N) % 3, np.arange(N) % 5 == 0
    y = np.eye(3)[labels] if kind == "one hot" else labels.astype(float)
    y = y[:, np.newaxis] if kind == "column" else y
    known = y.copy()
    y[missing] = np.nan
    if kind == "one hot":
        y[missing, 1:] = 0  # a part of a class is none
    model, plain = (
        network("cross_entropy", "float64", "softmax", missing_targets="ignore"),
        network("cross_entropy"),
    )
    history = model.fit(X, y, epochs=3, class_weight="balanced").history
    classes, weight = labels[~missing], np.zeros(N)
    weight[~missing] = (len(classes) / (3 * np.bincount(classes)))[classes]
    assert history == plain.fit(X, known, epochs=3, sample_weight=weight).history
    assert np.array_equal(model.parameters, plain.parameters)


def test_without_being_asked_nan_is_refused():
    with pytest.raises(ValueError, match="y must be finite .* got nan at"):
        network().fit(X, with_missing(VALUES))
    with pytest.raises(ValueError, match="y must be finite .* got inf at"):
        network(missing_targets="ignore").fit(X, np.where(MISSING, np.inf, VALUES))
    with pytest.raises(ValueError, match=f"y is missing .NaN. in all {N} samples"):
        network(missing_targets="ignore").fit(X, np.full_like(VALUES, np.nan))
    with pytest.raises(ValueError, match="validation y is missing"):
        network(missing_targets="ignore").fit(X, VALUES, validation_data=(X, VALUES * np.nan))
    with pytest.raises(ValueError, match="missing_targets must be 'raise' or 'ignore', got 'drop'"):
        network(missing_targets="drop")
    with pytest.raises(ValueError, match="missing_targets='ignore' needs a loss"):
        network(None, missing_targets="ignore")


def test_saved_and_pickled(tmp_path):
    model = network(fn.losses.huber(0.5).scaled(2.0), missing_targets="ignore").build(4)
    model.save(tmp_path / "m.safetensors")
    for again in (fn.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(model))):
        assert again.missing_targets == "ignore"
        assert again.loss == model.loss
        assert again.evaluate(X, with_missing(VALUES)) == model.evaluate(X, with_missing(VALUES))


# ---- labels


@pytest.mark.parametrize("last", [None, "sigmoid"])
def test_pos_weight_counts_a_label_that_holds_so_often(last):
    weighted = network(fn.losses.binary_cross_entropy(pos_weight=3.0), last=last)
    plain = network("binary_cross_entropy", last=last)
    weight = np.where(BITS == 1, 3.0, 1.0)
    found, expected = weighted.loss_and_gradient(X, BITS), plain.loss_and_gradient(X, BITS, weight)
    share = weight.mean()  # the loss is divided by the number of samples, not by the sum of the weights
    assert found[0] == pytest.approx(expected[0] * share, rel=1e-12)
    assert_allclose(found[1], expected[1] * share, **PRODUCT["float64"])
    assert fn.losses.binary_cross_entropy(pos_weight=1) == fn.losses.get("binary_cross_entropy")
    assert fn.losses.get(weighted.loss.config()) == weighted.loss
    with pytest.raises(ValueError, match="pos_weight must be > 0"):
        fn.losses.binary_cross_entropy(pos_weight=0)


@pytest.mark.parametrize(
    "sample_weight", [None, np.arange(N) % 4 + 0.5, WEIGHT], ids=["none", "rows", "outputs"]
)
def test_class_weights_of_several_labels(sample_weight):
    shared = np.where(BITS == 1, 3.0, 1.0)
    each = np.where(BITS == 1, [1.0, 2.0, 0.5], [1.0, 1.0, 4.0])
    balanced = np.empty_like(BITS)
    for j in range(N_OUT):
        counts = np.bincount(BITS[:, j].astype(int))
        balanced[:, j] = N / (2 * counts[BITS[:, j].astype(int)])
    given = np.ones((N, 1)) if sample_weight is None else sample_weight.reshape(N, -1)
    for class_weight, weight in [
        ({1: 3.0}, shared),
        ([{}, {1: 2.0}, {0: 4.0, 1: 0.5}], each),
        ("balanced", balanced),
        (["balanced", {}, "balanced"], np.where([[True, False, True]], balanced, 1)),
    ]:
        model, plain = network("binary_cross_entropy"), network("binary_cross_entropy")
        options = {"epochs": 1, "batch_size": None}
        history = model.fit(
            X, BITS, class_weight=class_weight, sample_weight=sample_weight, **options
        ).history
        expected = plain.fit(X, BITS, sample_weight=given * weight, **options).history
        for name in expected:
            assert history[name] == pytest.approx(expected[name], rel=1e-12)
        assert_allclose(model.parameters, plain.parameters, **TRAINING["float64"])
    with pytest.raises(ValueError, match="class_weight must have one entry for each of the 3 labels, got 2"):
        network("binary_cross_entropy").fit(X, BITS, class_weight=[{}, {}])
    with pytest.raises(ValueError, match=r"for classes 0 ... 1, got 2"):
        network("binary_cross_entropy").fit(X, BITS, class_weight={2: 1.0})


def test_balanced_labels_of_which_some_are_missing():
    model = network("binary_cross_entropy", missing_targets="ignore")
    weight = np.zeros_like(BITS)
    for j in range(N_OUT):
        there = ~MISSING[:, j]
        label = BITS[there, j].astype(int)
        weight[there, j] = there.sum() / (2 * np.bincount(label)[label])
    history = model.fit(X, with_missing(BITS), class_weight="balanced", batch_size=None).history
    expected = network("binary_cross_entropy").fit(X, BITS, sample_weight=weight, batch_size=None).history
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-12)
