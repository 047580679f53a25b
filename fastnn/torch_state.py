"""Weights from and for PyTorch: the state of a `torch.nn.Sequential` with the same layers.

PyTorch's `Linear` keeps its weights as (out, in), `fastnn.Dense` as (in, out): they are transposed
on the way. PyTorch itself is needed for tensors only, and is never imported to load.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _validate
from .layers import Activation, Dense, Dropout
from .plan import widths
from .preprocessing import Preprocessing
from .saving import open_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layer import Layer
    from .model import Model

# Shape of a tensor, and a function that gives it as an array.
_Entry = tuple[tuple[int, ...], Callable[[], Any]]


def load_torch(source: Mapping[str, Any] | str | os.PathLike[str], model: Model) -> Model:
    """Take the weights of a PyTorch model of the same layers.

    Parameters
    ----------
    source : dict, or path
        What ``state_dict()`` of a `torch.nn.Sequential` gives, with tensors or arrays of any
        floating-point type, or the path of a safetensors file of it. The keys are ``"0.weight"``,
        ``"0.bias"``, ``"2.weight"`` and so on, in any order, perhaps after a prefix such as ``"net."``.
        Layers that are named without numbers are taken in the order of the dict.
    model : Model
        Its `Dense` layers take the `Linear` layers of the state in turn; it is built if it is not yet.

    Returns
    -------
    Model
        The model given, with new weights. Where training stands, and the optimizer's memory, is not
        changed.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If a key, a shape or a type does not fit; the model is then as it was.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> state = {"0.weight": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "0.bias": np.zeros(3)}
    >>> model = fn.load_torch(state, fn.Model([fn.Dense(3, "relu")]))
    >>> model.predict([[1.0, 0.0]])
    array([[1., 3., 5.]], dtype=float32)
    """
    from .model import Model

    if not isinstance(model, Model):
        raise TypeError(f"model must be a fastnn.Model, got {model!r}")
    if isinstance(source, Mapping):
        entries = {key: _entry(key, value) for key, value in source.items()}
        groups = _groups(entries, ordered=True)
    elif isinstance(source, (str, os.PathLike)):
        entries = _file_entries(os.fspath(source))
        groups = _groups(entries, ordered=False)
    else:
        raise TypeError(f"source must be a dict or the path of a safetensors file, got {source!r}")
    layers = _dense_layers(model, (Dense, Activation, Dropout, Preprocessing))
    if len(groups) != len(layers):
        raise ValueError(
            f"the state has {len(groups)} Linear layers ({', '.join(groups)}), the model has {len(layers)} "
            "Dense layers"
        )
    with model._lock:
        n_in, given = _fitting(model, layers, groups, entries)
        model.build(n_in)
        for layer, values in zip(layers, given, strict=True):
            for name, array in values.items():
                layer._set_parameter(name, array)
    return model


def to_torch_state(model: Model, as_numpy: bool = False) -> dict[str, Any]:
    """See `Model.to_torch_state`."""
    _dense_layers(model, (Dense, Activation, Dropout))
    model.state  # noqa: B018 - refuses a model that is not built
    state: dict[str, NDArray[Any]] = {}
    number = 0
    for layer in model.layers:
        if isinstance(layer, Dense):
            state[f"{number}.weight"] = np.ascontiguousarray(layer.weights.T).copy()
            if layer.use_bias:
                state[f"{number}.bias"] = layer.bias.copy()
        number += _modules(layer)
    if as_numpy:
        return state
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "to_torch_state needs PyTorch to make tensors; as_numpy=True gives arrays without it"
        ) from error
    return {key: torch.from_numpy(value) for key, value in state.items()}


def _modules(layer: Layer) -> int:
    """How many modules of a Sequential do what a layer does."""
    if isinstance(layer, Dense) and layer.activation is not None:
        return 1 if layer.activation.name == "identity" else 2
    return 1


def _dense_layers(model: Model, known: tuple[type[Layer], ...]) -> list[Dense]:
    """The layers with weights, if all are of known kinds."""
    for layer in model.layers:
        if not isinstance(layer, known):
            raise ValueError(f"{layer!r} has no counterpart in a state of Linear layers")
    return [layer for layer in model.layers if isinstance(layer, Dense)]


def _entry(key: Any, value: Any) -> _Entry:
    """Shape and numbers of a tensor of a dict."""
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
        raise TypeError(f"{key!r} cannot be made an array: {error}") from error
    if value.dtype.kind != "f":
        raise TypeError(f"{key!r} must be floating-point numbers, got {value.dtype}")
    return value


def _file_entries(path: str) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    with open_tensors(path) as file:
        for key in file.keys():
            tensor = file.get_slice(key)
            dtype = tensor.get_dtype()
            if dtype not in ("F64", "F32", "F16", "BF16"):
                raise TypeError(f"{key!r} must be floating-point numbers, got {dtype}")
            read = _read_bfloat16 if dtype == "BF16" else _read
            entries[key] = tuple(tensor.get_shape()), functools.partial(read, path, key)
    return entries


def _read(path: str, key: str) -> Any:
    with open_tensors(path) as file:
        return file.get_tensor(key)


def _read_bfloat16(path: str, key: str) -> Any:
    """A tensor whose type NumPy lacks: the upper half of float32 numbers."""
    from safetensors import deserialize

    with open(path, "rb") as file:
        tensors = dict(deserialize(file.read()))  # type: ignore[no-untyped-call]
    upper = np.frombuffer(tensors[key]["data"], "<u2").astype(np.uint32)
    return (upper << 16).view(np.float32).reshape(tensors[key]["shape"])


def _groups(entries: Mapping[str, _Entry], *, ordered: bool) -> dict[str, dict[str, str]]:
    """The Linear layers in their order: for each its keys, ``{"weights": "0.weight", ...}``."""
    groups: dict[str, dict[str, str]] = {}
    for key in entries:
        match = re.fullmatch(r"(?:(.*)\.)?(weight|bias)", key) if isinstance(key, str) else None
        if match is None:
            raise ValueError(f"{key!r} is not a weight or bias of a Linear layer, such as '0.weight'")
        name = "weights" if match[2] == "weight" else "bias"
        groups.setdefault(match[1] or "", {})[name] = key
    # By number where the names differ by numbers only: "10" is after "2", whatever the file's order is.
    forms = {re.sub(r"\d+", "0", group) for group in groups}
    if len(forms) == 1:
        return dict(sorted(groups.items(), key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])]))
    if not ordered:
        raise ValueError(
            f"the order of {', '.join(groups)} cannot be told from a file; give a dict in the layers' order"
        )
    return groups


def _fitting(
    model: Model, layers: list[Dense], groups: dict[str, dict[str, str]], entries: Mapping[str, _Entry]
) -> tuple[int, list[dict[str, NDArray[Any]]]]:
    """Size of the input, and for each layer its new parameters, all checked."""
    n_in = model.n_in
    given: list[dict[str, NDArray[Any]]] = []
    for layer, keys in zip(layers, groups.values(), strict=True):
        if "weights" not in keys:
            raise ValueError(f"the state has {keys['bias']!r}, but no weight of that layer")
        shape = entries[keys["weights"]][0]
        if len(shape) != 2:
            raise ValueError(f"{keys['weights']!r} has shape {shape}, that of a Linear layer has two numbers")
        if n_in is None:
            n_in = _validate.integer("n_in", int(shape[1]), low=1)
        size = widths(model.layers, n_in)[model.layers.index(layer)]
        wanted = {name: want[::-1] for name, want in layer.parameter_shapes(size).items()}
        if set(keys) != set(wanted):
            what = "has no bias" if "bias" in wanted else "has a bias"
            raise ValueError(f"the layer of {keys['weights']!r} {what}, unlike {layer!r} of the model")
        values = {}
        for name, key in keys.items():
            if entries[key][0] != wanted[name]:
                raise ValueError(f"{key!r} has shape {entries[key][0]}, {layer!r} needs {wanted[name]}")
            values[name] = _validate.array(repr(key), np.asarray(entries[key][1]()).T, model.dtype, (1, 2))
            _validate.finite(repr(key), values[name])
        given.append(values)
    assert n_in is not None
    return n_in, given
