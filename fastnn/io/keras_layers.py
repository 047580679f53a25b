"""The layers of a configuration of Keras's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import activations
from ..checks import validate
from ..layers.activation import Activation
from ..layers.attention import MultiHeadAttention
from ..layers.bidirectional import Bidirectional
from ..layers.registry import TABLE
from ..layers.reshaping import Reshape

if TYPE_CHECKING:
    from ..engine.ops import Shape
    from ..layers.base import Layer

#: Classes whose settings have the same names here.
_SAME = (
    "Dense", "Dropout", "Flatten", "LayerNormalization", "BatchNormalization", "GroupNormalization",
    "Embedding",
    "Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "SimpleRNN", "GRU", "LSTM",
    "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "UpSampling1D", "UpSampling2D",
    "ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "SpatialDropout1D", "SpatialDropout2D",
    "RMSNormalization", "Masking", "MultiHeadAttention",
)  # fmt: skip
# Settings that do not change what a layer predicts, or whose values are those of the only way there is here.
_IGNORED = {
    "name", "axis", "trainable", "dtype", "seed", "noise_shape", "batch_input_shape", "batch_shape",
    "input_dtype",
    "input_length", "implementation", "unroll", "momentum", "sparse", "ragged", "synchronized",
    "recurrent_dropout", "dropout", "fused", "renorm_momentum", "renorm_clipping",
    "zero_output_for_mask", "init", "input_dim",
}  # fmt: skip
# And those that must have one of these values, if they are given.
_ONLY: dict[str, tuple[Any, ...]] = {
    "data_format": (None, "channels_last"),
    "reset_after": (True,),
    "recurrent_activation": ("sigmoid",),
    "return_state": (False,),
    "stateful": (False,),
    "time_major": (False,),
    "output_padding": (None,),
    "mask_zero": (False,),
    "renorm": (None, False),
    "attention_axes": (None, 1, [1]),
}


def input_size(kind: str, inner: Any) -> Shape | None:
    """Shape of a sample of the input of a model; None if its configuration does not tell it."""
    if isinstance(inner, dict) and inner.get("build_input_shape"):
        return _sizes(inner["build_input_shape"])
    given = inner if isinstance(inner, list) else inner["layers"]  # a list before Keras 2.2
    for entry in given if kind != "Sequential" else given[:1]:
        settings = entry["config"]
        if entry["class_name"] in ("Sequential", "Functional", "Model"):
            return input_size(entry["class_name"], settings)
        sizes = settings.get("batch_shape") or settings.get("batch_input_shape")
        if sizes:
            return _sizes(sizes)
    return None


def _sizes(given: Any) -> Shape:
    """Shape of a sample from that of a batch."""
    first = given[0] if given and isinstance(given[0], (list, tuple)) else given
    if None in first[1:]:
        raise ValueError(f"its input has the shape {tuple(first[1:])}; all sizes of a sample must be known")
    return validate.shape("shape of the input", tuple(first[1:]))


class Arrays(NamedTuple):
    """What a group of a file of Keras 3 holds of a layer.

    Attributes
    ----------
    place : str
        The group, below that of the layer.
    arrays : list of (str, shape)
        In the order of the group, the parameter that each array is part of, and its shape in the file. The
        parts of a parameter lie side by side along its last axis.
    """

    place: str
    arrays: list[tuple[str, Shape]]


def arrays_of(layer: Layer, shape: Shape) -> list[Arrays]:
    """The arrays of a layer that is trained on inputs of a shape, without running statistics."""
    if not isinstance(layer, MultiHeadAttention):
        return [Arrays("", [(spec.name, spec.shape) for spec in layer.parameters(shape)])]
    heads, features = layer.num_heads, shape[-1]
    widths = {"query": layer.key_dim, "key": layer.key_dim, "value": layer.value_dim}
    result = [
        Arrays(
            f"/{name}_dense",
            [("projection_weights", (features, heads, width)), ("projection_bias", (heads, width))],
        )
        for name, width in widths.items()
    ]
    out = [("output_weights", (heads, layer.value_dim, features)), ("output_bias", (features,))]
    result.append(Arrays("/output_dense", out))
    return result if layer.use_bias else [Arrays(place, own[:1]) for place, own in result]


def layer_of(kind: str, name: str, settings: Mapping[str, Any]) -> Layer | None:
    """The layer of a configuration; None if it is nothing here."""
    by_name = {layer.__name__: layer for layer in TABLE.values()}
    try:
        if kind in _OTHERS:
            return _OTHERS[kind](settings)
        if kind not in _SAME or kind not in by_name:
            raise ValueError("layers of this class are not known")
        return by_name[kind](**_arguments(by_name[kind], _modern(kind, settings)))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"its layer {name!r}, {kind}: {str(error)[:300]}") from error


def _modern(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names of today, from those of Keras 1."""
    names = (
        {"output_dim": "units", "bias": "use_bias"} if kind == "Dense" and "output_dim" in settings else {}
    )
    return {names.get(name, name): value for name, value in settings.items()}


def _arguments(kind: type[Layer], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a layer's class."""
    known = set(inspect.signature(kind).parameters)
    result: dict[str, Any] = {}
    for name, value in settings.items():
        if name.endswith(("_initializer", "_regularizer", "_constraint")) or name[:2] in ("W_", "b_"):
            continue
        if name == "activation":
            result[name] = _activation(value)
        elif name in _ONLY and name not in known:
            given = _name(value) if name == "recurrent_activation" else value
            if given not in _ONLY[name]:
                raise ValueError(f"{name}={given!r} is not supported")
        elif name in known and name not in ("l1", "l2", "alpha"):
            result[name] = tuple(value) if isinstance(value, list) else value
        elif name not in _IGNORED and value not in (None, False):
            raise ValueError(f"{name}={value!r} is not known")
    return result


def axis_of(kind: str, settings: Mapping[str, Any]) -> int | None:
    """The axis in the settings of a layer that has none here."""
    axis = settings.get("axis") if kind.endswith(("Normalization", "Concatenate")) else None
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    return None if axis in (None, -1) else axis


def _name(value: Any) -> Any:
    """The name of a function, also of a configuration that wraps it."""
    while isinstance(value, dict):
        value = value["config"] if value.get("class_name") in ("function", None) else value["class_name"]
    return value


def _activation(value: Any) -> Any:
    name = _name(value)
    return None if name in (None, "linear") else activations.get(str(name))


def _relu(settings: Mapping[str, Any]) -> Layer:
    if settings.get("max_value") is not None or settings.get("threshold"):
        raise ValueError("max_value and threshold are not supported")
    slope = float(settings.get("negative_slope") or 0.0)
    return Activation(activations.leaky_relu(slope) if slope else "relu")


def _leaky_relu(settings: Mapping[str, Any]) -> Layer:
    slope = settings.get("negative_slope", settings.get("alpha", 0.3))
    return Activation(activations.leaky_relu(float(slope)))


def _softmax(settings: Mapping[str, Any]) -> Layer:
    if settings.get("axis", -1) not in (-1, [-1]):
        raise ValueError(f"axis={settings['axis']!r} is not the last")
    return Activation("softmax")


def _bidirectional(settings: Mapping[str, Any]) -> Layer:
    inner = settings["layer"]
    own, other = inner["config"], settings.get("backward_layer")
    layer = layer_of(inner["class_name"], str(own.get("name", "layer")), own)
    if layer is None:
        raise ValueError("it has no layer")
    if other is not None:
        backward = layer_of(
            other["class_name"], str(other["config"].get("name", "backward_layer")), other["config"]
        )
        expected = {**layer.config(), "go_backwards": True}
        if backward is None or backward.config() != expected:
            raise ValueError(f"its backward_layer {backward!r} has other settings than its layer {layer!r}")
    return Bidirectional(layer, settings.get("merge_mode", "concat"))


_OTHERS: dict[str, Callable[[Mapping[str, Any]], Layer | None]] = {
    "InputLayer": lambda settings: None,
    "Activation": lambda settings: Activation(_activation(settings["activation"]) or "identity"),
    "Reshape": lambda settings: Reshape(tuple(settings["target_shape"])),
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": lambda settings: Activation(activations.elu(float(settings.get("alpha", 1.0)))),
    "Softmax": _softmax,
    "Bidirectional": _bidirectional,
}
