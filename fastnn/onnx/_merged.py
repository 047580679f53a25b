"""Tensors in which samples and other axes are a single axis, as PyTorch and Keras reshape them in between."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _layout
from ._layout import BATCH
from ._rows import Merged, Rows, Samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._assembly import Assembly
    from ._call import Call, Value

#: Operators that treat what lies along the last axes in the same way at all places of the others.
OPERATORS = ("MatMul", "Gemm", "Add", "Sub", "Mul", "Div", "Dropout", "Clip", "HardSigmoid", "Celu")


def apart(given: Value) -> Value:
    """A tensor with its axes apart."""
    return given.rows if isinstance(given, Merged) else given


def together(given: Value, like: Sequence[Value]) -> Value:
    """What an operator gives, with the axes of its inputs together."""
    merged = [value for value in like if isinstance(value, Merged)]
    if not isinstance(given, Rows) or not merged:
        return given
    first = merged[0]
    ahead = first.rows.sizes[: first.first + first.count]
    if any((value.first, value.count) != (first.first, first.count) for value in merged):
        raise ValueError("it takes tensors whose samples are part of different axes")
    if given.sizes[: first.first + first.count] != ahead:
        raise ValueError(f"it gives {list(given.sizes)} of {first.sizes}")
    return replace(first, rows=given)


def applied(call: Call, function: Callable[[Call], Value]) -> Value:
    """An operator along the last axes of tensors, some of which are merged."""
    inner = min(len(value.sizes) - value.first - 1 for value in call.inputs if isinstance(value, Merged))
    for value in call.inputs:
        if (isinstance(value, np.ndarray) and value.ndim > max(inner, 2)) or isinstance(value, Rows):
            raise ValueError("it joins it with a tensor of other axes")
    return together(function(replace(call, inputs=[apart(value) for value in call.inputs])), call.inputs)


def reshaped(assembly: Assembly, given: Rows | Merged, sizes: Sequence[Any], *, keep_zeros: bool) -> Value:
    """Other sizes of the axes, in one of which the samples may be with others."""
    rows, own = (given.rows, given.sizes) if isinstance(given, Merged) else (given, list(given.sizes))
    what = f"it does not only flatten: it makes shape {list(sizes)} of {own}"
    wanted = [
        own[i] if size == 0 and not keep_zeros and i < len(own) else size for i, size in enumerate(sizes)
    ]
    if isinstance(given, Rows) and not any(isinstance(size, Samples) for size in wanted):
        try:
            return assembly.moved(given, lambda x: _layout.reshaped(x, wanted, keep_zeros=True))
        except ValueError:
            if BATCH not in given.sizes:
                raise
    factors = [size.times if isinstance(size, Samples) else 1 if size == BATCH else size for size in wanted]
    numbers = math.prod(factor for factor in factors if factor != -1)
    if factors.count(-1) > 1 or min(factors) < -1 or numbers < 1 or rows.map.n_out % numbers:
        raise ValueError(what)
    known = [i for i, size in enumerate(wanted) if size == BATCH or isinstance(size, Samples)]
    if not known and -1 in factors:
        known = [factors.index(-1)]
    factors = [rows.map.n_out // numbers if factor == -1 else factor for factor in factors]
    if len(known) != 1:
        raise ValueError(what)
    (place,) = known
    ahead, before = math.prod(factors[:place]), math.prod(rows.sizes[: rows.sizes.index(BATCH)])
    if before % ahead or factors[place] % (before // ahead):
        raise ValueError(what)
    inside = [size for size in (before // ahead, BATCH, factors[place] * ahead // before) if size != 1]
    parts = [*factors[:place], *inside, *factors[place + 1 :]]
    y = assembly.moved(rows, lambda x: _layout.reshaped(x, parts, keep_zeros=True))
    return Merged(y, place, len(inside)) if len(inside) > 1 else y


def transposed(assembly: Assembly, given: Merged, perm: Sequence[int] | None) -> Merged:
    """Axes of the graph in another order."""
    rank = len(given.sizes)
    order = list(range(rank))[::-1] if not perm else list(perm)
    if sorted(order) != list(range(rank)):
        raise ValueError(f"it orders the axes {order} of {rank}")
    axes: list[int] = []
    first = 0
    for axis in order:
        if axis == given.first:
            first = len(axes)
            axes += range(axis, axis + given.count)
        else:
            axes.append(axis if axis < given.first else axis + given.count - 1)
    return Merged(assembly.moved(given.rows, lambda x: _layout.transposed(x, axes)), first, given.count)
