"""Training: `fit` and `partial_fit` beside a hand-written NumPy network."""

import io
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from fastnn.engine import launch as engine
from tests.helpers import reference
from tests.helpers.networks import plain_loss_and_gradient
from tests.helpers.tolerances import PRODUCT, TRAINING

RNG = np.random.default_rng(0)
N, N_IN, N_OUT = 23, 3, 2
X = RNG.normal(size=(N, N_IN))
Y = np.column_stack([X @ [1.0, -2.0, 0.5], np.sin(X[:, 0])])
LABELS = RNG.integers(0, 3, N)
WEIGHT = RNG.uniform(0.1, 2, N)
L2 = 0.01

OPTIMIZERS = {
    "SGD": fn.SGD(0.1),
    "SGD momentum": fn.SGD(0.05, momentum=0.9),
    "SGD nesterov": fn.SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.01),
    "RMSprop": fn.RMSprop(0.01, rho=0.8),
    "Adagrad": fn.Adagrad(0.1, epsilon=1e-6),
    "Adam": fn.Adam(0.02, beta_1=0.8, beta_2=0.99),
    "Adam epsilon-hat": fn.Adam(0.02, epsilon=0.1, epsilon_hat=True),
    "AdamW": fn.AdamW(0.02, weight_decay=0.1),
    "SGD clipped by norm": fn.SGD(0.3, global_clipnorm=0.05),
    "SGD with a norm that is not reached": fn.SGD(0.3, global_clipnorm=100.0),
    "Adam clipped by value": fn.Adam(0.02, clipvalue=0.01),
}


LAST = {"nll": "log_softmax"}


def fresh(optimizer="adam", loss="mse", dtype="float64", seed=0, dropout=0.0, n_out=N_OUT):
    if not isinstance(optimizer, str):
        optimizer = fn.optimizers.get(optimizer.config())
    layers = [fn.Dense(5, "tanh", l2=L2), fn.Dropout(dropout), fn.Dense(n_out, LAST.get(loss))]
    return fn.Model(layers, loss=loss, optimizer=optimizer, dtype=dtype, seed=seed)


def numpy_loss_and_gradient(parameters, x, y, weight=None):
    """The network of `fresh` without dropout, by hand: mean squared error and its gradient."""
    w1, b1, w2, b2 = np.split(parameters, np.cumsum([N_IN * 5, 5, 5 * N_OUT]))
    w1, w2 = w1.reshape(N_IN, 5), w2.reshape(5, N_OUT)
    hidden = np.tanh(x @ w1 + b1)
    loss, d = reference.LOSSES["mse"](hidden @ w2 + b2, y, weight)
    d_hidden = (d @ w2.T) * (1 - hidden**2)
    penalty, d_penalty = reference.l1_l2(w1, l2=L2)
    parts = [x.T @ d_hidden + d_penalty, d_hidden.sum(axis=0), hidden.T @ d, d.sum(axis=0)]
    return loss + penalty, np.concatenate([part.ravel() for part in parts])


def numpy_fit(parameters, optimizer, epochs, batch_size, weight):
    """Return the parameters and the loss of each epoch: weighted mean over its rows, and mean penalty."""
    settings, state, history = optimizer.config(), {}, []
    name = settings.pop("name")
    if name == "RMSprop":
        assert settings.pop("momentum") == 0  # which the oracle does not know
    for _ in range(epochs):
        loss_sum = penalty_sum = 0.0
        for start in range(0, N, batch_size):
            rows = slice(start, start + batch_size)
            loss, gradient = numpy_loss_and_gradient(parameters, X[rows], Y[rows], weight[rows])
            penalty = reference.l1_l2(parameters[: N_IN * 5], l2=L2)[0]
            loss_sum += (loss - penalty) * weight[rows].sum()
            penalty_sum += penalty * len(weight[rows])
            parameters = reference.train_step(name, parameters, gradient, state, **settings)
        history.append(loss_sum / weight.sum() + penalty_sum / N)
    return parameters, history


# --- steps


@pytest.mark.parametrize("batch_size", [1, 7, 23, 1000, None])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_beside_numpy(optimizer, batch_size):
    model = fresh(optimizer).build(N_IN)
    start = model.parameters.copy()
    history = model.fit(X, Y, epochs=4, batch_size=batch_size, shuffle=False, sample_weight=WEIGHT)
    parameters, losses = numpy_fit(start, optimizer, 4, min(batch_size or N, N), WEIGHT)
    assert_allclose(model.parameters, parameters, **TRAINING["float64"])
    assert list(history.history) == ["loss"] and history.epoch == [0, 1, 2, 3]
    assert_allclose(history.history["loss"], losses, **TRAINING["float64"])
    assert history is model.history


@pytest.mark.parametrize("batch_size", [None, 5])
def test_partial_fit_is_one_epoch_in_the_given_order(batch_size):
    a, b = fresh("adam"), fresh("adam")
    for _ in range(3):
        assert a.partial_fit(X, Y, WEIGHT, batch_size=batch_size) is a
        b.fit(X, Y, sample_weight=WEIGHT, batch_size=batch_size, shuffle=False)
    assert np.array_equal(a.parameters, b.parameters)


@pytest.mark.parametrize("weight", [np.arange(N) % 3, np.ones(N, int)], ids=["0 1 2", "ones"])
def test_a_whole_weight_counts_a_row_as_often(weight):
    rows = np.repeat(np.arange(N), weight)
    a, b = fresh("adam"), fresh("adam")
    a.fit(X, Y, epochs=3, batch_size=None, sample_weight=weight)
    b.fit(X[rows], Y[rows], epochs=3, batch_size=None)
    assert_allclose(a.parameters, b.parameters, **PRODUCT["float64"])


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("sample_weight", [None, WEIGHT], ids=["", "sample_weight"])
def test_class_weight(loss, one_hot, sample_weight):
    counts = np.bincount(LABELS)
    for given, factor in [
        ({0: 2.0, 2: 0.5}, np.array([2, 1, 0.5])),
        ({np.int64(1): np.float32(0.5)}, np.array([1, 0.5, 1])),
        ("balanced", N / (3 * counts)),
        ({}, np.ones(3)),
    ]:
        model = fresh(fn.SGD(0.0), loss, n_out=3)
        y = np.eye(3)[LABELS] if one_hot else LABELS
        history = model.fit(X, y, class_weight=given, sample_weight=sample_weight, batch_size=None)
        total = factor[LABELS] * (1 if sample_weight is None else sample_weight)
        for name, value in model.evaluate(X, y, total).items():
            assert_allclose(history.history[name][0], value, **PRODUCT["float64"])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_shuffling_uses_each_row_once_an_epoch(batch_size):
    """With rows of the identity each weight belongs to one row, and no order of the rows matters to it."""
    runs = []
    for shuffle in (False, True):
        layer = fn.Dense(1, use_bias=False)
        model = fn.Model([layer], loss="sse", optimizer=fn.SGD(0.1), dtype="float64", seed=0)
        model.fit(np.eye(N), Y[:, 0], epochs=3, batch_size=batch_size, shuffle=shuffle)
        runs.append(model.parameters)
    assert_allclose(runs[0], runs[1], **PRODUCT["float64"])


@pytest.mark.parametrize("as_callback", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_same_seed_same_bits(optimizer, dtype, as_callback):
    options = {"batch_size": 5, "callbacks": [lambda epoch, logs: None] if as_callback else []}
    whole, again, parts, other = (fresh(optimizer, dtype=dtype, seed=s, dropout=0.3) for s in (1, 1, 1, 2))
    one, two, three = (model.fit(X, Y, epochs=3, **options) for model in (whole, again, other))
    assert one.history == two.history and np.array_equal(whole.parameters, again.parameters)
    assert one.history != three.history
    losses = [loss for _ in range(3) for loss in parts.fit(X, Y, **options).history["loss"]]
    assert losses == one.history["loss"] and np.array_equal(parts.parameters, whole.parameters)


def test_shuffling_changes_with_the_epoch_and_the_seed():
    def losses(seed, shuffle):
        model = fresh(fn.SGD(0.0), seed=seed).build(N_IN)
        model.parameters[...] = 0.1
        model.optimizer.learning_rate = 0.05
        return model.fit(X, Y, epochs=2, batch_size=3, shuffle=shuffle).history["loss"]

    assert losses(1, False) == losses(2, False)
    assert losses(1, True) == losses(1, True)
    assert len({losses(1, False)[0], losses(1, True)[0], losses(2, True)[0]}) == 3


def test_dropout_drops_while_training_only():
    layers = [fn.Dropout(0.5), fn.Dense(1, kernel_initializer=fn.initializers.constant(1 / 40_000))]
    model = fn.Model(layers, loss="mae", optimizer=fn.SGD(0.0), dtype="float64", seed=0)
    x, y = np.ones((1, 40_000)), np.zeros((1, 1))
    without = [model.predict(x)[0, 0], model.evaluate(x, y)["loss"], model.loss_and_gradient(x, y)[0]]
    assert_allclose(without, 1, **PRODUCT["float64"])
    losses = model.fit(x, y, epochs=8).history["loss"]
    assert_allclose(losses, 1, atol=0.05)  # the standard deviation is 0.005
    assert len(set(losses)) == 8


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers_converge(optimizer):
    model = fresh(optimizer, dtype="float32")
    losses = model.fit(X, Y, epochs=400, batch_size=8).history["loss"]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_new_optimizer_starts_anew(optimizer):
    model = fresh("adam")
    model.fit(X, Y, epochs=3)
    model.optimizer = fn.optimizers.get(optimizer.config())
    start = model.parameters.copy()
    model.fit(X, Y, epochs=3, batch_size=7, shuffle=False)
    assert_allclose(model.parameters, numpy_fit(start, optimizer, 3, 7, np.ones(N))[0], **TRAINING["float64"])


# --- threads


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_do_not_change_a_bit(dtype):
    """A problem whose batches are cut into several parts, the last of each epoch into fewer."""
    x, y = RNG.normal(size=(700, 40)), RNG.normal(size=(700, 3))

    def run(threads):
        layers = [fn.Dense(64, "tanh", l2=L2), fn.Dropout(0.3), fn.Dense(3)]
        optimizer = fn.Adam(global_clipnorm=0.1)
        model = fn.Model(layers, "mse", optimizer, metrics=["r2"], dtype=dtype, seed=0).build(40)
        loss, gradient = model.loss_and_gradient(x, y)
        expected_loss, expected_gradient = plain_loss_and_gradient(model, x, y)
        assert_allclose(loss, expected_loss, **PRODUCT[dtype])
        assert_allclose(gradient, expected_gradient, **PRODUCT[dtype])
        record = model.fit(x, y, epochs=2, batch_size=256, validation_split=0.1, threads=threads)
        return [model.parameters, gradient, *record.history.values(), model.predict(x)]

    first, *others = (run(threads) for threads in (1, 2, 3, None))
    for other in others:
        for a, b in zip(first, other, strict=True):
            assert np.array_equal(a, b)


# --- validation


@pytest.mark.parametrize(("split", "held_out"), [(0.25, 6), (0.5, 12), (1 / N, 1), (0.001, 1), (0.95, 22)])
def test_validation_split_takes_the_last_samples(split, held_out):
    model, other = fresh("adam"), fresh("adam")
    keep = N - held_out
    history = model.fit(X, Y, epochs=3, batch_size=4, sample_weight=WEIGHT, validation_split=split).history
    data = (X[keep:], Y[keep:], WEIGHT[keep:])
    same = other.fit(
        X[:keep], Y[:keep], sample_weight=WEIGHT[:keep], epochs=3, batch_size=4, validation_data=data
    ).history
    assert history == same and list(history) == ["loss", "val_loss"]
    assert history["val_loss"][-1] == model.evaluate(*data)["loss"]
    assert np.array_equal(model.parameters, other.parameters)


def test_validation_figures_hold_all_metrics():
    model = fresh("adam", "cross_entropy", n_out=3)
    history = model.fit(X, LABELS, epochs=2, validation_data=(X[:7], LABELS[:7])).history
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert {f"val_{k}": v for k, v in model.evaluate(X[:7], LABELS[:7]).items()} == {
        k: v[-1] for k, v in history.items() if k.startswith("val_")
    }
    assert fresh().fit(X, Y, epochs=0).history == {}


# --- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("verbose", "terminal", "shown"),
    [("auto", False, False), ("auto", True, True), (0, True, False), (1, False, True), (True, False, True)],
)
def test_progress(verbose, terminal, shown, monkeypatch, capsys):
    model = fresh().build(N_IN)
    model.fit(X, Y)  # what is compiled at all is compiled now: that is told too
    capsys.readouterr()
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    model.fit(X, Y, epochs=3, validation_split=0.5, verbose=verbose)
    assert capsys.readouterr().out == ""
    if shown:
        assert all(text in stream.getvalue() for text in ("3/3", "val_loss=", "epoch"))
    else:
        assert stream.getvalue() == ""


def test_many_short_epochs_are_recorded_without_python(monkeypatch):
    calls, run = [], engine.run
    monkeypatch.setattr(engine, "run", lambda *arguments: calls.append(arguments) or run(*arguments))
    history = fresh(fn.SGD(1e-3)).fit(X[:4], Y[:4], epochs=60_000, batch_size=None)
    assert len(history.history["loss"]) == 60_000 and history.epoch == list(range(60_000))
    assert np.isfinite(history.history["loss"]).all()
    assert history.history["loss"][-1] < history.history["loss"][1000] < history.history["loss"][0]
    assert len(calls) < 2000


@pytest.mark.parametrize("validation", [{"validation_split": 0.25}, {"validation_data": "given"}])
def test_validation_leaves_the_weights_of_the_training_samples_alone(validation):
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(40, 3)), rng.normal(size=(40, 1)), rng.uniform(0.1, 2, 40)
    held_out = (X[30:], y[30:], weight[30:])
    if "validation_data" in validation:
        validation = {"validation_data": held_out}
        data, data_weight = (X[:30], y[:30]), weight[:30]
    else:
        data, data_weight = (X, y), weight
    models = [fn.Model([fn.Dense(4, "tanh"), fn.Dense(1)], loss="mse", seed=0) for _ in range(2)]
    history = models[0].fit(*data, sample_weight=data_weight, epochs=3, **validation)
    models[1].fit(X[:30], y[:30], sample_weight=weight[:30], epochs=3)
    assert np.array_equal(models[0].parameters, models[1].parameters)
    expected = models[1].evaluate(*held_out)["loss"]
    assert history.history["val_loss"][-1] == pytest.approx(expected, rel=1e-6)
