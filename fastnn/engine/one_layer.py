"""One of a model's layers, called by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..data import array_checks, coding, missing, sample_checks
from ..data.rows import as_rows, sample_shape, sizes_of
from ..memory import buffers
from . import launch
from .weightless import check_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .executor import Executor
    from .graph import Layer


def call(executor: Executor, layer: Layer, X: ArrayLike) -> NDArray[Any]:
    """Output of one of the executor's layers for `X`, of shape (n, *shape) or that of a sample."""
    layers, dtype = executor.layers, executor.dtype
    if layer is layers[0]:
        executor.columns.check_names(X, "x")
    before = layers.index(layer) + 1 if layer in layers else None
    executor.require_adapted(layers[:before])
    is_alone = not executor.is_built and len(layers) == 1
    shape = sample_shape(X) if is_alone else executor.built.graph.node(layer).inputs[0]
    rows = coding.coded([layer], as_rows(X, shape, "x"), dtype, "x", shape=shape)
    nan = missing.columns([layer], shape or sizes_of(rows)[-1:] or (0,))
    given = array_checks.array("x", rows, dtype, (1, 2), missing=nan)
    x = given if given.ndim == 2 else given.reshape(1, -1)
    n_in = None if shape is None else math.prod(shape)
    x = sample_checks.features(x, dtype, n_in, name="x", given=given.shape, missing=nan)
    if is_alone:
        executor.build(shape or x.shape[1:])
    check_rows([layer], x, dtype, "x", shape or x.shape[1:])
    node = executor.built.graph.node(layer)
    net = executor.built.for_one_layer(node, executor.state, len(x))
    out = buffers.empty((*given.shape[:-1], *node.output), dtype, "the output")
    with executor.weights_lock.exclusive():
        launch.predict(net, x, out.reshape(len(x), -1), check=False)
    return out
