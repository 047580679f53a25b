"""The kernels that `python -m fastnn warmup` compiles: those of all models that the library can make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import activations, losses, optimizers, schedules
from .engine import compute_dtype
from .engine.derivatives import SMOOTH
from .engine.required_kernels import by_model
from .layers.dense import Dense
from .layers.dropout import Dropout
from .layers.one_hot import OneHot
from .layers.scaling import MinMax, Standardize
from .model import Model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .engine.required_kernels import Kernels

_BOTH = ("forward", "backward_input")
_ALL = (*_BOTH, "backward_weights")
_SHARED = ("share_moments", "share_gradients")
_DATA_PARALLEL = ("begin", "gradient", "add_sums", "update", "finish")
# What no model of `common` takes: derivatives in compiled code of the user's, a loss with settings, and the
# numbers that estimators report.
_BESIDES = (
    "embedded.jacobian.input_gradient",
    "embedded.jacobian.jacobian",
    "embedded.jacobian.parameter_jacobian",
    "training.levenberg_marquardt.step",
    "linalg.gram.sums",
    "linalg.gram.forms",
    "embedded.c_function.forward",
    "embedded.c_function.integrand",
    *(f"embedded.passes.{entry}" for entry in ("forward_train", "backward", "apply_gradient")),
    "training.loss.weighted_binary_cross_entropy.forward",
    "layers.combine.add.forward",
    "layers.combine.add_gradients.backward_input",
    *(f"layers.combine.{name}.{entry}" for name in ("concatenate", "select") for entry in _BOTH),
    *(f"layers.normalization.{name}_normalization.{entry}" for name in ("layer", "group") for entry in _ALL),
    *(f"layers.batch_normalization.{entry}" for entry in (*_ALL, "update_statistics")),
    *(f"layers.synchronized_batch_normalization.{entry}" for entry in _SHARED),
    *(f"layers.attention.{entry}" for entry in (*_BOTH, "sample")),
    *(f"layers.dropout.spatial.{entry}" for entry in (*_BOTH, "sample")),
    "layers.dropout.sample",
    *(f"layers.pooling.{name}_pooling.{entry}" for name in ("max", "average") for entry in _BOTH),
    *(f"layers.convolution.{name}.{entry}" for name in ("convolution", "transposed") for entry in _ALL),
    *(f"layers.depthwise.{entry}" for entry in _ALL),
    "linalg.indirect.channel_product",
    "linalg.indirect.product",
    "layers.embedding.check",
    *(f"layers.embedding.{name}.{entry}" for name in ("embedding", "entity") for entry in _ALL),
    *(
        f"layers.resizing.{name}.{entry}"
        for name in ("upsampling", "bilinear", "padding", "cropping")
        for entry in _BOTH
    ),
    *(f"layers.impute.{entry}" for entry in _BOTH),
    "layers.one_hot.backward_input",
    *(
        f"layers.derivatives.{name}.{entry}"
        for name in ("seed", "scaling", "leaky_relu", *SMOOTH)
        for entry in _BOTH
    ),
    *(f"layers.derivatives.dense.{entry}" for entry in _ALL),
    *(f"layers.recurrent.{name}.{entry}" for name in ("simple_rnn", "gru", "lstm") for entry in _ALL),
    *(f"layers.{name}.{entry}" for name in ("recurrent.last_step", "masking.apply") for entry in _BOTH),
    "layers.masking.lengths.forward",
    "layers.masking.mask.forward",
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

    def model(activation: str = "relu", loss: str = "mse", optimizer: str = "adam") -> Model:
        own = losses.get(loss)
        measured = ["mae", "mse", "r2"] if own.target == "values" and own.pairs_outputs else "auto"
        first = [OneHot(), Standardize(), MinMax()]
        layers = [*first, Dense(own.blocks * (1 + own.apart), activation, l2=1.0), Dropout(0.5)]
        return Model(layers, loss, optimizer, measured, dtype, seed=0)

    cases: dict[str, Iterable[str]] = {
        "activation": activations.TABLE,
        "loss": losses.TABLE,
        "optimizer": optimizers.TABLE,
    }
    for setting, names in cases.items():
        for name in names:
            yield from by_model(model(**{setting: name}).executor, training=True)
    for name in schedules.TABLE:
        yield f"training.schedule.{name}.forward", "float64"
    yield from ((kernel, dtype) for kernel in _BESIDES)
    if dtype == "float32" and not compute_dtype.missing():
        yield from ((kernel, dtype) for kernel in compute_dtype.products("bfloat16").values())
    yield f"driver.batch.{'float32' if dtype == 'float64' else 'float64'}.gather", dtype
    yield "driver.loop.gradient", "float64"
    yield from ((f"driver.data_parallel.{entry}", "float64") for entry in _DATA_PARALLEL)
    yield "driver.sample.sample", "float64"
    yield "math.random.shuffle", "float64"
