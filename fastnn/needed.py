"""Which kernels a model needs, so that those that are not cached yet are compiled side by side.

What is left out here works all the same: `native.address` compiles it when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import activations, losses, optimizers, schedules
from .preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .losses import Loss
    from .metrics import Metric
    from .model import Model

    Kernels = Iterator[tuple[str, str]]

_DIRECTIONS = ("forward", "backward")


def by_model(model: Model, training: bool) -> Kernels:
    """Kernels by which a model predicts, or trains; but those of its preprocessing layers."""
    dtype = model.dtype
    yield "batch.check", dtype
    yield "driver.predict", "float64"
    layers = [layer for layer in model.layers if not isinstance(layer, Preprocessing)]
    specs = [
        spec for layer in layers for spec in layer.ops(1)
    ]  # kernels are the same for inputs of any width
    for i, spec in enumerate(specs):
        if spec.has_weights:
            yield "gemm.product", dtype
        backward = training and i < len(specs) - model.head.ops
        for direction in _DIRECTIONS if backward else _DIRECTIONS[:1]:
            yield f"{spec.kernel}.{direction}", dtype
    if training and model.head.loss is not None:
        yield from _training(model.head.loss, model.metrics, dtype)
        yield f"{model.optimizer.kernel}.forward", dtype
        yield f"{model.optimizer.schedule().kernel}.forward", "float64"
        if any(any(layer.penalties()) for layer in model.layers):
            yield from ((f"penalty.{direction}", dtype) for direction in _DIRECTIONS)


def _training(loss: Loss, measured: tuple[Metric, ...], dtype: str) -> Kernels:
    """What training needs whatever the layers are."""
    yield "driver.train", "float64"
    for entry in ("weight_sum", "sum_gradients", "squares", "gather"):
        yield f"batch.{entry}", dtype
    yield f"{loss.as_reported().kernel}.forward", dtype
    for metric in measured:
        for direction in _DIRECTIONS:
            yield f"{metric.kernel}.{direction}", dtype


def common(dtype: str) -> Kernels:
    """Kernels of all activations, losses, metrics, optimizers and schedules of the library."""
    from .layers import Dense, Dropout
    from .model import Model

    def model(activation: str = "relu", loss: str = "mse", optimizer: str = "adam") -> Model:
        measured = ["mae", "mse", "r2"] if losses.get(loss).target == "values" else "auto"
        layers = [Dense(1, activation, l2=1.0), Dropout(0.5)]
        return Model(layers, loss, optimizer, measured, dtype, seed=0)

    cases: dict[str, Iterable[str]] = {
        "activation": activations.TABLE,
        "loss": losses.TABLE,
        "optimizer": optimizers.TABLE,
    }
    for setting, names in cases.items():
        for name in names:
            yield from by_model(model(**{setting: name}), training=True)
    for name in schedules.TABLE:
        yield f"schedule.{name}.forward", "float64"
    for entry in ("evaluate", "gradient"):
        yield f"driver.{entry}", "float64"
