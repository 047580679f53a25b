"""Layers that contain layers: `Sequential`, `Residual`, `Add` and `Concatenate`.

A branch is a layer, a list of layers, or None for the identity. All branches get the same input.
Layers in a container are identified by their path, as in ``"3.body.0"``; so are their parameters in a file.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

from ..checks.hints import not_called
from .base import Layer
from .derivatives import Derivatives
from .preprocessing import Preprocessing

if TYPE_CHECKING:
    from ..engine.graph import Graph
    from ..engine.index_limits import IndexLimits, Origins
    from ..engine.ops import Shape, Tensor

    Branch = Layer | Sequence[Layer] | None


class Container(Layer):
    """Base of layers that contain layers."""

    #: Settings that are layers.
    holds: tuple[str, ...] = ()

    def __init__(self, children: dict[str, Layer]) -> None:
        super().__init__()
        self._children = children
        for layer in children.values():
            if isinstance(layer, (Preprocessing, Derivatives)):
                raise ValueError(f"{layer!r} must be one of the model's own layers, not in a container")

    @property
    def children(self) -> dict[str, Layer]:  # noqa: D102
        return self._children

    @property
    def parts(self) -> dict[str, Layer | None]:
        """Its layers by name; None is a branch that is the identity."""
        return dict(self._children)

    @property
    def trainable(self) -> bool:
        """Whether any of its layers is trained; setting it sets all of them."""
        return any(layer.trainable for layer in self._children.values())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._children.values():
            layer.trainable = value

    @property
    def runs_by_step(self) -> bool:  # noqa: D102
        return all(layer.runs_by_step for layer in self._children.values())

    @property
    def has_parameters(self) -> bool:  # noqa: D102
        return any(layer.has_parameters for layer in self._children.values())

    @property
    def takes_indices(self) -> bool:  # noqa: D102
        return any(layer.takes_indices for layer in self._children.values())

    @property
    def is_free(self) -> bool:  # noqa: D102
        layers = self._children.values()
        return super().is_free and all(layer.is_free or layer.executor is self.executor for layer in layers)

    def penalties(self) -> tuple[float, float, float]:
        """The largest factors l1, l2 and alpha of its layers."""
        own = [(0.0, 0.0, 0.0), *(layer.penalties() for layer in self._children.values())]
        l1, l2, alpha = (max(factors) for factors in zip(*own, strict=True))
        return l1, l2, alpha

    def __copy__(self) -> Self:
        """A deep copy: a layer can be part of one container only."""
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._children.values()))})"


class Sequential(Container):
    """A sequence of layers, as one layer.

    Parameters
    ----------
    layers : sequence of Layer

    Raises
    ------
    TypeError, ValueError
        If they are not layers, there are none, or one of them is a preprocessing layer.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> block = fn.Sequential([fn.Dense(8, "relu"), fn.Dense(3)])
    >>> block(np.ones((2, 5))).shape
    (2, 3)
    """

    kind = "sequential"
    supports_masking = True
    holds = ("layers",)

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = checked_layers("layers", layers)
        super().__init__({str(i): layer for i, layer in enumerate(self.layers)})

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        (shape,) = inputs
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        for layer in self.layers:
            origins = layer.trace(origins, limits)
        return origins

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        for name, layer in self._children.items():
            x = graph.add(name, layer, x)
        return x

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "layers": [layer.config() for layer in self.layers]}

    def __repr__(self) -> str:
        return f"Sequential({list(self.layers)!r})"


class Branches(Container):
    """Base of containers whose branches get the same input.

    Parameters
    ----------
    branches : dict of str to Layer or None
        By their names; None is the identity.
    """

    supports_masking = True

    def __init__(self, branches: dict[str, Layer | None]) -> None:
        self._branches = branches
        super().__init__({name: layer for name, layer in branches.items() if layer is not None})

    @property
    def parts(self) -> dict[str, Layer | None]:  # noqa: D102
        return self._branches

    def combined_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Shape of the output, for the shapes of the branches; a ValueError if they do not match."""
        raise NotImplementedError

    def combine(self, graph: Graph, tensors: Sequence[Tensor]) -> Tensor:
        """Add the ops that combine the outputs of the branches."""
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        branches = self._branches.values()
        return self.combined_shape([inputs[0] if b is None else b.output_shape(*inputs) for b in branches])

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        for layer in self._children.values():
            layer.trace(origins, limits)
        return None

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        branches = self._branches.items()
        tensors = [
            inputs[0] if layer is None else graph.add(name, layer, *inputs) for name, layer in branches
        ]
        self.combined_shape([tensor.shape for tensor in tensors])
        if {tensor.mask for tensor in tensors} - {None, inputs[0].mask}:
            raise ValueError(f"{self.label}: fn.Masking must come before branches, not in one of them")
        return self.combine(graph, tensors)


class Residual(Branches):
    """The sum of the input and the output of layers: ``y = layers(x) + x``.

    K. He, X. Zhang, S. Ren, J. Sun, *Deep Residual Learning for Image Recognition*, CVPR 2016.

    Parameters
    ----------
    layers : Layer or sequence of Layer
    shortcut : Layer or sequence of Layer, optional
        Applied to the input: ``y = layers(x) + shortcut(x)``. It is needed if `layers` change the shape.

    Raises
    ------
    TypeError, ValueError
        If they are not layers, or one of them is a preprocessing layer.

    Examples
    --------
    >>> import fastnn as fn
    >>> block = fn.Residual([fn.LayerNormalization(), fn.Dense(8, "relu"), fn.Dense(8)])
    >>> model = fn.Model([fn.Dense(8), block, fn.Dense(2)], loss="mse", seed=0).build(3)
    >>> block.body.layers[1].path
    '1.body.1'
    """

    kind = "residual"
    holds = ("layers", "shortcut")

    def __init__(self, layers: Layer | Sequence[Layer], shortcut: Branch = None) -> None:
        body = branch("layers", layers)
        if body is None:
            raise ValueError("layers must not be empty")
        super().__init__({"body": body, "shortcut": branch("shortcut", shortcut)})

    @property
    def body(self) -> Layer:
        """The layers that are added to the input, as one: a `Sequential` if they were given as a sequence."""
        return self._children["body"]

    @property
    def shortcut(self) -> Layer | None:
        """The shortcut; None is the input itself."""
        return self._branches["shortcut"]

    def combined_shape(self, shapes: Sequence[Shape]) -> Shape:  # noqa: D102
        body, shortcut = shapes
        if body != shortcut and 0 not in (*body, *shortcut):
            if self.shortcut is not None:
                fix = f"its shortcut gives {shortcut}; both must give one shape"
            elif len(body) == 1:
                fix = f"its input is of shape {shortcut}; give shortcut=fn.Dense({body[0]})"
            else:
                fix = f"its input is of shape {shortcut}; give a shortcut that changes it to {body}"
            raise ValueError(f"{self.label}: its layers give {body}, and {fix}")
        return body

    def combine(self, graph: Graph, tensors: Sequence[Tensor]) -> Tensor:  # noqa: D102
        return add_up(graph, tensors)

    def config(self) -> dict[str, Any]:  # noqa: D102
        shortcut = None if self.shortcut is None else self.shortcut.config()
        return {"name": self.kind, "layers": self.body.config(), "shortcut": shortcut}

    def __repr__(self) -> str:
        body = list(self.body.layers) if isinstance(self.body, Sequential) else self.body
        shortcut = "" if self.shortcut is None else f", shortcut={self.shortcut!r}"
        return f"Residual({body!r}{shortcut})"


class _Listed(Branches):
    """Base of containers made from a list of branches."""

    holds = ("branches",)

    def __init__(self, branches: Sequence[Branch]) -> None:
        if isinstance(branches, (Layer, str, bytes)) or not isinstance(branches, Iterable):
            raise TypeError(f"branches must be a sequence of layers or lists of layers, got {branches!r}")
        found = {str(i): branch(f"branches[{i}]", given) for i, given in enumerate(branches)}
        if len(found) < 2:
            raise ValueError(f"branches must be two or more, got {len(found)}")
        super().__init__(found)

    @property
    def branches(self) -> tuple[Layer | None, ...]:
        """The branches, each as one layer; None is the identity."""
        return tuple(self._branches.values())

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind, "branches": [None if b is None else b.config() for b in self.branches]}

    def __repr__(self) -> str:
        branches = [list(b.layers) if isinstance(b, Sequential) else b for b in self.branches]
        return f"{type(self).__name__}({branches!r})"


class Add(_Listed):
    """The sum of the outputs of branches, all of the same shape.

    Parameters
    ----------
    branches : sequence of (Layer, sequence of Layer or None)
        Two or more; None is the identity.

    Raises
    ------
    TypeError, ValueError
        If they are not layers, or one of them is a preprocessing layer.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Add([None, fn.Activation("relu")])([[-1.0, 2.0]])
    array([[-1.,  4.]], dtype=float32)
    """

    kind = "add"

    def combined_shape(self, shapes: Sequence[Shape]) -> Shape:  # noqa: D102
        for i, shape in enumerate(shapes):
            if shape != shapes[0] and 0 not in (*shape, *shapes[0]):
                raise ValueError(
                    f"{self.label}: branch 0 gives {shapes[0]}, branch {i} {shape}; all must give one shape"
                )
        return shapes[0]

    def combine(self, graph: Graph, tensors: Sequence[Tensor]) -> Tensor:  # noqa: D102
        return add_up(graph, tensors)


class Concatenate(_Listed):
    """The outputs of branches, concatenated along the last axis.

    Parameters
    ----------
    branches : sequence of (Layer, sequence of Layer or None)
        Two or more; None is the identity.

    Raises
    ------
    TypeError, ValueError
        If they are not layers, or one of them is a preprocessing layer.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Concatenate([None, fn.Activation("relu")])([[-1.0, 2.0]])
    array([[-1.,  2.,  0.,  2.]], dtype=float32)
    """

    kind = "concatenate"

    def combined_shape(self, shapes: Sequence[Shape]) -> Shape:  # noqa: D102
        first = shapes[0]
        for i, shape in enumerate(shapes):
            if shape[:-1] != first[:-1] and 0 not in (*shape, *first):
                raise ValueError(
                    f"{self.label}: branch 0 gives {first}, branch {i} {shape}; all but the last number of "
                    "the shapes must be the same"
                )
        return (*first[:-1], sum(shape[-1] for shape in shapes))

    def combine(self, graph: Graph, tensors: Sequence[Tensor]) -> Tensor:  # noqa: D102
        return concatenate(graph, tensors)


def concatenate(graph: Graph, tensors: Sequence[Tensor]) -> Tensor:
    """Add the ops that concatenate tensors along the last axis."""
    result = tensors[0]
    for tensor in tensors[1:]:
        shape = (*result.shape[:-1], result.shape[-1] + tensor.shape[-1])
        positions = tensor.size // tensor.shape[-1]
        result = graph.op("layers.combine.concatenate", [result, tensor], shape, settings=(positions,))
    return result


def add_up(graph: Graph, tensors: Sequence[Tensor]) -> Tensor:
    """Add the ops of a sum."""
    total = tensors[0]
    for tensor in tensors[1:]:
        total = graph.op(
            "layers.combine.add", [total, tensor], total.shape, in_place=True, passes_gradient=True
        )
    return total


def branch(name: str, given: Any) -> Layer | None:
    """A branch as one layer, or None for the identity."""
    if given is None or isinstance(given, Layer):
        return given
    if isinstance(given, (list, tuple)) and not given:
        return None
    return Sequential(checked_layers(name, given))


def checked_layers(name: str, layers: Any) -> tuple[Layer, ...]:
    """Layers as a tuple; `name` is the argument's."""
    if isinstance(layers, Layer):
        raise TypeError(f"{name} must be a sequence of layers, got a single one: {layers!r}")
    if isinstance(layers, (str, bytes)) or not isinstance(layers, Iterable):
        raise TypeError(f"{name} must be a sequence of layers, got {layers!r}")
    result = tuple(layers)
    if not result:
        raise ValueError(f"{name} must not be empty")
    for layer in result:
        if not isinstance(layer, Layer):
            raise TypeError(f"{name} must be fastnn layers, got {layer!r}{not_called(layer)}")
    return result
