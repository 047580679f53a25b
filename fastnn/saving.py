"""Saving and loading: safetensors, the configuration as JSON in its metadata.

Tensors are named by layer, ``0.weights``, ``0.bias``; loading runs no code from the file.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from . import _validate
from . import layers as layer_table
from .layers import Layer

if TYPE_CHECKING:
    from .model import Model

_FORMAT = 1


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a built model; the file is replaced in one step, or left as it was."""
    from safetensors.numpy import save as to_bytes

    state = model.state
    config = {
        "format": _FORMAT,
        "n_in": model.n_in,
        "layers": [layer.config() for layer in model.layers],
        "loss": None if model.loss is None else model.loss.config(),
        "optimizer": model.optimizer.config(),
        "metrics": [metric.name for metric in model.metrics],
        "dtype": model.dtype,
        "seed": model.seed,
        "step": state.step,
        "epoch": state.epoch,
    }
    tensors: dict[str, Any] = {}
    for i, layer in enumerate(model.layers):
        tensors |= {f"{i}.{name}": view for name, view in layer._views.items()}
    # The memory is of another size if the optimizer's settings were changed after training.
    size = model.optimizer.state_vectors() * state.parameters.size
    if state.optimizer.size == size > 0:
        tensors["optimizer"] = state.optimizer
    text = json.dumps(config, default=lambda number: number.item())  # NumPy's numbers as Python's
    _replace(os.fspath(path), to_bytes(tensors, {"fastnn": text}))


def load(path: str | os.PathLike[str]) -> Model:
    """A model from a file that `Model.save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Model
        Built, with its weights, its optimizer's memory and its random numbers: training goes on as
        if it had not been interrupted.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a file of fastnn's, or damaged.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import fastnn as fn
    >>> model = fn.Model([fn.Dense(2)], seed=0).build(3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     model.save(path)
    ...     again = fn.load(path)
    >>> np.array_equal(again.parameters, model.parameters)
    True
    """
    from safetensors import SafetensorError, safe_open

    path = os.fspath(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a safetensors file, or damaged: {error}") from error
    if "fastnn" not in metadata:
        raise ValueError(f"{path} is a safetensors file, but not of a fastnn model")
    try:
        config = json.loads(metadata["fastnn"])
        if config["format"] > _FORMAT:
            raise ValueError(f"it is of format {config['format']}, from a later version of fastnn")
        return _model(config, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} does not hold a fastnn model that fits together: {error}") from error


def _model(config: dict[str, Any], tensors: dict[str, Any]) -> Model:
    from .model import Model

    layers: list[Layer] = []
    for entry in config["layers"]:
        kind = _validate.from_table("layer", entry["name"], layer_table.TABLE, type)
        layers.append(kind(**{key: value for key, value in entry.items() if key != "name"}))
    options = {name: config[name] for name in ("loss", "optimizer", "metrics", "dtype", "seed")}
    model = Model(layers, **options).build(config["n_in"])
    for i, layer in enumerate(model.layers):
        for name in layer._views:
            layer._set_parameter(name, tensors.pop(f"{i}.{name}"))
    memory = tensors.pop("optimizer", None)
    if memory is not None:
        size = model.optimizer.state_vectors() * model.parameters.size
        if memory.size != size:
            raise ValueError(f"the optimizer's memory has {memory.size} numbers, not {size}")
        model.state.optimizer = _validate.array("optimizer", memory, model.dtype, (1,)).copy()
        _validate.finite("optimizer", model.state.optimizer)
    if tensors:
        raise ValueError(f"unknown tensors {sorted(tensors)}")
    model.state.step = _validate.integer("step", config["step"], low=0)
    model.state.epoch = _validate.integer("epoch", config["epoch"], low=0)
    return model


def _replace(path: str, content: bytes) -> None:
    """Write a file of the same folder first, and rename it when it is complete."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".fastnn-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mode = 0o666 & ~_umask() if not os.path.exists(path) else os.stat(path).st_mode & 0o777
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
