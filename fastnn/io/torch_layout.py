"""Where PyTorch has the parameters of layers: in which module, by which name, and in which order of axes.

PyTorch's axes are in the other order: its `Linear` keeps (out, in), its `Conv2d` (out, in, height, width),
and its images have their channels first. So after a `Flatten` of images the inputs of a `Dense` are in
another order there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..layers.base import Layer
from ..layers.batch_normalization import BatchNormalization
from ..layers.bidirectional import Bidirectional
from ..layers.containers import Container, Residual, Sequential
from ..layers.convolution import Conv1D, Conv2D, Conv2DTranspose
from ..layers.convolution_base import Windowed
from ..layers.dense import Dense
from ..layers.depthwise import DepthwiseConv2D, SeparableConv2D
from ..layers.dropout import SpatialDropout1D, SpatialDropout2D
from ..layers.embedding import Embedding
from ..layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from ..layers.pooling import GlobalPooling, WindowPooling
from ..layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from ..layers.reshaping import Flatten
from ..layers.resizing import Cropping, UpSampling, ZeroPadding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ..engine.ops import Shape


#: What the names of parameters that go backwards end with.
REVERSE = "_reverse"


class Parameter(NamedTuple):
    """A parameter of a kind of layer.

    Attributes
    ----------
    own : str
        Its name here.
    name : str
        That of PyTorch.
    axes : tuple of int
        Its axes, in PyTorch's order.
    module : int
        Number of the module among those of the layer.
    merged : bool
        Whether the first two axes, in PyTorch's order, are one, and one of size 1 follows.
    """

    own: str
    name: str
    axes: tuple[int, ...] = (0,)
    module: int = 0
    merged: bool = False

    def to_torch(self, view: NDArray[Any]) -> NDArray[Any]:
        """Values in PyTorch's order."""
        array = view.transpose(self.axes)
        return array.reshape(-1, 1, *array.shape[2:]) if self.merged else array

    def torch_shape(self, shape: Shape) -> Shape:
        """Its shape in PyTorch's order."""
        first, *others = [shape[axis] for axis in self.axes]
        return (first * others[0], 1, *others[1:]) if self.merged else (first, *others)

    def from_torch(self, array: NDArray[Any], shape: Shape) -> NDArray[Any]:
        """Values of this shape from those in PyTorch's order."""
        return array.reshape([shape[axis] for axis in self.axes]).transpose(np.argsort(self.axes))


class GateParameter(NamedTuple):
    """A parameter of a recurrent layer, or one of the two biases that PyTorch has for its bias.

    Attributes
    ----------
    own, name : str
        As of `Parameter`; the name without the number and the direction that follow it.
    gates : tuple of int
        Our gates, in PyTorch's order.
    part : int
        Which of the two biases it is: that of the input or that of the state. A layer with one bias has zeros
        for the latter there, and the sum of both here.
    module : int
    """

    own: str
    name: str
    gates: tuple[int, ...]
    part: int = 0
    module: int = 0

    def to_torch(self, view: NDArray[Any]) -> NDArray[Any]:
        """Values in PyTorch's order."""
        if self.own != "bias":
            return _reordered(view.T, self.gates)
        if view.ndim == 2:
            return _reordered(view[self.part], self.gates)
        return _reordered(view if self.part == 0 else np.zeros_like(view), self.gates)

    def torch_shape(self, shape: Shape) -> Shape:
        """Its shape in PyTorch's order."""
        return shape[-1:] if self.own == "bias" else shape[::-1]

    def from_torch(self, array: NDArray[Any], shape: Shape) -> NDArray[Any]:
        """What those in PyTorch's order add to values of this shape."""
        values = _reordered(array, np.argsort(self.gates).tolist())
        if self.own != "bias":
            return values.T
        result = np.zeros(shape, values.dtype)
        result[self.part if len(shape) == 2 else ...] = values
        return result


def _reordered(array: NDArray[Any], gates: Sequence[int]) -> NDArray[Any]:
    """The gates, of as many rows each, in another order."""
    return array.reshape(len(gates), -1, *array.shape[1:])[list(gates)].reshape(array.shape)


def _of_gates(*gates: int) -> list[GateParameter]:
    return [
        GateParameter("weights", "weight_ih", gates),
        GateParameter("recurrent_weights", "weight_hh", gates),
        GateParameter("bias", "bias_ih", gates),
        GateParameter("bias", "bias_hh", gates, part=1),
    ]


#: The parameters of each kind of layer.
PARAMETERS: dict[type[Layer], Sequence[Parameter | GateParameter]] = {
    Dense: [Parameter("weights", "weight", (1, 0)), Parameter("bias", "bias")],
    LayerNormalization: [Parameter("gamma", "weight"), Parameter("beta", "bias")],
    GroupNormalization: [Parameter("gamma", "weight"), Parameter("beta", "bias")],
    RMSNormalization: [Parameter("gamma", "weight")],
    BatchNormalization: [
        Parameter("gamma", "weight"),
        Parameter("beta", "bias"),
        Parameter("moving_mean", "running_mean"),
        Parameter("moving_variance", "running_var"),
    ],
    Embedding: [Parameter("weights", "weight", (0, 1))],
    Conv1D: [Parameter("weights", "weight", (2, 1, 0)), Parameter("bias", "bias")],
    Conv2D: [Parameter("weights", "weight", (3, 2, 0, 1)), Parameter("bias", "bias")],
    Conv2DTranspose: [Parameter("weights", "weight", (3, 2, 0, 1)), Parameter("bias", "bias")],
    DepthwiseConv2D: [
        Parameter("weights", "weight", (2, 3, 0, 1), merged=True),
        Parameter("bias", "bias"),
    ],
    SeparableConv2D: [
        Parameter("depthwise_weights", "weight", (2, 3, 0, 1), merged=True),
        Parameter("pointwise_weights", "weight", (3, 2, 0, 1), module=1),
        Parameter("bias", "bias", module=1),
    ],
    SimpleRNN: _of_gates(0),
    GRU: _of_gates(1, 0, 2),
    LSTM: _of_gates(0, 1, 2, 3),
}


#: What messages call their modules.
MODULES: dict[type[Layer], str] = {
    Dense: "Linear",
    LayerNormalization: "LayerNorm",
    GroupNormalization: "GroupNorm",
    RMSNormalization: "RMSNorm",
    BatchNormalization: "BatchNorm",
    Embedding: "Embedding",
    Conv1D: "Conv1d",
    Conv2D: "Conv2d",
    Conv2DTranspose: "ConvTranspose2d",
    DepthwiseConv2D: "Conv2d",
    SeparableConv2D: "Conv2d",
    SimpleRNN: "RNN",
    GRU: "GRU",
    LSTM: "LSTM",
}


# Layers whose images have their channels first there.
_CHANNELS_FIRST = (
    Windowed,
    WindowPooling,
    GlobalPooling,
    UpSampling,
    ZeroPadding,
    Cropping,
    SpatialDropout1D,
    SpatialDropout2D,
    BatchNormalization,
    GroupNormalization,
)
# Layers that treat each number of a flat sample by itself, or all alike.
_IN_ANY_ORDER = (BatchNormalization, LayerNormalization, RMSNormalization)


class Place(NamedTuple):
    """A layer with parameters, and where it is in a `torch.nn.Sequential` of the same layers.

    Attributes
    ----------
    layer : Layer
    prefix, number : str and int
        Its first module is ``f"{prefix}{number}"``.
    input : shape
        Of a sample of its input; empty if it was not asked for.
    image : shape
        Of the images, channels last, that a `Flatten` before it has made flat; empty if there were none.
    is_reverse : bool
        Whether it is the layer that goes backwards in the module of a `Bidirectional`.
    """

    layer: Layer
    prefix: str
    number: int
    input: Shape
    image: Shape
    is_reverse: bool = False

    def modules(self) -> dict[str, int]:
        """The names of its modules with weights, and their numbers."""
        own = {one.module for one in PARAMETERS[kind(self.layer)]}
        end = REVERSE if self.is_reverse else ""
        return {f"{self.prefix}{self.number + module}{end}": module for module in sorted(own)}

    def key(self, module: str, one: Parameter | GateParameter) -> str:
        """That of a parameter of a module in PyTorch's state."""
        if isinstance(one, Parameter):
            return f"{module}.{one.name}"
        return f"{module.removesuffix(REVERSE)}.{one.name}_l0{REVERSE if self.is_reverse else ''}"

    def specs(self) -> dict[str, Shape]:
        """Shapes of the layer's parameters and running statistics, by name."""
        specs = self.layer.parameters(self.input) + self.layer.running_statistics(self.input)
        return {spec.name: spec.shape for spec in specs}

    def parameters(self, module: str) -> list[Parameter | GateParameter]:
        """Those of one of its modules."""
        own, number = self.specs(), self.modules()[module]
        return [one for one in PARAMETERS[kind(self.layer)] if one.own in own and one.module == number]

    def to_torch(self, one: Parameter | GateParameter, view: NDArray[Any]) -> NDArray[Any]:
        """Values of a parameter in PyTorch's order."""
        if self._is_of_inputs(one):
            image = view.reshape(*self.image, *view.shape[1:])
            view = np.moveaxis(image, len(self.image) - 1, 0).reshape(view.shape)
        return one.to_torch(view)

    def from_torch(self, one: Parameter | GateParameter, array: NDArray[Any], shape: Shape) -> NDArray[Any]:
        """Values of this shape from those in PyTorch's order."""
        values = one.from_torch(array, shape)
        if self._is_of_inputs(one):
            *size, channels = self.image
            image = values.reshape(channels, *size, *shape[1:])
            values = np.moveaxis(image, 0, len(size)).reshape(shape)
        return values

    def _is_of_inputs(self, one: Parameter | GateParameter) -> bool:
        """Whether the first axis of a parameter is that of the inputs, which were images."""
        return bool(self.image) and (one.own == "weights" or not isinstance(self.layer, Dense))


def kind(layer: Layer) -> type[Layer]:
    """The kind of a layer with parameters."""
    return next(one for one in PARAMETERS if isinstance(layer, one))


def places(layers: Sequence[Layer], shape: Shape) -> list[Place]:
    """The layers with parameters in their places, for samples of a shape; an empty one is unknown."""
    return list(_Walk().row(layers, shape, ""))


class _Walk:
    """Walks over layers in their order, containers' too."""

    def __init__(self) -> None:
        self._images = False  # whether the last layers gave images
        self._flattened: Shape = ()

    def row(self, layers: Sequence[Layer], shape: Shape, prefix: str) -> Iterator[Place]:
        """Layers in a row, which are the modules of a `Sequential`."""
        number = 0
        for layer in layers:
            yield from self._layer(layer, shape, prefix, number)
            shape = layer.output_shape(shape) if shape else shape
            number += modules(layer)

    def _layer(self, layer: Layer, shape: Shape, prefix: str, number: int) -> Iterator[Place]:
        path = f"{prefix}{number}"
        if isinstance(layer, Sequential):
            yield from self.row(layer.layers, shape, f"{path}.")
        elif isinstance(layer, Bidirectional):
            if layer.merge_mode != "concat":
                raise ValueError(
                    f"{layer.label} has no counterpart in PyTorch, which concatenates the outputs"
                )
            yield Place(layer.forward_layer, prefix, number, shape, ())
            yield Place(layer.backward_layer, prefix, number, shape, (), is_reverse=True)
        elif isinstance(layer, Container):
            path = path if isinstance(layer, Residual) else f"{path}.branches"
            images, flattened = self._images, self._flattened
            for name, part in layer.children.items():
                self._images, self._flattened = images, flattened
                row = part.layers if isinstance(part, Sequential) else [part]
                yield from self.row(row, shape, f"{path}.{name}.")
        elif isinstance(layer, tuple(PARAMETERS)) and layer.has_parameters:
            if isinstance(layer, Recurrent) and layer.go_backwards:
                raise ValueError(f"{layer.label} goes backwards, which no layer of PyTorch does alone")
            if self._flattened and not isinstance(layer, (Dense, *_IN_ANY_ORDER)):
                raise ValueError(
                    f"{layer.label} behind fn.Flatten of images computes something else in PyTorch, "
                    "where their channels come first"
                )
            yield Place(layer, prefix, number, shape, self._flattened)
            if not isinstance(layer, _IN_ANY_ORDER):
                self._flattened = ()
        elif isinstance(layer, Flatten):
            self._flattened = shape if self._images and len(shape) > 1 else self._flattened
        if isinstance(layer, _CHANNELS_FIRST):
            self._images = True
        elif isinstance(layer, tuple(PARAMETERS)):
            self._images = False


def modules(layer: Layer) -> int:
    """Number of modules of a `Sequential` that correspond to a layer."""
    active = getattr(layer, "activation", None) if isinstance(layer, (Dense, Windowed)) else None
    own = 2 if isinstance(layer, SeparableConv2D) else 1
    return own + (active is not None and active.name != "identity")
