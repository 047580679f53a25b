"""Loading what `Model.save` wrote.

Nothing in the file is executed, and nothing is allocated before the configuration, the tensors' sizes and
the file's length are known to agree.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from .. import metrics as metric_table
from ..checks import validate
from ..data.categories import labels_of_one_kind
from ..engine.graph import lower
from ..engine.graph import shapes as shapes_of
from ..engine.state import InterruptedEpoch
from ..layers.base import Layer, walk
from ..layers.category_columns import CategoryColumns
from ..layers.preprocessing import Preprocessing
from ..layers.registry import TABLE, from_config
from ..model import Model
from .checkpoint import CALLBACK, FORMAT
from .tensor_files import TensorsInMemory, check_shapes, open_tensors, tensor

_COLUMNS = 1 << 20  # of the input of a model without weights
_REPEATED = 4  # how often layers that prepare the data may have so many columns


def load(
    path: str | os.PathLike[str],
    *,
    metrics: Sequence[Callable[..., Any]] | None = None,
    compute_dtype: str | None = None,
) -> Model:
    """A model from a file that `Model.save` wrote.

    Parameters
    ----------
    path : str or path
    metrics : sequence of function, optional
        User-defined metrics. A file has only their names; without the functions, the model is loaded without
        these metrics.
    compute_dtype : {None, "float32", "bfloat16"}
        As in `Model`, instead of what the model was saved with: with "float32" a model that computes in
        bfloat16 is loaded where the CPU cannot. The weights are the same.

    Warns
    -----
    UserWarning
        If `metrics` is not given, and the model was saved with such metrics.

    Returns
    -------
    Model
        Built, with its weights. If it was saved with ``training=True``, training continues as if it had not
        been interrupted.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a file of fastnn, or is damaged, or has a user-defined activation, loss or schedule that
        is not registered.
    RuntimeError
        If the CPU does not have the instructions that `compute_dtype` needs.

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
    path = os.fspath(path)
    own = metric_table.functions([] if metrics is None else metrics, only=True)
    with open_tensors(path) as file:
        model, names = _read(file, path, own, compute_dtype)
    if names and metrics is None:
        warnings.warn(
            f"the model was saved with user-defined metrics, {names}, and files do not hold functions; pass "
            f"them to load, metrics=[{names}], or metrics=[] to load it without them",
            stacklevel=2,
        )
    return model


def from_content(content: bytes, metrics: Sequence[Callable[..., Any]] = ()) -> Model:
    """The model of a file's content that another process of this library has sent."""
    own = metric_table.functions(metrics, only=True)
    return _read(TensorsInMemory(content), "what was sent", own, None)[0]


def _read(
    file: Any, path: str, functions: tuple[Callable[..., Any], ...], compute_dtype: str | None
) -> tuple[Model, str]:
    """The model, and the names of its user-defined metrics."""
    text = (file.metadata() or {}).get("fastnn")
    if text is None:
        raise ValueError(
            f"{path} is a safetensors file, but not of a fastnn model; fn.load_torch(path, model) reads "
            "weights of PyTorch layers"
        )
    try:
        config = json.loads(text)
        if config["format"] > FORMAT:
            raise ValueError(f"it is of format {config['format']}, from a later version of fastnn")
        names = ", ".join([str(name) for name in config.get("metric_functions", [])])
        return _model(config, file, functions, compute_dtype), names
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)[:500]
        raise ValueError(f"{path} does not hold a consistent fastnn model: {what}") from error


def _model(
    config: dict[str, Any], file: Any, functions: tuple[Callable[..., Any], ...], compute_dtype: str | None
) -> Model:
    n_in = validate.integer("n_in", config["n_in"], low=1)
    shape = validate.shape("input_shape", config.get("input_shape", n_in))
    if math.prod(shape) != n_in:
        raise ValueError(f"n_in={n_in} does not fit input_shape={shape}")
    # With weights there are as many numbers in the file; some layers without make arrays of this size.
    numbers = max(sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys()), _COLUMNS)
    kinds = [TABLE.get(entry["name"]) for entry in config["layers"]]
    prepared = sum(kind is not None and issubclass(kind, Preprocessing) for kind in kinds)
    if n_in > numbers or n_in * prepared > _REPEATED * numbers:
        raise ValueError(f"n_in={n_in} is too large for this file")
    layers = [from_config(entry) for entry in config["layers"]]
    options = {name: config[name] for name in ("loss", "optimizer", "metrics", "dtype", "seed")}
    options["metrics"] = [*options["metrics"], *functions]
    options["compute_dtype"] = config.get("compute_dtype") if compute_dtype is None else compute_dtype
    model = Model(layers, **options)
    by_path: dict[Any, Layer] = dict(enumerate(layers))
    by_path |= {path: layer for path, layer in walk(layers) if not path.isdecimal()}
    for path in config.get("frozen", []):
        by_path[path if isinstance(path, str) else validate.integer("frozen", path)].trainable = False
    shapes = _restore_numbers(layers, file)
    _restore_labels(layers, config.get("labels", {}))
    inputs = zip(layers, shapes_of(layers, shape), strict=False)  # one-hot layers may widen one another
    columns = sum(math.prod(shape) for layer, shape in inputs if isinstance(layer, Preprocessing))
    if columns > _REPEATED * numbers:
        raise ValueError(f"its layers prepare {columns} columns in total, too many for this file")
    graph = lower(layers, shape)
    places = [*graph.parameters, *graph.statistics]
    shapes |= {place.key: place.shape for place in places}
    # Numbers of any size here: nothing is allocated before they are found in the file.
    training = config.get("training")
    if training is not None:
        vectors = model.optimizer.state_vectors() * graph.n_parameters
        if "optimizer" in file.keys():
            shapes["optimizer"] = (vectors,)
        if training["pause"] is not None:
            size = sum(metric.state_size(graph.output.size) for metric in model.metrics)
            shapes["sums"] = (3 + size,)
        known = [name for name in file.keys() if name.startswith(CALLBACK)]
        shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in known}
    check_shapes(file, shapes)
    for place in places:
        place.layer.views[place.name] = tensor(file, place.key, model.dtype)
    for place in graph.statistics:
        place.layer.check_values(place.name, place.layer.views[place.name], place.key)
    model.build(shape)
    if training is not None:
        _restore_training(model, training, file)
    if "feature_names_in_" in config:
        model.executor.columns.take_names(_names(config["feature_names_in_"], n_in))
    return model


def _names(value: Any, n_in: int) -> tuple[str, ...]:
    """Names of the columns that the model was fitted with."""
    if not isinstance(value, list) or len(value) != n_in or not all(isinstance(name, str) for name in value):
        raise ValueError(f"feature_names_in_ must be {n_in} names, got {str(value)[:100]}")
    return tuple(value)


def _restore_numbers(layers: list[Layer], file: Any) -> dict[str, tuple[int, ...]]:
    """Restore the statistics of preprocessing layers, and return the shapes of these tensors."""
    shapes: dict[str, tuple[int, ...]] = {}
    known = set(file.keys())
    for i, layer in enumerate(layers):
        names = {f"{i}.{name}" for name in layer.names} if isinstance(layer, Preprocessing) else set()
        if isinstance(layer, Preprocessing) and (present := names & known):
            if present != names:
                raise ValueError(f"it lacks the tensors {sorted(names - present)}")
            numbers = {name: tensor(file, f"{i}.{name}", "float64") for name in layer.names}
            layer.set_statistics(numbers)
            shapes |= {f"{i}.{name}": values.shape for name, values in numbers.items()}
    return shapes


def _restore_labels(layers: list[Layer], labels: dict[str, Any]) -> None:
    """Restore the categories of layers that code text or large integers."""
    for key, columns in labels.items():
        layer = layers[int(key)] if key.isdecimal() and int(key) < len(layers) else None
        if not isinstance(layer, CategoryColumns):
            raise ValueError(f"layer {key[:20]} has no categories")
        layer.set_labels([None if own is None else labels_of_one_kind(own) for own in columns])


def _restore_training(model: Model, training: dict[str, Any], file: Any) -> None:
    state, pause = model.state, training["pause"]
    if "optimizer" in file.keys():
        memory = tensor(file, "optimizer", model.dtype)
        state.optimizer_vectors(model.optimizer.state_vectors())[...] = memory
    state.step = _counter("step", training["step"])
    state.epoch = _counter("epoch", training["epoch"])
    state.callbacks = _callback_states(training.get("callbacks", {}), file)
    if pause is None:
        return
    n_samples = _counter("n_samples", pause["n_samples"])  # 0: of an iterable
    batch_size = _counter("batch_size", pause["batch_size"], low=1)
    state.position = _counter("position", pause["position"], low=1)
    if n_samples and (state.position >= n_samples or state.position % batch_size):
        raise ValueError(f"no batch of {batch_size} of {n_samples} samples begins at {state.position}")
    shuffle = validate.boolean("shuffle", pause["shuffle"])
    order = {name: validate.seed(name, value) for name, value in dict(pause.get("order", {})).items()}
    sums = tensor(file, "sums", "float64")
    state.interrupted_epoch = InterruptedEpoch(n_samples, batch_size, shuffle, sums, order)


def _callback_states(known: dict[str, dict[str, Any]], file: Any) -> dict[str, dict[str, Any]]:
    """The state of callbacks: plain values, and arrays of the file."""
    states = {callback: dict(own) for callback, own in known.items()}
    for callback, own in states.items():
        for name, value in own.items():
            if value is not None and not isinstance(value, (bool, int, float, str)):
                raise ValueError(f"{name} of {callback} must be a number or text, got {value!r}")
    names = list(states)
    for key in file.keys():
        if key.startswith(CALLBACK):
            i, _, name = key.removeprefix(CALLBACK).partition(".")
            if not i.isdecimal() or int(i) >= len(names):
                raise ValueError(f"unknown tensors {[key]}")
            dtype = {"F32": "float32", "F64": "float64"}[file.get_slice(key).get_dtype()]
            states[names[int(i)]][name] = tensor(file, key, dtype)
    return states


def _counter(name: str, value: Any, low: int = 0) -> int:
    count = validate.integer(name, value, low=low)
    if count >= 2**62:
        raise ValueError(f"{name} must be less than 2**62, got {count}")
    return count
