"""Which kernels a model needs, so that those that are not cached yet are compiled side by side.

What is left out here works all the same: `native.address` compiles it when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..losses import Loss
    from ..metrics import Metric
    from ..optimizers import Optimizer
    from .head import Head
    from .plan import Layer

    Kernels = Iterator[tuple[str, str]]

# Entries of the rows that have two
_PENALTY, _METRIC = ("forward", "gradient"), ("forward", "result")


class Described(Protocol):
    """A model, or what runs one."""

    @property
    def dtype(self) -> str: ...  # noqa: D102
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
    specs = []
    for layer in model.layers:
        if layer.of_targets:
            specs += layer.ops(1)
            yield from (
                (("layers.scaling.moments", dtype), ("layers.unscale.loss.forward", dtype))
                if training
                else ()
            )
        elif layer.kernels:
            yield "driver.batch.check", "float64"
            yield from ((kernel, dtype) for kernel in (layer.kernels if training else layer.kernels[:1]))
        else:
            specs += layer.ops(1)  # kernels are the same for inputs of any width
    for i, spec in enumerate(specs):
        if spec.has_weights:
            yield "linalg.gemm.product", dtype
        yield f"{spec.kernel}.forward", dtype
        if training and i < len(specs) - model.head.ops:
            yield f"{spec.kernel}.backward_input", dtype
            if spec.has_weights or spec.has_bias:
                yield f"{spec.kernel}.backward_weights", dtype
    if training and model.head.loss is not None:
        yield from _training(model.head.loss, model.metrics, dtype)
        yield f"{model.optimizer.kernel}.forward", dtype
        yield f"{model.optimizer.schedule().kernel}.forward", "float64"
        if any(any(layer.penalties()) for layer in model.layers):
            yield from ((f"training.penalty.{entry}", dtype) for entry in _PENALTY)


def _training(loss: Loss, measured: tuple[Metric, ...], dtype: str) -> Kernels:
    """What training needs whatever the layers are."""
    yield "driver.loop.train", "float64"
    yield "driver.loop.evaluate", "float64"
    for entry in ("weight_sum", "sum_gradients", "squares", "gather"):
        yield f"driver.batch.{entry}", dtype
    yield f"{loss.as_reported().kernel}.forward", dtype
    for metric in measured:
        for entry in _METRIC:
            yield f"{metric.kernel}.{entry}", dtype
