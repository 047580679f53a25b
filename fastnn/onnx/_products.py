"""Operators that multiply a tensor by weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.dense import Dense
from . import _import_attention, _import_matrices, _layout
from ._call import Call
from ._layout import BATCH
from ._rows import Rows, Scores
from ._steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._call import Value


def _weights(call: Call, constant: NDArray[Any]) -> NDArray[np.float64]:
    if constant.ndim != 2 or not constant.size:
        raise ValueError(f"weights must have two dimensions, got shape {constant.shape}")
    return call.assembly.numbers("weights", constant)


def right(call: Call, x: Rows, weights: NDArray[np.float64]) -> Rows:
    """``x @ weights``, along the last axis."""
    *ahead, size = x.sizes
    if size != weights.shape[0]:
        raise ValueError(f"it takes rows of {weights.shape[0]} numbers, but gets rows of shape {x.row}")
    times = int(np.prod([size for size in ahead if size != BATCH], dtype=np.int64))
    n_out = weights.shape[1]
    axes = [axis for axis, size in enumerate(x.sizes) if size != BATCH]
    attention = _import_attention.projected(call.assembly, x, axes, weights)
    if attention is not None:
        return call.assembly.spread(attention, axes, [*ahead, n_out], x.samples)
    if times == 1:
        return call.assembly.product(x, weights, [*ahead, n_out])
    shape = tuple(size for size in ahead if size != BATCH)
    made = Step(
        times * n_out,
        make=lambda activation, arrays: Dense(n_out, activation, use_bias="bias" in arrays),
        absorbs=True,
        arrays={"weights": weights},
        channels=(1,),
        takes=(*shape, size),
        gives=(*shape, n_out),
        trained=True,
    )
    return call.assembly.layer(x, axes, made, [*ahead, n_out])


def _left(call: Call, weights: NDArray[np.float64], x: Rows) -> Rows:
    """``weights @ x``, along the last axis but one, or the only one."""
    if len(x.sizes) > 2 or x.sizes[0] != weights.shape[1]:
        raise ValueError(f"its weights of shape {weights.shape} stand on the left of {list(x.sizes)}")
    times = x.map.n_out // weights.shape[1]
    sizes = [weights.shape[0], *x.sizes[1:]]
    if times > 1:
        call.assembly.use(times * times * weights.size)
        weights = np.asarray(np.kron(weights, np.eye(times)), np.float64)
    return call.assembly.product(x, weights.T, sizes)


def matmul(call: Call) -> Value:
    first, second = call.inputs
    if isinstance(first, Scores):
        return _import_attention.attended(call.assembly, first, call.rows(1))
    if isinstance(first, Rows) and isinstance(second, Rows):
        return _import_attention.scores(first, second)
    if isinstance(first, Rows):
        weights = call.constant(1)
        found = _import_matrices.product_along(call, first, weights.T, -1)
        return right(call, first, _weights(call, weights)) if found is None else found
    if isinstance(second, Rows):
        weights = call.constant(0)
        found = _import_matrices.product_along(call, second, weights, -2)
        return _left(call, _weights(call, weights), second) if found is None else found
    return call.folded(np.matmul)


def gemm(call: Call) -> Rows:
    first, second, *bias = call.inputs
    options = call.attributes
    operands: list[Any] = []
    for operand, name in ((first, "transA"), (second, "transB")):
        if not isinstance(operand, Rows):
            operand = _weights(call, operand)
            operands.append(operand.T if options[name] else operand)
        elif options[name] and len(operand.sizes) != 2:
            raise ValueError(f"it multiplies matrices, but gets {list(operand.sizes)}")
        else:
            operands.append(call.assembly.moved(operand, _layout.transposed) if options[name] else operand)
    first, second = operands
    if isinstance(first, Rows) and isinstance(second, Rows):
        raise ValueError("it multiplies two tensors, which a row of layers does not")
    alpha, beta = options["alpha"], options["beta"]
    y = right(call, first, alpha * second) if isinstance(first, Rows) else _left(call, alpha * first, second)
    if not bias or bias[0] is None or beta == 0:
        return y
    if isinstance(bias[0], Rows):
        return call.assembly.sum(y, call.assembly.times(bias[0], np.array(beta)))
    return call.assembly.plus(y, beta * call.assembly.numbers("bias", bias[0]))
