"""One sample, without an axis for the samples: in `partial_fit`, `evaluate` and `loss_and_gradient`."""

import numpy as np
import pandas as pd
import pytest

import fastnn as fn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))
ROWS = {
    "float64": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "list": lambda x: x.tolist(),
    "tuple": lambda x: tuple(x.tolist()),
    "objects": lambda x: x.astype(object),
    "strided": lambda x: np.repeat(x, 2)[::2],
    "Series": lambda x: pd.Series(x),
    "NumPy's numbers": lambda x: list(x),
}
TARGETS = {
    "mse of one": ("mse", 1, 0.5, [[0.5]]),
    "mse of one in an array": ("mse", 1, np.array([0.5]), [[0.5]]),
    "mse of one without axes": ("mse", 1, np.array(0.5), [[0.5]]),
    "mse of two": ("mse", 2, [0.5, -1.0], [[0.5, -1.0]]),
    "mse of two as a table": ("mse", 2, np.array([[0.5, -1.0]]), [[0.5, -1.0]]),
    "a class": ("cross_entropy", 4, 2, [2]),
    "a class of NumPy's": ("cross_entropy", 4, np.int64(2), [2]),
    "shares": ("cross_entropy", 4, [0.5, 0, 0.5, 0], [[0.5, 0, 0.5, 0]]),
    "one of two": ("binary_cross_entropy", 1, True, [1]),
}


def outcomes(make, x, y, weight=None):
    """What the three functions give and leave."""
    loss, gradient = make().loss_and_gradient(x, y, weight)
    model = make()
    figures = make().evaluate(x, y, sample_weight=weight)
    assert model.partial_fit(x, y, weight) is model
    return loss, gradient.tolist(), figures, model.parameters.tolist(), model.state.step


def maker(loss="mse", n_out=1, built=True):
    def make():
        model = fn.Model([fn.Dense(4, "tanh"), fn.Dense(n_out)], loss, seed=0)
        return model.build(3) if built else model

    return make


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize(("loss", "n_out", "y", "same"), TARGETS.values(), ids=TARGETS)
def test_a_row_is_as_a_table_of_one(loss, n_out, y, same, built):
    make = maker(loss, n_out, built)
    expected = outcomes(make, X[:1], same)
    assert outcomes(make, X[0], y) == expected
    assert outcomes(make, X[0], y, 2.0) == outcomes(make, X[:1], same, [2.0])
    assert outcomes(make, X[0], y, np.float32(2.0)) == outcomes(make, X[:1], same, [2.0])


@pytest.mark.parametrize("kind", ROWS.values(), ids=ROWS)
def test_rows_of_any_kind(kind):
    make = maker()
    given = kind(X[0])
    assert outcomes(make, given, 0.5) == outcomes(make, X[:1], [0.5])


def test_rows_of_tables_and_of_text():
    table = pd.DataFrame({"a": X[:, 0], "b": ["x", "y"] * 3})
    model = fn.Model([fn.OneHot(1), fn.Dense(1)], "mse", seed=0)
    model.fit(table, X[:, 1])
    row = model.evaluate(table.iloc[0], 1.0)
    assert row == model.evaluate(table[:1], [1.0])
    with pytest.warns(UserWarning, match="no column names"):
        assert model.evaluate([X[0, 0], "x"], 1.0) == row
    with pytest.raises(ValueError, match="in the order"):
        model.partial_fit(table.iloc[0][["b", "a"]], 1.0)


WRONG = {
    "a column": (lambda m: m.evaluate(np.ones(6), np.ones(6)), "X must have 3 columns.*got shape \\(6,\\)"),
    "many targets": (
        lambda m: m.evaluate(X[0], np.ones(6)),
        "X must have 2 dimensions, or y be of one sample",
    ),
    "a table of targets": (lambda m: m.evaluate(X[0], np.ones((6, 1))), "y must have 1 rows"),
    "many weights": (lambda m: m.evaluate(X[0], 1.0, np.ones(6)), "sample_weight must have shape \\(1,\\)"),
    "a negative weight": (lambda m: m.partial_fit(X[0], 1.0, -1.0), "sample_weight must be >= 0"),
    "NaN": (lambda m: m.partial_fit([0, np.nan, 0], 1.0), "nan at \\(0, 1\\)"),
    "fit": (lambda m: m.fit(X[0], 1.0), "X must have 2 dimensions"),
}


@pytest.mark.parametrize(("call", "piece"), WRONG.values(), ids=WRONG)
def test_what_is_not_one_sample_is_refused(call, piece):
    model = maker()()
    before = model.parameters.copy()
    with pytest.raises(ValueError, match=piece):
        call(model)
    assert np.array_equal(model.parameters, before)


def test_a_column_for_a_model_that_is_not_built_is_no_row():
    model = fn.Model([fn.Dense(1)], "mse", seed=0)
    with pytest.raises(ValueError, match=r"X must have 2 dimensions.*use X.reshape\(-1, 1\)"):
        model.partial_fit(np.ones(6), np.ones(6))
    with pytest.raises(ValueError, match=r"X must have 1 columns.*got shape \(6,\); use X.reshape\(-1, 1\)"):
        model.build(1).evaluate(np.ones(6), np.ones(6))
