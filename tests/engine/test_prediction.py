"""Prediction: the short way for few rows gives the bits of the long one, and allocates nothing."""

import tracemalloc

import numpy as np
import pytest

import fastnn as fn
from fastnn.engine.prediction import PredictorPool
from tests.helpers.rejections import refused

N_IN, N_OUT = 400, 300
ROWS = 32768 // N_IN  # that are computed at a time
RNG = np.random.default_rng(0)


def make(dtype="float32"):
    layers = [fn.Dense(33, "tanh"), fn.Dense(N_OUT, "gelu")]
    model = fn.Model(layers, loss="mse", dtype=dtype, seed=0).build(N_IN)
    model.predict(np.zeros((1, N_IN)))  # so that there is a predictor
    return model


def samples(n, dtype="float32"):
    return RNG.normal(size=(n, N_IN)).astype(dtype)


@pytest.fixture
def long_way(monkeypatch):
    """Predicts as if there were no short way."""

    def predict(model, X):
        with monkeypatch.context() as patch:
            patch.setattr(PredictorPool, "predict_small", lambda *arguments, **options: None)
            return model.predict(X)

    return predict


FORMS = {
    "as it is": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "integers": lambda x: (3 * x).astype(np.int64),
    "bytes": lambda x: (3 * x).astype(np.int8),
    "booleans": lambda x: x > 0,
    "turned": lambda x: np.asfortranarray(x),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: x[..., ::-1],
    "a list": lambda x: x.tolist(),
    "a subclass": lambda x: x.view(np.matrix) if x.ndim == 2 else x,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_both_ways_give_the_same_bits(form, dtype, long_way):
    model = make(dtype)
    for n in (1, 2, ROWS - 1, ROWS, ROWS + 1):
        x = samples(n, dtype)
        given = FORMS[form](x)
        assert model.predict(given).tobytes() == long_way(model, given).tobytes()
    row = FORMS[form](x[0])
    assert model.predict(row).shape == (N_OUT,)
    assert model.predict(row).tobytes() == long_way(model, row).tobytes()


@pytest.mark.parametrize("n", [None, 1, 3, ROWS, 3 * ROWS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_out_is_written(n, dtype):
    model = make(dtype)
    x = samples(n or 1, dtype)[0 if n is None else slice(None)]
    expected = model.predict(x)
    out = np.full_like(expected, np.nan)
    assert model.predict(x, out=out) is out
    assert np.array_equal(out, expected)
    new = fn.Model([fn.Dense(33, "tanh"), fn.Dense(N_OUT, "gelu")], dtype=dtype, seed=0)
    assert new.predict(x, out=out) is out  # builds it
    assert np.array_equal(out, expected)


def test_results_are_arrays_of_their_own():
    model, x = make(), samples(2)
    first = model.predict(x[:1])
    before = first.copy()
    model.predict(x[1:])
    assert np.array_equal(first, before)


@pytest.mark.parametrize("n", [1, ROWS, 3 * ROWS])
def test_out_may_overlap_the_samples(n):
    model = fn.Model([fn.Dense(7, "tanh"), fn.Dense(N_IN)], seed=0).build(N_IN)
    x = samples(n)
    expected = model.predict(x)
    model.predict(x, out=x)
    assert np.array_equal(x, expected)
    memory = np.zeros((n + 1, N_IN), np.float32)
    memory[1:] = expected
    assert np.array_equal(model.predict(memory[1:], out=memory[:-1]), model.predict(expected))


WRONG_OUT = {
    "a list": (lambda out: out.tolist(), TypeError, "out must be an array"),
    "masked": (lambda out: np.ma.masked_array(out), TypeError, "out must be an array"),
    "another dtype": (lambda out: out.astype(np.float64), ValueError, "float64"),
    "too few columns": (lambda out: out[..., :-1], ValueError, f"{N_OUT - 1})"),
    "a dimension more": (lambda out: out[None], ValueError, "(1, "),
    "turned": (lambda out: np.asfortranarray(out), ValueError, "C-contiguous"),
    "every second": (lambda out: np.repeat(out, 2, axis=-1)[..., ::2], ValueError, "C-contiguous"),
    "not writeable": (lambda out: np.broadcast_to(out[:1], out.shape), ValueError, "writeable"),
}


@pytest.mark.parametrize("n", [2, 3 * ROWS])
@pytest.mark.parametrize(("wrong", "error", "piece"), WRONG_OUT.values(), ids=WRONG_OUT)
def test_a_wrong_out(wrong, error, piece, n):
    model, x = make(), samples(n)
    out = wrong(np.zeros((n, N_OUT), np.float32))
    before = str(out)
    for each in (model, fn.Model([fn.Dense(N_OUT)], loss="mse", seed=0)):
        refused(each, lambda each=each: each.predict(x, out=out), error, piece)
    assert str(out) == before


@pytest.mark.parametrize("n", [1, 2, ROWS, 3 * ROWS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_found_everywhere(value, n, dtype):
    model, good = make(dtype), samples(n, dtype)
    expected = model.predict(good)
    out = expected.copy()
    for at in ((0, 0), (n // 2, 17), (n - 1, N_IN - 1)):
        bad = good.copy()
        bad[at] = value
        for call in (lambda bad=bad: model.predict(bad), lambda bad=bad: model.predict(bad, out=out)):
            refused(model, call, ValueError, f"got {value} at {at}")
        assert np.array_equal(out, expected)
        assert np.array_equal(model.predict(good), expected)


def test_too_large_for_the_dtype():
    model, x = make(), samples(1, "float64")
    x[0, 3] = 1e300
    refused(model, lambda: model.predict(x), ValueError, "1e+300 at (0, 3)")
    refused(model, lambda: model.predict(x[0]), ValueError, "1e+300 at 3")


def test_layers_that_look_at_each_row_do_so_in_every_call():
    X = np.array([[0.0], [1.0], [2.0]], np.float32)
    model = fn.Model([fn.OneHot(), fn.Dense(2)], loss="mse", seed=0)
    model.fit(X, np.zeros((3, 2)))
    for _ in range(2):
        model.predict(X)
        refused(model, lambda: model.predict(X + 3), ValueError, "unknown category 3")


def peak_of(call):
    """Most bytes that the process held at a time during a call, beyond those before it."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    call()
    return tracemalloc.get_traced_memory()[1] - before


@pytest.mark.parametrize(("n", "most"), [(1, 600), (5, 600), (ROWS, 600), (40 * ROWS, 20_000)])
def test_predict_with_out_allocates_no_array(n, most):
    """In a row there are 1600 bytes, in its output 1200, and in the last case 3200 rows."""
    model, x = make(), samples(n)
    out = model.predict(x)
    fn.set_threads(1)
    try:
        for _ in range(3):
            model.predict(x, out=out)
        tracemalloc.start()
        # The least of several: the test runner's threads allocate too.
        assert min(peak_of(lambda: model.predict(x, out=out)) for _ in range(20)) < most
        assert min(peak_of(lambda: model.predict(x)) for _ in range(20)) >= out.nbytes
    finally:
        tracemalloc.stop()
        fn.set_threads(None)
