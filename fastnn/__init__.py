"""Small and medium neural networks on a CPU, trained inside one compiled call.

>>> import fastnn as fn
>>> X, y = fn.datasets.digits()
>>> model = fn.Model([fn.Dense(64, "relu"), fn.Dense(10)], loss="cross_entropy", seed=0)
>>> history = model.fit(X / 16, y, epochs=20)
>>> model.evaluate(X / 16, y)["accuracy"] > 0.97
True
"""

from typing import TYPE_CHECKING, Any

from . import activations, callbacks, datasets, initializers, losses, metrics, optimizers, schedules
from .callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from .ensemble import Ensemble
from .errors import DivergenceError
from .history import History
from .layer import Layer
from .layers import Activation, Dense, Dropout
from .many import fit_many
from .model import Model
from .network import Network
from .one_hot import OneHot
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .saving import load
from .scaling import MinMax, Standardize
from .threads import get_threads, set_threads
from .torch_state import load_torch

if TYPE_CHECKING:
    from .kernels.inside import forward

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "CSVLogger",
    "Callback",
    "Dense",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Ensemble",
    "History",
    "Layer",
    "MinMax",
    "Model",
    "ModelCheckpoint",
    "Network",
    "OneHot",
    "RMSprop",
    "ReduceLROnPlateau",
    "Standardize",
    "activations",
    "callbacks",
    "datasets",
    "fit_many",
    "forward",
    "get_threads",
    "initializers",
    "load",
    "load_torch",
    "losses",
    "metrics",
    "optimizers",
    "schedules",
    "set_threads",
]


def __getattr__(name: str) -> Any:
    """What needs Numba is imported on first use: it takes longer than the rest together."""
    if name == "forward":
        from .kernels.inside import forward

        globals()["forward"] = forward
        return forward
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")
