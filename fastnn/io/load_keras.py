"""Models and weights of Keras's, without Keras: ``.keras``, ``.weights.h5`` and ``.h5`` files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..data import array_checks
from ..layers.bidirectional import Bidirectional
from ..layers.containers import Container
from ..layers.preprocessing import Preprocessing
from ..model import Model
from .keras_files import KerasFile, group_names, opened
from .keras_graph import Leaf, leaves_of, model_of
from .keras_layers import arrays_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import DTypeLike, NDArray

    from ..engine.ops import Shape
    from ..layers.base import Layer
    from ..losses import Loss
    from ..optimizers import Optimizer


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

    Read are ``.keras`` and ``.h5`` files of Sequential models and of functional ones, of layers that fastnn
    has too; nothing in a file is run. `MultiHeadAttention` must be that of a sequence to itself, and both
    layers of `Bidirectional` of the same settings. Branches that join in an Add or a Concatenate become
    `Residual`, `Add` and `Concatenate`, models within models `Sequential`; layers that share weights, and
    several inputs or outputs, are refused. ``.weights.h5`` files, and others without an architecture, are for
    a given `model`.

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
                shape, layers, leaves = model_of(file.config, file.size)
                options: dict[str, Any] = {"loss": loss, "optimizer": optimizer, "metrics": metrics}
                model = Model(layers, dtype=dtype, seed=seed, **options)
            else:
                shape = _shape_of(file, model)
                leaves = _leaves(model, shape)
            values = _values(file, leaves, model.dtype)
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
    return model_of(file.config, file.size).shape


def _leaves(model: Model, shape: Shape) -> list[Leaf]:
    """The layers of a model that is given, where a file has them."""
    leaves = []
    names = group_names([type(layer).__name__ for layer in model.layers])
    for i, (layer, name) in enumerate(zip(model.layers, names, strict=True)):
        if isinstance(layer, Container) and not isinstance(layer, Bidirectional):
            raise ValueError(f"{layer.label} has no counterpart in a file of weights only")
        if not isinstance(layer, Preprocessing):
            leaves += leaves_of(layer, shape, f"layers/{name}", i)
        shape = layer.output_shape(shape)
    return leaves


def _values(file: KerasFile, leaves: Sequence[Leaf], dtype: str) -> list[tuple[Layer, str, NDArray[Any]]]:
    """Layers, the names of their parameters and the values in the file, all checked."""
    wanted: dict[str, list[tuple[Layer, str, Shape]]] = {}
    for leaf in leaves:
        for place, arrays in arrays_of(leaf.layer, leaf.shape):
            own = [*arrays, *_statistics(leaf)]
            if own:
                wanted[leaf.place + place] = [(leaf.layer, *array) for array in own]
    groups = _new_groups(file, wanted)
    if file.legacy_layers is not None:
        wanted = _legacy_order(leaves)
        named = [(group, file.legacy_weights(group)) for group in file.legacy_layers]
        groups = [(group, paths) for group, paths in named if paths]
    if len(groups) != len(wanted):
        raise ValueError(f"it has weights of {len(groups)} layers, the model has {len(wanted)}")
    parts: dict[tuple[int, str], list[tuple[Layer, str, NDArray[Any]]]] = {}
    for specs, (group, paths) in zip(wanted.values(), groups, strict=True):
        if len(paths) != len(specs):
            raise ValueError(f"it has {len(paths)} arrays in {group!r}, {specs[0][0]!r} needs {len(specs)}")
        for (layer, name, size), path in zip(specs, paths, strict=True):
            array = array_checks.array(path, file.array(path, size), dtype, tuple(range(1, 5)))
            layer.check_values(name, array, repr(path))
            parts.setdefault((id(layer), name), []).append((layer, name, array))
    sizes = {
        (id(leaf.layer), spec.name): spec.shape
        for leaf in leaves
        for spec in (*leaf.layer.parameters(leaf.shape), *leaf.layer.running_statistics(leaf.shape))
    }
    found = []
    for key, pieces in parts.items():
        layer, name, _ = pieces[0]
        side_by_side = [array.reshape(*sizes[key][:-1], -1) for *_, array in pieces]
        found.append((layer, name, np.concatenate(side_by_side, axis=-1)))
    return found


def _statistics(leaf: Leaf) -> list[tuple[str, Shape]]:
    return [(spec.name, spec.shape) for spec in leaf.layer.running_statistics(leaf.shape)]


def _legacy_order(leaves: Sequence[Leaf]) -> dict[str, list[tuple[Layer, str, Shape]]]:
    """What each layer of the whole model has: what is trained, of all layers in it, before statistics."""
    result: dict[str, list[tuple[Layer, str, Shape]]] = {}
    for group in dict.fromkeys(leaf.group for leaf in leaves):
        own = [leaf for leaf in leaves if leaf.group == group]
        arrays = [
            (leaf.layer, *array)
            for leaf in own
            for _, arrays in arrays_of(leaf.layer, leaf.shape)
            for array in arrays
        ]
        arrays += [(leaf.layer, *array) for leaf in own for array in _statistics(leaf)]
        if arrays:
            result[str(group)] = arrays
    return result


def _new_groups(file: KerasFile, places: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The arrays of each layer with weights, with the name of its group, as Keras 3 writes them."""
    result, known = [], set(places)
    for place in places:
        inner = f"{place}/cell/vars" if file.has(f"{place}/cell") else f"{place}/vars"
        paths = [f"{inner}/{i}" for i in range(len(file.names(inner)))]
        if paths:
            result.append((place.removeprefix("layers/"), paths))
    others = [f"layers/{name}" for name in file.names("layers")]
    others = [place for place in others if place not in known and file.names(f"{place}/vars")]
    return [*result, *((place, []) for place in others)]
