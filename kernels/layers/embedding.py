"""Embeddings: an integer, or a category, becomes a learned vector.

What stands for no vector becomes zeros and has no gradient, so that no value of an input reads or writes
outside of the tables. The gradient is cleared once; then only vectors that occurred are touched.
"""

from collections import namedtuple

import numpy as np

from ..abi.descriptor import NOT_FINITE, OK
from ..abi.entries import Op, entry
from ..abi.oprow import OP
from ..abi.tensors import tensor_address
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import element, flat, view

_1, _2, _3, _4 = (np.uint64(k) for k in (1, 2, 3, 4))
# Rows that a column is coded of at a time: what it is looked up by stays in registers, and many vectors are
# fetched at once.
_BLOCK = 32

Embedding = namedtuple("Embedding", "forward_entry backward_input_entry backward_weights_entry")


@force_inline
def _row(value, rows):
    """The row of a table that a number stands for; -1 for what is no integer, or outside."""
    T = type(value)
    if not (value >= T(0) and value < T(rows)):  # NaN too
        return -1
    row = int(value)
    return row if T(row) == value else -1


@force_inline
def _copy(source, start, target, place, width):
    """Write `width` numbers from `start` on into `target`, from `place` on.

    Four are read before any is written, so that LLVM makes one load and one store of them: it does not know
    that the arrays lie apart. A loop over so few numbers takes longer to begin than to end. Places are
    unsigned, since Numba asks of every other whether it counts from the end.
    """
    start, place, left = np.uint64(start), np.uint64(place), width
    while left >= 4:
        a, b, c, d = source[start], source[start + _1], source[start + _2], source[start + _3]
        target[place], target[place + _1], target[place + _2], target[place + _3] = a, b, c, d
        start, place, left = start + _4, place + _4, left - 4
    while left > 0:
        target[place] = source[start]
        start, place, left = start + _1, place + _1, left - 1


@force_inline
def _add(source, start, target, place, width):
    """Add `width` numbers from `start` on to `target`, from `place` on: as `_copy`."""
    start, place, left = np.uint64(start), np.uint64(place), width
    while left >= 4:
        a, b = source[start] + target[place], source[start + _1] + target[place + _1]
        c, d = source[start + _2] + target[place + _2], source[start + _3] + target[place + _3]
        target[place], target[place + _1], target[place + _2], target[place + _3] = a, b, c, d
        start, place, left = start + _4, place + _4, left - 4
    while left > 0:
        target[place] += source[start]
        start, place, left = start + _1, place + _1, left - 1


@force_inline
def _clear(target, place, width):
    """Write zeros into `width` numbers of `target` from `place` on."""
    for k in range(place, place + width):
        target[k] = target.dtype.type(0)


@kernel
def embedding_forward(x, w, y):
    """Write `y`: for each number of x the row of w that it stands for, or zeros.

    Parameters
    ----------
    x : array of shape (n,)
    w : array of shape (input_dim, output_dim)
    y : array of shape (n, output_dim)
    """
    width, table, out = w.shape[1], flat(w), flat(y)
    for i in range(x.size):
        row = _row(x[i], w.shape[0])
        if row >= 0:
            _copy(table, row * width, out, i * width, width)
        else:
            _clear(out, i * width, width)


@kernel
def embedding_backward_input(dx):
    """Write `dx`: zeros, since the output does not depend on the input smoothly."""
    for i in range(dx.size):
        dx[i] = dx.dtype.type(0)


@kernel
def embedding_backward_weights(x, first, dy, dw):
    """Write `dw`: for each row of w from `first` on the sum of the rows of dy where x is its number.

    Parameters
    ----------
    x, dy : arrays of shape (n,) and (n, output_dim)
    first : int
        The row of w that `dw` begins with.
    dw : array of shape (count, output_dim)
    """
    width, gradient, out = dw.shape[1], flat(dw), flat(dy)
    _clear(gradient, 0, gradient.size)
    for i in range(x.size):
        row = _row(x[i], first + dw.shape[0]) - first
        if row >= 0:
            _add(out, i * width, gradient, row * width, width)


_op = Op(
    tensors={
        "x": "rows * n_in",
        "y": "rows * n_in, output_dim",
        "dx": "rows * n_in",
        "dy": "rows * n_in, output_dim",
    },
    parameters={"w": "input_dim, output_dim"},
    settings={"input_dim": np.int64},
    numbers={"output_dim": "n_out // n_in"},
)


@entry(OP)
def _backward_weights_entry(op, net, T):
    """The gradient of `n_weights` rows of w from `first_weight` on."""
    n_in, n_out = op.n_in, op.n_out
    n, output_dim = net.rows * n_in, n_out // n_in
    first = net.first_weight
    count = min(net.n_weights, np.int64(op.settings[0]) - first)
    x = view(tensor_address(net, op.x, n_in, T), n, T)
    dy = view(tensor_address(net, op.dy, n_out, T), (n, output_dim), T)
    start = element(net.rows_gradient, op.parameters[0] + first * output_dim, T)
    embedding_backward_weights(x, first, dy, view(start, (count, output_dim), T))


embedding = Embedding(
    _op.entry(embedding_forward, writes="y"),
    _op.entry(embedding_backward_input, writes="dx"),
    _backward_weights_entry,
)


@force_inline
def _find(value, categories, first, count):
    """The index of a number among `count` sorted categories from `first` on; -1 if it is none of them."""
    T = type(value)
    distance = value - categories[first]
    if distance >= T(0) and distance < T(count):  # where they are integers one after the other
        index = int(distance)
        if categories[first + index] == value:
            return index
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if categories[first + middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < count and categories[first + low] == value else -1


@force_inline
def _look_up(x, start, end, j, categories, first, count, tables, table, width, y, out, codes, column):
    """Write the vectors of some rows of column `j` into the columns of `y` from `out` on; and `codes`."""
    target, keep = flat(y), codes.shape[0] > 0
    for i in range(start, end):
        code = _find(x[i, j], categories, first, count)
        place = i * y.shape[1] + out
        if code >= 0:
            _copy(tables, table + code * width, target, place, width)
        else:
            _clear(target, place, width)
        if keep:
            codes[i, column] = x.dtype.type(code)


@kernel
def entity_forward(x, counts, dimensions, categories, tables, y, codes):
    """Write `y`, in which a vector stands in the place of each coded column of `x`; and `codes`.

    Parameters
    ----------
    x : array of shape (rows, n_in)
    counts : array of shape (n_in,)
        How many categories a column has; 0 for a column that is copied as it is.
    dimensions : array of shape (n_in,)
        How many numbers its vectors have.
    categories : array of shape (sum of counts,)
        Column by column, each sorted. A value that is none of them becomes zeros.
    tables : array of shape (sum of counts * dimensions,)
        Vector by vector, in the order of the categories.
    y : array of shape (rows, n_out)
    codes : array of shape (rows, number of coded columns), or (0, number)
        Written unless it is empty: the index of each category among those of its column, or -1.
    """
    for start in range(0, x.shape[0], _BLOCK):
        end = min(start + _BLOCK, x.shape[0])
        out = first = table = column = 0
        for j in range(x.shape[1]):
            count, width = int(counts[j]), int(dimensions[j])
            if count == 0:
                for i in range(start, end):
                    y[i, out] = x[i, j]
                out += 1
                continue
            _look_up(x, start, end, j, categories, first, count, tables, table, width, y, out, codes, column)
            out += width
            first += count
            table += count * width
            column += 1


@kernel
def entity_backward_input(counts, dimensions, dy, dx):
    """Write `dx`: `dy` at columns that were copied, 0 at those that were coded."""
    for i in range(dx.shape[0]):
        out = 0
        for j in range(dx.shape[1]):
            coded = counts[j] > dx.dtype.type(0)
            dx[i, j] = dx.dtype.type(0) if coded else dy[i, out]
            out += int(dimensions[j]) if coded else 1


@kernel
def entity_backward_weights(codes, counts, dimensions, dy, first, dw):
    """Write `dw`, the gradient of the tables' numbers from `first` on: the sum of dy where they occurred.

    Parameters
    ----------
    codes, counts, dimensions, dy
        As in `entity_forward`.
    first : int
    dw : array of shape (count,)
    """
    _clear(dw, 0, dw.size)
    source = flat(dy)
    out = table = column = 0
    for j in range(counts.size):
        count, width = int(counts[j]), int(dimensions[j])
        if count == 0:
            out += 1
            continue
        begin = table - first
        if begin >= 0 and begin + count * width <= dw.size:
            for i in range(codes.shape[0]):
                code = int(codes[i, column])
                if code >= 0:
                    _add(source, i * dy.shape[1] + out, dw, begin + code * width, width)
        elif begin < dw.size and begin + count * width > 0:
            for i in range(codes.shape[0]):
                code = int(codes[i, column])
                if code >= 0:
                    start = begin + code * width
                    skip = max(0, -start)
                    some = min(width, dw.size - start) - skip
                    _add(source, i * dy.shape[1] + out + skip, dw, start + skip, some)
        out += width
        table += count * width
        column += 1


_before, _after = "rows * positions, columns", "rows * positions, width"
_entity = Op(
    tensors={"x": _before, "y": _after, "dx": _before, "dy": _after},
    parameters={"tables": "n_tables"},
    constants={"counts": "columns", "dimensions": "columns", "categories": "n_categories"},
    scratch={"codes": "rows * positions, n_coded"},
    settings={
        "n_categories": np.int64,
        "n_tables": np.int64,
        "n_coded": np.int64,
        "positions": np.int64,
        "columns": np.int64,
    },
    numbers={"width": "n_out // positions"},
    optional=("codes",),
)


@entry(OP)
def _entity_backward_weights_entry(op, net, T):
    """The gradient of `n_weights` numbers of the tables from `first_weight` on."""
    first = net.first_weight
    n_tables, n_coded = np.int64(op.settings[1]), np.int64(op.settings[2])
    positions, columns = np.int64(op.settings[3]), np.int64(op.settings[4])
    n, width = net.rows * positions, op.n_out // positions
    codes = view(tensor_address(net, op.scratch, n_coded * positions, T), (n, n_coded), T)
    counts = view(element(net.constants, op.constants, T), columns, T)
    dimensions = view(element(net.constants, op.constants + columns, T), columns, T)
    dy = view(tensor_address(net, op.dy, op.n_out, T), (n, width), T)
    start = element(net.rows_gradient, op.parameters[0] + first, T)
    dw = view(start, min(net.n_weights, n_tables - first), T)
    entity_backward_weights(codes, counts, dimensions, dy, first, dw)


entity = Embedding(
    _entity.entry(entity_forward, writes="y codes"),
    _entity.entry(entity_backward_input, writes="dx"),
    _entity_backward_weights_entry,
)


@kernel
def are_indices(x, limits):
    """True if the numbers of `x` are what the limits say. Writes nothing.

    Parameters
    ----------
    x : array of shape (rows, n)
    limits : array of shape (n,)
        What an integer from 0 on must be less than; infinity for a number that must be finite, NaN for
        any number.
    """
    T = x.dtype.type
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if limits[j] != limits[j]:
                continue
            right = x[i, j] - x[i, j] == T(0) if limits[j] == T(np.inf) else _row(x[i, j], limits[j]) >= 0
            if not right:
                return False
    return True


@entry()
def check_entry(net, T):
    """`input`, of `rows` rows, and `limits` -> `status`."""
    n = net.n_features
    x = view(net.input, (net.rows, n), T)
    right = are_indices(x, view(net.limits, n, T))
    net.status = OK if right else NOT_FINITE
