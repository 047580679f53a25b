"""Small and medium neural networks on a CPU, trained inside one compiled call.

>>> import fastnn as fn
>>> X, y = fn.datasets.digits()
>>> model = fn.Model([fn.Dense(64, "relu"), fn.Dense(10)], loss="cross_entropy", seed=0)
>>> history = model.fit(X / 16, y, epochs=20)
>>> model.evaluate(X / 16, y)["accuracy"] > 0.97
True
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import activations, callbacks, data, datasets, initializers, losses, metrics, optimizers, schedules
from ._public import set_module as _set_module
from ._version import __version__ as __version__
from .callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    JSONLines,
    MLflow,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
)
from .checks.hints import nearest as _nearest
from .custom import register_activation, register_loss, register_schedule
from .engine.network import Network, OptimizerState, clone_workspace
from .engine.threads import get_threads, set_threads
from .errors import CompilationError, DivergenceError, GradientError, RankError
from .io.load import load
from .kernels.abi.status import Status
from .layers.activation import Activation
from .layers.attention import MultiHeadAttention
from .layers.base import Layer
from .layers.batch_normalization import BatchNormalization
from .layers.bidirectional import Bidirectional
from .layers.containers import Add, Concatenate, Residual, Sequential
from .layers.convolution import Conv1D, Conv2D, Conv2DTranspose
from .layers.dense import Dense
from .layers.depthwise import DepthwiseConv2D, SeparableConv2D
from .layers.derivatives import Derivatives
from .layers.dropout import Dropout, SpatialDropout1D, SpatialDropout2D
from .layers.embedding import Embedding, EntityEmbedding
from .layers.impute import Impute
from .layers.masking import Masking
from .layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from .layers.one_hot import OneHot
from .layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from .layers.recurrent import GRU, LSTM, SimpleRNN
from .layers.reshaping import Flatten, Reshape, Select
from .layers.resizing import Cropping1D, Cropping2D, UpSampling1D, UpSampling2D, ZeroPadding1D, ZeroPadding2D
from .layers.scaling import MinMax, Standardize
from .layers.unscale import Unscale
from .model import Model
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .training.history import History

if TYPE_CHECKING:
    from . import explain, plot, uncertainty
    from .ensemble import Ensemble
    from .gradient_check import check_gradient
    from .io.load_keras import load_keras
    from .io.load_torch import load_torch
    from .kernels.embedded.categorical import sample_categorical
    from .kernels.embedded.checked import (
        apply_gradient_checked,
        backward_checked,
        forward_checked,
        forward_train_checked,
        input_gradient_checked,
        jacobian_checked,
        loss_and_gradient_checked,
        parameter_jacobian_checked,
        step_checked,
        train_step_checked,
    )
    from .kernels.embedded.unchecked import (
        apply_gradient,
        backward,
        forward,
        forward_train,
        input_gradient,
        jacobian,
        loss_and_gradient,
        parameter_jacobian,
        step,
        train_step,
    )
    from .training.fit_many import fit_many
    from .training.least_squares import levenberg_marquardt
    from .training.optuna_pruning import OptunaPruning

__all__ = [
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "Cropping1D",
    "Cropping2D",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GRU",
    "LSTM",
    "MaxPooling1D",
    "MaxPooling2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Add",
    "Bidirectional",
    "CSVLogger",
    "BatchNormalization",
    "Callback",
    "CompilationError",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "DepthwiseConv2D",
    "Derivatives",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "Ensemble",
    "EntityEmbedding",
    "Flatten",
    "GradientError",
    "GroupNormalization",
    "History",
    "Impute",
    "JSONLines",
    "Layer",
    "LayerNormalization",
    "MLflow",
    "Masking",
    "MinMax",
    "Model",
    "ModelCheckpoint",
    "MultiHeadAttention",
    "Network",
    "OneHot",
    "OptimizerState",
    "OptunaPruning",
    "RMSNormalization",
    "RMSprop",
    "RankError",
    "ReduceLROnPlateau",
    "Reshape",
    "Residual",
    "Select",
    "SeparableConv2D",
    "Sequential",
    "SimpleRNN",
    "Standardize",
    "Status",
    "TensorBoard",
    "Unscale",
    "activations",
    "apply_gradient",
    "apply_gradient_checked",
    "backward",
    "backward_checked",
    "callbacks",
    "check_gradient",
    "clone_workspace",
    "data",
    "datasets",
    "explain",
    "fit_many",
    "forward",
    "forward_checked",
    "forward_train",
    "forward_train_checked",
    "get_threads",
    "initializers",
    "input_gradient",
    "input_gradient_checked",
    "jacobian",
    "jacobian_checked",
    "levenberg_marquardt",
    "load",
    "load_keras",
    "load_torch",
    "loss_and_gradient",
    "loss_and_gradient_checked",
    "losses",
    "metrics",
    "optimizers",
    "parameter_jacobian",
    "parameter_jacobian_checked",
    "plot",
    "register_activation",
    "register_loss",
    "register_schedule",
    "sample_categorical",
    "schedules",
    "set_threads",
    "step",
    "step_checked",
    "train_step",
    "train_step_checked",
    "uncertainty",
]

_set_module(__name__, (globals().get(name) for name in __all__))

# What needs Numba is imported on first use: it takes longer than the rest together.
_INSIDE = (
    "apply_gradient",
    "backward",
    "forward",
    "forward_train",
    "input_gradient",
    "jacobian",
    "loss_and_gradient",
    "parameter_jacobian",
    "step",
    "train_step",
)


# Packages that need an extra.
_EXTRAS = ("onnx", "river", "scipy", "sklearn")

# What many programs do without, and where it is: imported on first use.
_LATER = {
    "Ensemble": ".ensemble",
    "check_gradient": ".gradient_check",
    "OptunaPruning": ".training.optuna_pruning",
    "fit_many": ".training.fit_many",
    "levenberg_marquardt": ".training.least_squares",
    "load_keras": ".io.load_keras",
    "load_torch": ".io.load_torch",
}


def __getattr__(name: str) -> Any:
    if name in _EXTRAS or name in ("explain", "plot", "uncertainty"):
        return importlib.import_module(f".{name}", __name__)
    if name in _LATER:
        globals()[name] = value = getattr(importlib.import_module(_LATER[name], __name__), name)
        _set_module(__name__, [value])
        return value
    if name.removesuffix("_checked") in _INSIDE or name == "sample_categorical":
        from .compiler import loader

        with loader.undisturbed():
            from .kernels.embedded import categorical, checked, unchecked

        for entry in _INSIDE:
            globals()[entry] = getattr(unchecked, entry)
            globals()[f"{entry}_checked"] = getattr(checked, f"{entry}_checked")
        globals()["sample_categorical"] = categorical.sample_categorical
        return globals()[name]
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}{_nearest(name, __dir__())}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_EXTRAS, "__version__"])
