"""Which kernels a model needs, so that those that are not cached yet are compiled side by side.

What is left out here works all the same: `loader.address` compiles it when it is asked for.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from .graph import lower

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..losses import Loss
    from ..metrics import Metric
    from ..optimizers import Optimizer
    from .graph import Graph, Layer
    from .head import Head
    from .ops import Op

    Kernels = Iterator[tuple[str, str]]

# Entries of the rows that have two
_PENALTY, _METRIC = ("forward", "gradient"), ("forward", "result")


class Described(Protocol):
    """A model, or what runs one."""

    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def graph(self) -> Graph | None: ...  # noqa: D102
    @property
    def layers(self) -> Sequence[Layer]: ...  # noqa: D102
    @property
    def head(self) -> Head: ...  # noqa: D102
    @property
    def metrics(self) -> tuple[Metric, ...]: ...  # noqa: D102
    @property
    def optimizer(self) -> Optimizer: ...  # noqa: D102


def by_model(model: Described, training: bool) -> Kernels:
    """Kernels by which a model predicts, or trains and is evaluated."""
    dtype = model.dtype
    yield "driver.batch.check", dtype
    yield "driver.loop.predict", "float64"
    for layer in model.layers:
        if layer.kernels:
            yield "driver.batch.check", "float64"
            yield from ((kernel, dtype) for kernel in (layer.kernels if training else layer.kernels[:1]))
            if layer.of_targets and training:
                yield "layers.unscale.loss.forward", dtype
    ops = _ops(model)
    first = next((i for i, op in enumerate(ops) if op.parameters), len(ops))
    for i, op in enumerate(ops):
        if op.product:
            yield op.product, dtype
        if not op.merges:
            yield f"{op.kernel}.forward", dtype
        if training and op.statistics is not None:
            yield f"{op.kernel}.update_statistics", dtype
        if training and first <= i < len(ops) - model.head.ops:
            if op.parameters:
                yield f"{op.kernel}.backward_weights", dtype
            if op.differentiable and not op.passes_gradient:
                yield f"{op.kernel}.backward_input", dtype
    if training and model.head.loss is not None:
        yield from _training(model.head.loss, model.metrics, dtype)
        yield f"{model.optimizer.kernel}.forward", dtype
        yield f"{model.optimizer.schedule().kernel}.forward", "float64"
        if any(any(layer.penalties()) for layer in model.layers):
            yield from ((f"training.penalty.{entry}", dtype) for entry in _PENALTY)


def for_samples(model: Described) -> Kernels:
    """Kernels by which a built model predicts by samples."""
    yield from by_model(model, training=False)
    yield "driver.sample.sample", "float64"
    for op in _ops(model):
        if op.drops:
            yield f"{op.kernel}.sample", model.dtype


def _ops(model: Described) -> list[Op]:
    """The ops of a model; before it is built, those of the layers that any input shows."""
    if model.graph is not None:
        return model.graph.ops
    ops: list[Op] = []
    for layer in model.layers:
        if not layer.kernels:
            with contextlib.suppress(ValueError):
                ops += lower([layer], (1,)).ops
    return ops


def _training(loss: Loss, measured: tuple[Metric, ...], dtype: str) -> Kernels:
    """What training needs whatever the layers are."""
    yield "driver.loop.train", "float64"
    yield "driver.loop.evaluate", "float64"
    yield "driver.fit.fit", dtype
    for entry in ("check_samples", "weight_sum", "sum_gradients", "squares", "gather"):
        yield f"driver.batch.{entry}", dtype
    yield f"{loss.as_reported().kernel}.forward", dtype
    for metric in measured:
        for entry in _METRIC:
            yield f"{metric.kernel}.{entry}", dtype
