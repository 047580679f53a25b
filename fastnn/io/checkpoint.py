"""Saving in the safetensors format, with the configuration as JSON in its metadata.

Tensors are named by layer: ``0.weights``, ``0.bias``.
"""

from __future__ import annotations

import copy
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..checks import validate
from ..data import array_checks
from ..layers.base import walk
from ..layers.category_columns import CategoryColumns
from ..layers.preprocessing import Preprocessing
from . import files
from .tensor_files import LARGEST_HEADER

if TYPE_CHECKING:
    from ..engine.executor import Executor
    from ..inference import Inference
    from ..optimizers import Optimizer

FORMAT = 1  # of the configuration
CALLBACK = "callback."  # prefix of the names of callback arrays, followed by the number of the callback


def save(model: Inference, path: str | os.PathLike[str], training: bool = False) -> None:
    """Write a built model; the file is replaced in one step, or left as it was."""
    files.replace(path, content(model, training))


def content(model: Inference, training: bool = False) -> bytes:
    """The file of a built model."""
    from safetensors.numpy import save as to_bytes

    training, executor = validate.boolean("training", training), model.executor
    with executor.weights_lock.exclusive():  # between two steps of a fit in another thread
        executor.state  # noqa: B018 - refuses a model that is not built
        optimizer = copy.copy(executor.optimizer)  # so that its settings do not change meanwhile
        config: dict[str, Any] = {
            "format": FORMAT,
            "n_in": executor.n_in,
            "layers": [layer.config() for layer in model.layers],
            "frozen": [
                int(path) if path.isdecimal() else path
                for path, layer in walk(model.layers)
                if not layer.children and not layer.trainable
            ],
            "loss": None if executor.loss is None else executor.loss.config(),
            "optimizer": optimizer.config(),
            "metrics": [metric.name for metric in executor.metrics],
            "dtype": executor.dtype,
            "seed": executor.seed,
        }
        if executor.compute_dtype != executor.dtype:
            config["compute_dtype"] = executor.compute_dtype
        if executor.input_shape is not None and len(executor.input_shape) > 1:
            config["input_shape"] = list(executor.input_shape)
        if executor.metric_functions:
            config["metric_functions"] = [function.__name__ for function in executor.metric_functions]
        if executor.columns.names:
            config["feature_names_in_"] = list(executor.columns.names)
        tensors: dict[str, Any] = {}
        for i, layer in walk(model.layers):
            tensors |= {f"{i}.{name}": view for name, view in layer.views.items()}
            if isinstance(layer, Preprocessing):
                tensors |= {f"{i}.{name}": values for name, values in layer.statistics.items()}
            if (
                isinstance(layer, CategoryColumns)
                and layer.adapted
                and any(of is not None for of in layer.labels)
            ):
                labels = [None if of is None else of.tolist() for of in layer.labels]
                config.setdefault("labels", {})[i] = labels
        if training:
            config["training"], memory = _training(executor, optimizer)
            tensors |= memory
        for name, values in tensors.items():
            array_checks.finite(f"the model is not saved: its tensor {name!r}", values)
        text = json.dumps(config, default=lambda number: number.item())  # NumPy's numbers as Python's
        found: bytes = to_bytes(tensors, {"fastnn": text})
    size = int.from_bytes(found[:8], "little")
    if size > LARGEST_HEADER:
        raise ValueError(
            f"the model's configuration is too large for a file: {size} bytes, the limit is {LARGEST_HEADER}"
        )
    return found


def _training(executor: Executor, optimizer: Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is needed to resume training: counters, and tensors."""
    state, tensors = executor.state, {}
    # The memory is of another size if the optimizer's settings were changed after training.
    size, memory = optimizer.state_vectors() * state.parameters.size, state.optimizer
    if memory.size == size > 0:
        tensors["optimizer"] = memory
    counters: dict[str, Any] = {"step": state.step, "epoch": state.epoch, "pause": None}
    if state.interrupted_epoch is not None:
        pause = asdict(state.interrupted_epoch)
        tensors["sums"] = pause.pop("sums")
        counters["pause"] = {"position": state.position, **pause}
    if known := executor.known_to_callbacks():
        for i, own in enumerate(known.values()):
            arrays = {name: value for name, value in own.items() if hasattr(value, "shape")}
            tensors |= {f"{CALLBACK}{i}.{name}": value for name, value in arrays.items()}
        counters["callbacks"] = {
            callback: {name: value for name, value in own.items() if not hasattr(value, "shape")}
            for callback, own in known.items()
        }
    return counters, tensors
