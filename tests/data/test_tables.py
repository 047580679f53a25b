"""Tables are converted column by column, and messages about them name the column."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

import fastnn as fn
from fastnn.data import array_checks

KINDS = ["float32", "int8", "bool", "Int64", "Float64", "int64", "boolean", "float64", "UInt8", "object"]
KINDS += ["category", "Sparse[float64]", "Float32", "uint16"]
RNG = np.random.default_rng(0)


def table(kinds, rows=6):
    values = RNG.integers(0, 2, (rows, len(kinds)))
    columns = {f"c{i}": pd.Series(values[:, i].astype(float)).astype(kind) for i, kind in enumerate(kinds)}
    return pd.DataFrame(columns), values.astype(float)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kinds", [KINDS, *([kind, kind] for kind in KINDS), ["float64", "int64"]])
def test_any_mixture_of_dtypes(kinds, dtype):
    frame, values = table(kinds, rows=9000)
    result = array_checks.array("X", frame, dtype, (2,))
    assert result.dtype == dtype and result.flags.carray
    assert np.array_equal(result, values)


def test_integers_are_rounded_once():
    given = pd.DataFrame({"a": [2**60 + 2**36 + 1, -(2**55) - 2**31 - 1], "b": [True, False]})
    expected = given["a"].to_numpy().astype(np.float32)
    assert np.array_equal(array_checks.array("X", given, "float32", (2,))[:, 0], expected)


@pytest.mark.parametrize("kinds", [KINDS[:9], ["Int64"]])
def test_no_cell_becomes_an_object_of_python(kinds):
    frame, values = table(kinds * (45 // len(kinds)), rows=20_000)
    tracemalloc.start()
    try:
        result = array_checks.array("X", frame, "float32", (2,))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(result, values)
    assert peak < 4.5 * result.nbytes  # a reference alone takes twice the memory of a number, an object more


WRONG = {
    "NaN": (np.nan, "float64", ValueError, "must be finite numbers of float32, got nan"),
    "infinity": (-np.inf, "float32", ValueError, "must be finite numbers of float32, got -inf"),
    "too large": (1e300, "float64", ValueError, "must be finite numbers of float32, got 1e\\+300"),
    "missing": (pd.NA, "Int64", TypeError, "must be numbers, got <NA> \\(NAType\\)"),
    "missing truth": (pd.NA, "boolean", TypeError, "must be numbers, got <NA> \\(NAType\\)"),
    "text": ("1", "object", TypeError, "must be numbers, got .*'1' \\(str\\)"),
    "None": (None, "object", ValueError, "must be finite numbers of float32, got nan"),
    "missing object": (pd.NA, "object", TypeError, "must be numbers, got .*<NA> \\(NAType\\)"),
    "a list": ([1], "object", TypeError, "must be numbers, got .*\\[1\\] \\(list\\)"),
}


@pytest.mark.parametrize(("item", "kind", "error", "piece"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("names", [["size", "age"], [0, 1], None])
def test_what_is_refused_is_shown_with_row_and_column(item, kind, error, piece, names):
    column = pd.Series([0.0] * 6, dtype=object)
    column[4] = item
    frame = pd.DataFrame({"size": np.zeros(6, np.int64), "age": column.astype(kind)})
    place = r" at \(4, 1\), column 'age'$"
    if names is None:  # of one dtype
        frame = pd.DataFrame({"size": column, "age": column}).astype(kind)
        place = r" at \(4, 0\), column 'size'$"
    elif names == [0, 1]:
        frame, place = frame.set_axis(names, axis=1), r" at \(4, 1\)$"
    if piece.endswith("nan"):
        place = place.replace("$", r"; put fn.Impute\(\) first, which replaces missing values$")
    if isinstance(item, str):
        place = place.replace("$", r"; fn.OneHot\(\d\) or fn.EntityEmbedding codes text, as the first layer$")
    model = fn.Model([fn.Dense(1)], "mse", seed=0)
    for _ in range(2):
        for call in (
            lambda: model.fit(frame, np.zeros(6)),
            lambda: model.predict(frame),
            lambda: model.evaluate(frame, np.zeros(6)),
            lambda: fn.fit_many([model], frame, np.zeros(6)),
            lambda: fn.Ensemble([model.build(2)]).predict(frame),
        ):
            with pytest.raises(error, match=piece + place):
                call()
        model.build(2).predict(np.zeros((3, 2)))


def test_dtypes_that_are_no_numbers_are_named_with_their_column():
    frame = pd.DataFrame({"size": [1.0, 2.0], "when": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    with pytest.raises(TypeError, match="X must be numbers, got dtype datetime64.* in column 'when'"):
        fn.Model([fn.Dense(1)]).predict(frame)
    with pytest.raises(ValueError, match="X must be real, got dtype complex128 in column 1"):
        fn.Model([fn.Dense(1)]).predict(pd.DataFrame({0: [1.0], 1: [1j]}))


class PolarsLike:
    """A table with the attributes that polars has, and dtypes that are not NumPy's."""

    def __init__(self, **columns):
        self.own = columns
        self.columns, self.dtypes = list(columns), [object() for _ in columns]
        self.shape = len(next(iter(columns.values()))), len(columns)

    def to_series(self, j):
        return self.own[self.columns[j]]

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all of it at once")


class PyArrowLike(PolarsLike):
    """As pyarrow: the columns are data, their names stand elsewhere."""

    def __init__(self, **columns):
        super().__init__(**columns)
        self.column_names, self.columns = list(columns), list(columns.values())
        del self.dtypes

    def column(self, j):
        return self.columns[j]

    to_series = property(doc="not there")


@pytest.mark.parametrize("kind", [PolarsLike, PyArrowLike])
def test_tables_of_other_libraries_go_by_column_too(kind):
    frame = kind(size=np.array([1, 2]), right=np.array([True, False]), name=np.array(["a", "b"], object))
    layer = fn.OneHot(2)
    assert layer.adapt(frame)(frame).tolist() == [[1, 1, 1, 0], [2, 0, 0, 1]]
    with pytest.raises(TypeError, match=r"'a' \(str\) at \(0, 2\), column 'name'"):
        fn.Model([fn.Dense(1)]).predict(frame)
