"""Weights from PyTorch: the state of a `torch.nn.Sequential` with the same layers.

PyTorch itself is needed only for files that `torch.save` wrote.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..checks.hints import nearest
from ..data import array_checks
from ..layers.dense import Dense
from ..layers.depthwise import SeparableConv2D
from ..layers.normalization import LayerNormalization
from ..layers.preprocessing import Preprocessing
from ..layers.recurrent import Recurrent
from ..model import Model
from . import torch_files
from .torch_layout import MODULES, PARAMETERS, REVERSE, GateParameter, Parameter, Place, kind, places
from .torch_state import weighted_layers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.ops import Shape
    from ..layers.base import Layer
    from .torch_files import Entry

# Keys under which checkpoints have the state of the model.
_WITHIN = ("state_dict", "model_state_dict", "model")
# Names of a module's tensors; what counts the batches of a BatchNorm has no use here.
_KEY = re.compile(
    r"(?:(?P<module>.*)\.)?"
    r"(?P<name>weight|bias|running_mean|running_var|(?:weight|bias)_[ih]h(?=_l\d))"
    r"(?:_l0|(?P<layer>_l\d+))?(?P<reverse>_reverse)?"
)
_COUNTER = "num_batches_tracked"


def load_torch(
    source: Mapping[str, Any] | str | os.PathLike[str], model: Model, *, prefix: str = ""
) -> Model:
    """Take the weights of a PyTorch model of the same layers.

    Parameters
    ----------
    source : dict, or path
        What ``state_dict()`` of a ``torch.nn.Sequential`` gives, with tensors or arrays of any
        floating-point type, or the path of a file of it: in the safetensors format, or, where PyTorch 2.6
        or later is installed, of ``torch.save``, whose code is not executed. The keys are ``"0.weight"``,
        ``"0.bias"``, ``"2.weight"`` and so on, in any order, possibly after a prefix such as ``"net."``.
        Layers whose names have no numbers are read in the order of the dict. In a checkpoint, the dict
        ``"state_dict"``, ``"model_state_dict"`` or ``"model"`` is used.
    model : Model
        Its layers get the weights of the linear, LayerNorm, convolution and recurrent modules: by name
        if the keys are those of `Model.to_torch_state`, else in order, containers' layers in the order of
        their arguments. Each layer of a ``GRU(num_layers=2)`` is a layer here. It is built if necessary,
        unless it begins with a convolution or a recurrent layer. PyTorch's epsilon is 1e-5:
        ``fn.LayerNormalization(1e-5)``.
    prefix : str
        Only keys with this prefix are used, or the dict of this name: ``"actor."`` of an actor and a critic.

    Returns
    -------
    Model
        The given model, with new weights. Its training counters and the optimizer's state do not change.

    Raises
    ------
    ImportError
        If the file was written by ``torch.save`` and PyTorch is not installed: the message says how to
        convert it.
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If a key, a shape or a type does not match; the model is then unchanged.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> state = {"0.weight": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "0.bias": np.zeros(3)}
    >>> model = fn.load_torch(state, fn.Model([fn.Dense(3, "relu")]))
    >>> model.predict([[1.0, 0.0]])
    array([[1., 3., 5.]], dtype=float32)
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a fastnn.Model, got {model!r}")
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a string such as 'actor.', got {prefix!r}")
    entries, ordered = _entries(source, prefix)
    groups = _groups(entries)
    layers = weighted_layers(model, (Preprocessing,))
    count = len(layers) + sum(isinstance(layer, SeparableConv2D) for layer in layers)  # which is two modules
    if len(groups) != count:
        firsts = list(dict.fromkeys(group.partition(".")[0] for group in groups if "." in group))
        hint = f"; prefix={firsts[0]!r} takes one of its networks" if len(firsts) > 1 else ""
        raise ValueError(
            f"the state has {len(groups)} modules with weights ({', '.join(groups)}), the model has {count}, "
            f"of {_kinds(layers)} layers{hint}"
        )
    with model.executor.weights_lock.held():
        groups = _in_order(groups, places(model.layers, ()), ordered=ordered)
        shape = _input_shape(model, layers, groups, entries)
        given = _fitting(model, places(model.layers, shape), groups, entries)
        model.build(shape)
        for layer, name, array in given:
            layer.set_parameter(name, array)
    return model


def _kinds(layers: Iterable[Layer]) -> str:
    return " and ".join(dict.fromkeys(type(layer).__name__ for layer in layers)) or "Dense"


def _entries(source: Any, prefix: str) -> tuple[dict[str, Entry], bool]:
    """The tensors of a state below a prefix, and whether their order is that of the layers."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if not torch_files.is_pickled(path):
            tensors = _below(prefix, torch_files.tensors(path))
            return {key: torch_files.entry(tensor) for key, tensor in tensors.items()}, False
        source = torch_files.unpickled(path)
    if not isinstance(source, Mapping):
        hint = ", not the module: give module.state_dict()" if hasattr(source, "state_dict") else ""
        raise TypeError(f"source must be a dict or the path of a file{hint}, got {source!r}")
    source = _state_within(source, _WITHIN)
    if (name := prefix.rstrip(".")) and isinstance(source.get(name), Mapping):
        source, prefix = _state_within(source[name], _WITHIN), ""
    return {key: _entry(key, value) for key, value in _below(prefix, source).items()}, True


def _state_within(source: Mapping[Any, Any], names: tuple[str, ...]) -> Mapping[Any, Any]:
    """The state in a checkpoint; the source itself if it is not a checkpoint."""
    return next((source[name] for name in names if isinstance(source.get(name), Mapping)), source)


def _below(prefix: str, tensors: Mapping[Any, Any]) -> dict[Any, Any]:
    """The tensors whose keys begin with a prefix, which is removed; a ValueError if there are none."""
    if not prefix:
        return dict(tensors)
    start = prefix if prefix.endswith(".") else f"{prefix}."
    below = {
        key.removeprefix(start): value
        for key, value in tensors.items()
        if isinstance(key, str) and key.startswith(start)
    }
    if not below:
        firsts = dict.fromkeys(str(key).partition(".")[0] for key in tensors)
        near = nearest(prefix, firsts)
        raise ValueError(f"no key begins with prefix={prefix!r}{near}; they begin with {', '.join(firsts)}")
    return below


def _entry(key: Any, value: Any) -> Entry:
    """Shape and values of a tensor in a dict."""
    if isinstance(value, Mapping):
        raise TypeError(
            f"{key!r} must be a tensor or an array, got a dict; prefix={key!r} takes the state in it"
        )
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{key!r} must not be a masked array; fill or drop the masked values")
    try:
        return tuple(value.shape), lambda: _array(key, value)
    except (AttributeError, TypeError) as error:
        raise TypeError(f"{key!r} must be a tensor or an array, got {type(value).__name__}") from error


def _array(key: str, value: Any) -> Any:
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            if "float16" in str(value.dtype):  # bfloat16 too, which NumPy does not have
                value = value.float()
            value = value.numpy()
        value = np.asarray(value)
        if value.dtype.name == "bfloat16":
            value = value.astype(np.float32)
    except (TypeError, RuntimeError, ValueError) as error:
        raise TypeError(f"{key!r} cannot be converted to an array: {error}") from error
    if value.dtype.kind != "f":
        raise TypeError(f"{key!r} must be floating-point numbers, got {value.dtype}")
    return value


def _groups(entries: Mapping[str, Entry]) -> dict[str, dict[str, str]]:
    """The modules in the order of the state, each with its keys, ``{"weight": "0.weight", ...}``."""
    groups: dict[str, dict[str, str]] = {}
    for key in entries:
        if isinstance(key, str) and key.endswith(_COUNTER):
            continue
        match = _KEY.fullmatch(key) if isinstance(key, str) else None
        if match is None:
            raise ValueError(f"{key!r} is not a weight or bias of a module, such as '0.weight'")
        group = "".join(match[part] or "" for part in ("module", "layer", "reverse"))
        groups.setdefault(group, {})[match["name"]] = key
    return groups


def _in_order(
    groups: dict[str, dict[str, str]], wanted: list[Place], *, ordered: bool
) -> dict[str, dict[str, str]]:
    """The modules in the order of the layers."""
    modules = list(dict.fromkeys(name for place in wanted for name in place.modules()))
    if set(modules) == set(groups):  # as `to_torch_state` names them
        return {name: groups[name] for name in modules}
    # By number where the names differ by numbers only: "10" is after "2", whatever the file's order is.
    forms = {re.sub(r"\d+", "0", group.removesuffix(REVERSE)) for group in groups}
    if len(forms) == 1:
        return dict(sorted(groups.items(), key=lambda item: _numbers(item[0])))
    if not ordered:
        raise ValueError(
            f"a file does not tell the order of {', '.join(groups)}; pass a dict in the order of the layers"
        )
    return groups


def _numbers(group: str) -> tuple[list[int], bool]:
    return [int(n) for n in re.findall(r"\d+", group)], group.endswith(REVERSE)


def _input_shape(
    model: Model, layers: list[Layer], groups: dict[str, dict[str, str]], entries: Mapping[str, Entry]
) -> Shape:
    """Shape of a sample of the model's input: if it is not built, that of the first weights."""
    if model.input_shape is not None:
        return model.input_shape
    if not layers or not isinstance(layers[0], (Dense, LayerNormalization)):
        raise ValueError(
            "the weights do not tell the size of the input; build the model first: model.build(shape)"
        )
    keys = next(iter(groups.values()))
    key = _weight(keys)
    _check_rank(layers[0], key, entries[key][0], PARAMETERS[type(layers[0])][0])
    return (validate.integer("n_in", int(entries[key][0][-1]), low=1),)


def _weight(keys: Mapping[str, str]) -> str:
    if "weight" not in keys:
        raise ValueError(f"the state has {keys['bias']!r}, but no weight of that layer")
    return keys["weight"]


_COUNTS = {1: "one number", 2: "two numbers", 3: "three numbers", 4: "four numbers"}


def _check_rank(layer: Layer, key: str, shape: Shape, one: Parameter | GateParameter) -> None:
    """Raise a ValueError unless weights have as many axes as they should."""
    rank = len(one.axes) if isinstance(one, Parameter) else 2
    if len(shape) != rank:
        raise ValueError(
            f"{key!r} has shape {shape}, that of a {MODULES[kind(layer)]} layer has {_COUNTS[rank]}"
        )


def _fitting(
    model: Model, wanted: list[Place], groups: dict[str, dict[str, str]], entries: Mapping[str, Entry]
) -> list[tuple[Layer, str, NDArray[Any]]]:
    """Layers, the names of their parameters and the new values, all checked."""
    given: list[tuple[Layer, str, NDArray[Any]]] = []
    order = iter(groups.values())
    for place in wanted:
        layer = place.layer
        specs = place.specs()
        for module, keys in zip(place.modules(), order, strict=False):
            ones = {one.name: one for one in place.parameters(module)}
            key = _weight(keys) if "weight" in ones else next(iter(keys.values()))
            if "weight" in keys and not isinstance(layer, Recurrent):
                _check_rank(layer, key, entries[key][0], ones.get("weight", Parameter("", "")))
            for name in sorted(set(keys) ^ set(ones)):
                what = f"has no {name}" if name in ones else f"has a {name}"
                raise ValueError(f"the layer of {key!r} {what}, unlike {layer!r} of the model")
            values: dict[str, NDArray[Any]] = {}
            for name, key in keys.items():
                one = ones[name]
                shape = one.torch_shape(specs[one.own])
                if entries[key][0] != shape:
                    raise ValueError(f"{key!r} has shape {entries[key][0]}, {layer!r} needs {shape}")
                array = place.from_torch(one, np.asarray(entries[key][1]()), specs[one.own])
                array = array_checks.array(repr(key), array, model.dtype, (1, 2, 3, 4))
                layer.check_values(one.own, array, repr(key))
                values[one.own] = values[one.own] + array if one.own in values else array
            given += ((layer, own, array) for own, array in values.items())
    return given
