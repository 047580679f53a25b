"""Models and weights of Keras's, without Keras: ``.keras``, ``.weights.h5`` and ``.h5`` files."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from ..checks import validate
from ..data import array_checks
from ..layers.containers import Container
from ..layers.preprocessing import Preprocessing
from ..model import Model
from .keras_files import KerasFile, group_names, opened
from .keras_layers import KerasLayer, layers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

    from ..engine.ops import Shape
    from ..layers.base import Layer
    from ..losses import Loss
    from ..optimizers import Optimizer

_SAMPLE = 1 << 24  # numbers that a layer may give for a sample, in a small file


def load_keras(
    path: str | os.PathLike[str],
    model: Model | None = None,
    *,
    loss: str | Loss | None = None,
    optimizer: str | Optimizer = "adam",
    metrics: str | Sequence[str] = "auto",
    dtype: DTypeLike = "float32",
    seed: int | None = None,
) -> Model:
    """A model of Keras's with its weights, or the weights for a model of the same layers.

    Read are ``.keras`` and ``.h5`` files of Sequential models, and of functional ones whose layers are a
    chain, of layers that fastnn has too; nothing in a file is run. ``.weights.h5`` files, and others without
    an architecture, are for a given `model`.

    Parameters
    ----------
    path : str or path
    model : Model, optional
        Gets the weights, if they are of the same layers; it must be built, unless the file says the size of
        its input.
    loss, optimizer, metrics, dtype, seed
        For training a new model further: see `fastnn.Model`. That of the file is not read.

    Returns
    -------
    Model
        Built, with the weights of the file.

    Raises
    ------
    ImportError
        If h5py is not installed, the extra ``keras``.
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If it is not a file of Keras's, or damaged, or of other layers: the message names the layer. Or if it
        has no architecture, and `model` is not given, or not of the same layers.
    """
    path = os.fspath(path)
    if model is not None and not isinstance(model, Model):
        raise TypeError(f"model must be a fastnn.Model, got {model!r}")
    if seed is not None:
        validate.integer("seed", seed, low=0)
    with opened(path) as file:
        try:
            if model is None:
                if file.config is None:
                    raise ValueError("it has weights only; build a model of the same layers, and give it too")
                shape, entries = layers_of(file.config)
                _check_shapes(shape, entries, file.size)
                layers = [entry.layer for entry in entries if entry.layer is not None]
                options: dict[str, Any] = {"loss": loss, "optimizer": optimizer, "metrics": metrics}
                model = Model(layers, dtype=dtype, seed=seed, **options)
                values = _values(file, shape, layers, [entry.kind for entry in entries], model.dtype)
            else:
                shape, layers = _shape_of(file, model), list(model.layers)
                values = _values(file, shape, layers, [type(layer).__name__ for layer in layers], model.dtype)
            with model.executor.weights_lock.held():
                model.build(shape)
                for layer, name, array in values:
                    layer.set_parameter(name, array)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)[:500]
            raise ValueError(f"{path} is not read: {what}") from error
    return model


def _shape_of(file: KerasFile, model: Model) -> Shape:
    if model.input_shape is not None:
        return model.input_shape
    if file.config is None:
        raise ValueError("it does not tell the size of the input; build the model first: model.build(shape)")
    return layers_of(file.config)[0]


def _check_shapes(shape: Shape, entries: Sequence[KerasLayer], size: int) -> None:
    """Raise a ValueError if the layers do not fit together, or make too much of a sample."""
    limit = max(_SAMPLE, 4 * size)
    for entry in entries:
        if math.prod(shape) > limit:
            raise ValueError(
                f"samples of shape {shape} before its layer {entry.name!r} are too large for this file"
            )
        if entry.axis is not None and entry.axis != len(shape):
            raise ValueError(f"its layer {entry.name!r}, {entry.kind}: axis={entry.axis} is not the last")
        if entry.layer is not None:
            try:
                shape = entry.layer.output_shape(shape)
            except (TypeError, ValueError) as error:
                raise ValueError(f"its layer {entry.name!r}, {entry.kind}: {error}") from error
    if math.prod(shape) > limit:
        raise ValueError(f"an output of shape {shape} is too large for this file")


def _values(
    file: KerasFile, shape: Shape, layers: Sequence[Layer], kinds: Sequence[str], dtype: str
) -> list[tuple[Layer, str, NDArray[Any]]]:
    """Layers, the names of their parameters and the values in the file, all checked."""
    wanted: list[tuple[Layer, list[tuple[str, Shape]]]] = []
    for layer in layers:
        if isinstance(layer, Container):
            raise ValueError(f"{layer.label} has no counterpart in a file of Keras's")
        if not isinstance(layer, Preprocessing):
            own = [*layer.parameters(shape), *layer.running_statistics(shape)]
            if own:
                wanted.append((layer, [(spec.name, spec.shape) for spec in own]))
        shape = layer.output_shape(shape)
    groups = _groups(file, [layer for layer, _ in wanted], kinds)
    if len(groups) != len(wanted):
        raise ValueError(f"it has weights of {len(groups)} layers, the model has {len(wanted)}")
    found = []
    for (layer, specs), (group, paths) in zip(wanted, groups, strict=True):
        if len(paths) != len(specs):
            raise ValueError(f"it has {len(paths)} arrays in {group!r}, {layer!r} needs {len(specs)}")
        for (name, size), path in zip(specs, paths, strict=True):
            array = array_checks.array(path, file.array(path, size), dtype, tuple(range(1, 5)))
            layer.check_values(name, array, repr(path))
            found.append((layer, name, array))
    return found


def _groups(file: KerasFile, layers: Sequence[Layer], kinds: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The arrays of each layer with weights, with the name of its group."""
    legacy = file.legacy_layers
    if legacy is not None:
        named = [(group, file.legacy_weights(group)) for group in legacy]
        return [(group, paths) for group, paths in named if paths]
    weighted = {type(layer).__name__ for layer in layers}
    result = []
    for group, kind in zip(group_names(kinds), kinds, strict=True):
        if kind not in weighted:
            continue
        place = f"layers/{group}"
        inner = f"{place}/cell/vars" if file.has(f"{place}/cell") else f"{place}/vars"
        paths = [f"{inner}/{i}" for i in range(len(file.names(inner)))]
        if paths:
            result.append((group, paths))
    known = {group for group, _ in result}
    others = [
        name for name in file.names("layers") if name not in known and file.names(f"layers/{name}/vars")
    ]
    return [*result, *((name, []) for name in others)]
