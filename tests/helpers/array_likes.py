"""Kinds of arguments that stand for an array of numbers: some are converted, the others refused.

The plain arrays hold zeros and ones only, so that every kind of number can hold them.
"""

import decimal
import fractions
import tempfile

import numpy as np
import pandas as pd
import scipy.sparse


class Subclass(np.ndarray):
    """A subclass that says of everything that it is 7."""

    def __array_finalize__(self, other):
        self.unit = "m"

    def __getitem__(self, index):
        return 7.0


class Interface:
    """Neither an array nor a sequence, but something that NumPy can make an array of."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


def unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    assert not view.flags.aligned
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def mapped(a):
    with tempfile.NamedTemporaryFile() as file:  # the mapping lives on without its name
        result = np.memmap(file.name, a.dtype, "w+", shape=a.shape)
    result[...] = a
    return result


def table(a):
    return pd.DataFrame(a) if a.ndim == 2 else pd.Series(a)


def table_of_many_dtypes(a):
    if a.ndim == 1:
        return pd.Series(a.astype(int), dtype="Int64")
    kinds = ["float32", "int8", "bool", "Int64", "object"]
    return pd.DataFrame({i: pd.Series(a[:, i]).astype(kinds[i % 5]) for i in range(a.shape[1])})


def as_objects(a, kind):
    result = np.empty(a.shape, object)
    for at, value in np.ndenumerate(a):
        result[at] = kind(int(value))
    return result


INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
FLOATS = ["float16", "float32", "float64", "longdouble"]

#: Name -> function of the plain float64 array. What comes of it is to be the same as of the plain array.
CONVERTED = {
    **{name: lambda a, name=name: a.astype(name) for name in [*FLOATS, *INTEGERS, "bool"]},
    "a list": lambda a: a.tolist(),
    "a list of integers": lambda a: a.astype(int).tolist(),
    "a tuple": lambda a: tuple(map(tuple, a.tolist())) if a.ndim == 2 else tuple(a.tolist()),
    "a list of arrays": lambda a: list(a),
    "objects": lambda a: a.astype(object),
    "fractions": lambda a: as_objects(a, fractions.Fraction),
    "decimals": lambda a: as_objects(a, decimal.Decimal),
    "NumPy's numbers as objects": lambda a: as_objects(a, np.int8),
    "Fortran order": np.asfortranarray,
    "negative strides": lambda a: np.flip(np.flip(a).copy()),
    "every second": lambda a: (
        np.repeat(np.repeat(a, 2, 0), 2, -1)[(slice(None, None, 2),) * a.ndim]
        if a.ndim == 2
        else np.repeat(a, 2)[::2]
    ),
    "read-only": read_only,
    "unaligned": unaligned,
    "unaligned float32": lambda a: unaligned(a.astype("float32")),
    "big-endian": lambda a: a.astype(">f8"),
    "big-endian float32": lambda a: a.astype(">f4"),
    "big-endian integers": lambda a: a.astype(">i2"),
    "a field of records": lambda a: np.rec.fromarrays([a.T, a.T], names="a,b").a.T,
    "a subclass": lambda a: a.view(Subclass),
    "a float32 subclass": lambda a: a.astype("float32").view(Subclass),
    "a mapped file": mapped,
    "a mapped file of integers": lambda a: mapped(a.astype("uint8")),
    "a table": table,
    "a table of many dtypes": table_of_many_dtypes,
    "an array interface": Interface,
    "a buffer": lambda a: memoryview(np.ascontiguousarray(a)),
}


def with_one(a, value, kind=float):
    """The array with another last number, as an array of this kind."""
    result = a.astype(kind)
    result[(-1,) * a.ndim] = value
    return result


def records(a):
    return np.zeros(a.shape[:1], [("a", float), ("b", float)])


TYPE, VALUE = TypeError, ValueError

#: Name -> (function of the plain array, error, what the message shows: None is the shape, and after
#: "at" stands the place).
REFUSED = {
    "a string": (lambda a: "abc", TYPE, "got str"),
    "a string of a number": (lambda a: "1.5", TYPE, "got str"),
    "bytes": (lambda a: b"abc", TYPE, "got bytes"),
    "a bytearray": (lambda a: bytearray(a.shape[0]), TYPE, "bytearray"),
    "strings": (lambda a: a.astype(str), TYPE, "<U"),
    "arrays of bytes": (lambda a: a.astype("S3"), TYPE, "S3"),
    "a list of strings": (lambda a: a.astype(str).tolist(), TYPE, "<U"),
    "one string among objects": (lambda a: with_one(a, "1", object), TYPE, "'1'"),
    "one string of bytes among objects": (lambda a: with_one(a, b"1", object), TYPE, "b'1'"),
    "a table with text": (lambda a: table(with_one(a, "1", object)), TYPE, "'1'"),
    "one object": (lambda a: with_one(a, {}, object), TYPE, "dict"),
    "one None": (lambda a: with_one(a, None, object), (TYPE, VALUE), "nan at"),
    "a missing number of pandas": (lambda a: with_one(a, pd.NA, object), TYPE, "NAType"),
    "a date among objects": (lambda a: with_one(a, np.datetime64(0, "s"), object), TYPE, "datetime"),
    "complex": (lambda a: a + 0j, VALUE, "complex128"),
    "a complex number among objects": (lambda a: with_one(a, 1 + 2j, object), TYPE, "complex"),
    "one of NumPy's among objects": (lambda a: with_one(a, np.complex64(1 + 2j), object), TYPE, "complex"),
    "dates": (lambda a: a.astype("datetime64[s]"), TYPE, "datetime64"),
    "times": (lambda a: a.astype("timedelta64[s]"), TYPE, "timedelta64"),
    "records": (records, TYPE, "'a'"),
    "masked": (lambda a: np.ma.masked_greater(a, 0.5), TYPE, "masked"),
    "masked, but nothing is": (lambda a: np.ma.asarray(a), TYPE, "masked"),
    "masked arrays in a list": (lambda a: [np.ma.masked_greater(a[0], 0.5), *a[1:]], TYPE, "masked"),
    "a sparse matrix": (scipy.sparse.csr_matrix, TYPE, "csr_matrix"),
    "a sparse array": (scipy.sparse.coo_array, TYPE, "coo_array"),
    "a dictionary": (lambda a: {0: a}, TYPE, "dict"),
    "a set": (lambda a: {0.0, 1.0}, TYPE, "set"),
    "a generator": (lambda a: (row for row in a), TYPE, "generator"),
    "a function": (lambda a: len, TYPE, "builtin_function"),
    "a class": (lambda a: np.ndarray, TYPE, "type"),
    "NaN": (lambda a: with_one(a, np.nan), VALUE, "nan at"),
    "infinity": (lambda a: with_one(a, np.inf), VALUE, "inf at"),
    "minus infinity": (lambda a: with_one(a, -np.inf, "float32"), VALUE, "-inf at"),
    "a NaN of float16": (lambda a: with_one(a, np.nan, "float16"), VALUE, "nan at"),
    "too large for float32": (lambda a: with_one(a, 1e300), VALUE, "1e+300 at"),
    "too large for float64": (lambda a: with_one(a, np.longdouble("1e4000"), "longdouble"), VALUE, " at"),
    "an integer that is too large": (lambda a: with_one(a, 10**400, object), (TYPE, VALUE), "int"),
    "an empty list": (lambda a: [], VALUE, "(0,)"),
    "no rows": (lambda a: a[:0], VALUE, None),
    "one more dimension": (lambda a: a[np.newaxis, np.newaxis], VALUE, None),
    "a number": (lambda a: 1.0, VALUE, "()"),
    "one of NumPy's numbers": (lambda a: np.float32(1), VALUE, "()"),
    "too many to hold": (
        lambda a: np.broadcast_to(np.int8(0), (2**61, *a.shape[1:])),
        MemoryError,
        f"({2**61},",
    ),
}
#: For arrays of two dimensions only.
REFUSED_OF_TABLES = {
    "ragged": (lambda a: [[0.0, 1.0], [1.0]], VALUE, "inhomogeneous"),
    "no columns": (lambda a: a[:, :0], VALUE, None),
    "one column more": (lambda a: np.hstack([a, a[:, :1]]), VALUE, None),
    "one column fewer": (lambda a: a[:, 1:], VALUE, None),
    "turned": (lambda a: a.T.copy(), VALUE, None),
}
#: For those of two dimensions where one row may not be given without its table.
REFUSED_OF_SAMPLES = {
    "one row alone": (lambda a: a[0], VALUE, None),
    "one row alone, as a list": (lambda a: a[0].tolist(), VALUE, None),
}
#: For arrays that must be as long as another one.
REFUSED_OF_OTHER_LENGTH = {
    "one row more": (lambda a: np.concatenate([a, a[:1]]), VALUE, None),
    "one row fewer": (lambda a: a[1:], VALUE, None),
    "one row only": (lambda a: a[:1], VALUE, None),
}
