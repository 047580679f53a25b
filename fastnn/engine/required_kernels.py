"""Which kernels a model needs, so that those that are not cached yet are compiled side by side.

What is left out here works all the same: `native.address` compiles it when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import activations, losses, optimizers, schedules
from ..layers.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..losses import Loss
    from ..metrics import Metric
    from ..model import Model

    Kernels = Iterator[tuple[str, str]]

# Entries of the rows that have two
_PENALTY, _METRIC = ("forward", "gradient"), ("forward", "result")


def by_model(model: Model, training: bool) -> Kernels:
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
        elif isinstance(layer, Preprocessing):
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


# What no model of `common` takes: derivatives in compiled code of the user's, a loss with settings, and the
# numbers that estimators report.
_BESIDES = (
    "embedded.jacobian.input_gradient",
    "embedded.jacobian.jacobian",
    "embedded.jacobian.parameter_jacobian",
    "training.loss.weighted_binary_cross_entropy.forward",
    "layers.one_hot.backward_input",
    "training.reported_loss.binary_log_loss.forward",
    "training.reported_loss.log_loss.forward",
    "training.reported_loss.poisson_deviance.forward",
    "training.reported_loss.squared_error.forward",
    "layers.scaling.backward_input",
    "layers.unscale.backward_input",
    "layers.unscale.forward",
    "layers.unscale.loss.forward",
)


def common(dtype: str) -> Kernels:
    """All kernels of the library, but those that convert rows of unusual dtypes in mapped files."""
    from ..layers.one_hot import OneHot
    from ..layers.registry import Dense, Dropout
    from ..layers.scaling import MinMax, Standardize
    from ..model import Model

    def model(activation: str = "relu", loss: str = "mse", optimizer: str = "adam") -> Model:
        measured = ["mae", "mse", "r2"] if losses.get(loss).target == "values" else "auto"
        first = [OneHot(), Standardize(), MinMax()]
        layers = [*first, Dense(1, activation, l2=1.0), Dropout(0.5)]
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
        yield f"training.schedule.{name}.forward", "float64"
    yield from ((kernel, dtype) for kernel in _BESIDES)
    yield f"driver.batch.{'float32' if dtype == 'float64' else 'float64'}.gather", dtype
    yield "driver.loop.gradient", "float64"
    yield "math.random.shuffle", "float64"
