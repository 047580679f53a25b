"""Steps: layers in the making, each computing columns from those of the step before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from ..layers.activation import Activation
from ..layers.containers import Add, Concatenate, Residual
from ..layers.dense import Dense
from ..layers.reshaping import Flatten, Reshape, Select
from ..layers.resizing import Cropping1D, Cropping2D
from ..layers.scaling import Standardize
from ._affine import Columns, Map, Matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..activations import Activation as ActivationSpec
    from ..engine.ops import Shape
    from ..layers.base import Layer


@dataclass(frozen=True, eq=False)
class Step:
    """Computes `width` columns from those of the step before, or from the input if there is none.

    A step is a product, an activation, a layer, or branches.

    Attributes
    ----------
    width : int
    before : Step or None
    product : Matrix or None
    activation : activations.Activation or None
    make : function or None
        Makes its layer. With `channels` it is given the activation that follows or None, and `arrays`.
    absorbs : bool
        Whether the layer can have the activation that follows.
    arrays : dict of str to array
        The parameters of the layer; those of layers in it are called after them, as "forward_layer.weights".
    channels : tuple of int
        The axes of the weights that are the channels of the output; empty if weights and bias cannot be
        scaled to scale the output.
    names : tuple of two str
        What these weights and the bias are called; the bias is empty if there cannot be one.
    attends : bool
        Whether it is attention whose output is to be projected.
    branches : tuple of tuples of Step
        The steps of each branch, one after the other.
    ends : tuple of shapes
        What each branch must give; empty if all are to give what the first does.
    adds : bool
        Whether the branches are added, not put side by side.
    takes, gives : shape or None
        Of a sample; None if it takes any, and if it gives what it takes.
    images : bool
        Whether it gives images or sequences, channels last, as a layer or one before it does.
    row : shape or None
        Of a sample of data that may also be taken for a row of numbers.
    trained : bool
        Whether it or a step before it has parameters or branches.
    depth : int
        How many steps there are before it.
    size : int
        How many numbers it has, and about how many more would take as long as making it.
    shape : shape or None
        Of a sample that it gives; None if any can be given.
    """

    width: int
    before: Step | None = None
    product: Matrix | None = None
    activation: ActivationSpec | None = None
    make: Callable[..., Layer] | None = None
    absorbs: bool = False
    arrays: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    channels: tuple[int, ...] = ()
    names: tuple[str, str] = ("weights", "bias")
    attends: bool = False
    branches: tuple[tuple[Step, ...], ...] = ()
    ends: tuple[Shape, ...] = ()
    adds: bool = False
    takes: Shape | None = None
    gives: Shape | None = None
    images: bool = False
    row: Shape | None = None
    trained: bool = False
    depth: int = field(init=False)
    size: int = field(init=False)
    shape: Shape | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 0 if self.before is None else self.before.depth + 1)
        own = 0 if self.product is None else self.product.size
        own += sum(values.size for values in self.arrays.values())
        inner = sum(step.size for steps in self.branches for step in steps)
        object.__setattr__(self, "size", CALL + own + inner)
        before = self.before
        inherited = None if before is None else before.shape
        if before is not None and before.images and self.product is None:
            object.__setattr__(self, "images", True)
        object.__setattr__(self, "shape", self.gives or self.takes or inherited)

    @property
    def has_axes(self) -> bool:
        """Whether it gives images or sequences, or data that layers may take for such."""
        return self.images or len(self.shape or self.row or ()) > 1

    @property
    def is_positive(self) -> bool:
        """Whether no number that it gives is negative."""
        return self.activation is not None and self.activation.name in ("relu", "sigmoid", "softmax")


CALL = 1000  # values that take as long as some Python calls


def chain(last: Step) -> list[Step]:
    """The steps up to one, the input first."""
    steps = [last]
    while steps[-1].before is not None:
        steps.append(steps[-1].before)
    return steps[::-1]


def joined(
    ends: Sequence[Step],
    *,
    adds: bool,
    use: Callable[[int], None],
    shapes: Sequence[Shape] = (),
) -> Step:
    """A step of branches that end in the given steps; they begin behind the last step that all have.

    `use` counts the numbers that it has. Branches of the given shapes are joined along their last axis.
    """
    chains = [chain(end) for end in ends]
    common = 0
    while all(len(steps) > common and steps[common] is chains[0][common] for steps in chains):
        common += 1
    width = ends[0].width if adds else sum(end.width for end in ends)
    branches = tuple([tuple([_inside(step, use) for step in steps[common:]]) for steps in chains])
    use(sum(step.size for steps in branches for step in steps))
    if adds:
        gives = next((end.shape for end in ends if end.shape is not None), None)
    else:
        shapes = shapes or [(end.width,) for end in ends]
        gives = (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
    before = chains[0][common - 1]
    return Step(width, before, branches=branches, ends=tuple(shapes), adds=adds, gives=gives, trained=True)


def _inside(step: Step, use: Callable[[int], None]) -> Step:
    """A step as it may stand in a container: a product in place of a layer that prepares the data."""
    layer = None if step.make is None or step.channels else step.make()
    if not isinstance(layer, Standardize):
        return step
    use(step.width**2)
    mean, scale = (
        np.tile(layer.statistics[name], step.width // len(layer.statistics[name]))
        for name in ("mean", "scale")
    )
    product = Matrix(np.diag(1 / scale), -mean / scale)
    return of_product(None, product)


def of_product(before: Step | None, product: Matrix) -> Step:
    """A step that multiplies all columns by a matrix."""
    return Step(
        product.n_out,
        before,
        product=product,
        takes=(product.n_in,),
        gives=(product.n_out,),
        trained=True,
    )


def of_map(before: Step, given: Map) -> Step:
    """A step that computes an affine map of what one before gives."""
    if isinstance(given, Columns) and given.is_choice and given.index is not None:
        columns = given.index.tolist()
        if len(set(columns)) == len(columns):
            return _cropped(before, given.index) or Step(
                len(columns),
                before,
                make=lambda: Select(columns),
                takes=(before.width,),
                gives=(len(columns),),
                trained=True,
            )
    return of_product(before, given.matrix())


_CROPPING: dict[int, Any] = {2: Cropping1D, 3: Cropping2D}


def _cropped(before: Step, index: NDArray[np.int64]) -> Step | None:
    """A step that cuts off borders of images or series; None if it is not these columns that are left."""
    shape = before.shape if before.images else before.row
    if shape is None or len(shape) not in _CROPPING:
        return None
    places = np.unravel_index(index, shape)
    starts, ends = [int(own.min()) for own in places], [int(own.max()) + 1 for own in places]
    inside = tuple([slice(start, end) for start, end in zip(starts, ends, strict=True)])
    left = np.arange(before.width).reshape(shape)[inside]
    if left.shape[-1] != shape[-1] or not np.array_equal(left.ravel(), index):
        return None
    borders = [(start, size - end) for start, end, size in zip(starts, ends, shape[:-1], strict=False)]
    kind, widths = _CROPPING[len(shape)], tuple(borders) if len(borders) > 1 else borders[0]
    return Step(index.size, before, make=lambda: kind(widths), takes=shape, gives=left.shape, trained=True)


def standardized(before: Step, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> Step | None:
    """A step that shifts and scales the columns of the input, by a layer that prepares the data.

    None if it would do so differently at different positions of an image.
    """
    shape = before.shape or (mean.size,)
    rows = [values.reshape(-1, shape[-1]) for values in (mean, scale)]
    if any((values != values[0]).any() for values in rows):
        return None
    numbers = {"mean": rows[0][0], "scale": rows[1][0]}

    def make() -> Layer:
        layer = Standardize()
        layer.set_statistics(numbers)
        return layer

    return Step(mean.size, before, make=make, takes=shape)


def scaled(
    step: Step, index: NDArray[np.int64], factors: NDArray[np.float64], shifts: NDArray[np.float64]
) -> Step | None:
    """A step whose weights and bias also scale and shift its output channels.

    `index` are the columns that the factors and shifts are for. None if positions differ, or if there
    cannot be a bias.
    """
    assert step.shape is not None
    n, (name, bias) = step.shape[-1], step.names
    factor, shift = np.ones(n), np.zeros(n)
    factor[index % n], shift[index % n] = factors, shifts
    if not (np.array_equal(factor[index % n], factors) and np.array_equal(shift[index % n], shifts)):
        return None
    arrays = dict(step.arrays)
    if name in arrays or (factor != 1).any():
        weights = arrays.get(name, np.ones(n))
        shape = [size if axis in step.channels else 1 for axis, size in enumerate(weights.shape)]
        arrays[name] = weights * factor.reshape(shape)
    if bias in arrays or shift.any():
        if not bias:
            return None
        arrays[bias] = arrays.get(bias, np.zeros(n)) * factor + shift
    return replace(step, arrays=arrays)


def input_shape(steps: Sequence[Step]) -> Shape | None:
    """The shape of the samples that steps take first; None if they take any."""
    for step in steps:
        if step.takes is not None:
            return step.takes
        found = [shape for branch in step.branches if (shape := input_shape(branch)) is not None]
        if found or step.branches:
            return found[0] if found else step.ends[0] if step.ends else None
    return None


def layers(steps: Sequence[Step], dtype: str, shape: Shape) -> tuple[list[Layer], Shape]:
    """New layers that compute what the steps do of samples of a shape, with their parameters.

    And the shape that they give.
    """
    result: list[Layer] = []
    for i, step in enumerate(steps):
        following = steps[i + 1] if i + 1 < len(steps) else None
        result += _shaped(shape, step.takes)
        shape = step.takes or shape
        if step.activation is not None:
            if i == 0 or not _absorbs(steps[i - 1], step):
                result.append(Activation(step.activation))
        elif step.branches:
            container, shape = _container(step, dtype, shape)
            result.append(container)
        elif step.product is not None or step.make is not None:
            absorbed = following is not None and _absorbs(step, following)
            activation = following.activation if following is not None and absorbed else None
            result.append(_made(step, activation, dtype))
            shape = step.gives or shape
    return result, shape


def _shaped(shape: Shape, wanted: Shape | None) -> list[Layer]:
    """The layer that gives samples another shape, if that is wanted."""
    if wanted is None or wanted == shape:
        return []
    return [Flatten() if len(wanted) == 1 else Reshape(wanted)]


def _absorbs(step: Step, following: Step) -> bool:
    """Whether the layer of a step can have the activation of the following one."""
    if following.activation is None or not (step.absorbs or step.product is not None):
        return False
    return following.takes is None or following.takes == step.gives


def _made(step: Step, activation: ActivationSpec | None, dtype: str) -> Layer:
    product, arrays = step.product, step.arrays
    if product is not None:
        arrays = {"weights": product.weights} | ({} if product.bias is None else {"bias": product.bias})
        layer: Layer = Dense(product.n_out, activation, use_bias=product.bias is not None)
    else:
        assert step.make is not None
        layer = step.make(activation, arrays) if step.channels else step.make()
        for spec in layer.parameters(step.takes) if step.channels and step.takes else []:
            if spec.name.endswith("bias"):  # one of two that a layer has
                arrays = {spec.name: np.zeros(spec.shape), **arrays}
    _bind(layer, _checked(arrays, dtype))
    return layer


def _bind(layer: Layer, arrays: dict[str, NDArray[np.floating]]) -> None:
    """Give a layer, and those in it, their parameters."""
    for name, child in layer.children.items():
        own = {key.partition(".")[2]: values for key, values in arrays.items() if key.startswith(f"{name}.")}
        _bind(child, own)
    if arrays and not layer.children:
        layer.bind(arrays)


def _container(step: Step, dtype: str, shape: Shape) -> tuple[Layer, Shape]:
    """The layer of branches, and the shape that it gives."""
    made = [layers(steps, dtype, shape) for steps in step.branches]
    ends = step.ends or [step.gives or made[0][1]] * len(made)
    branches = [
        [*parts, *_shaped(given, wanted)] or None for (parts, given), wanted in zip(made, ends, strict=True)
    ]
    gives = step.gives or made[0][1]
    if not step.adds:
        return Concatenate(branches), gives
    first, second = branches[0], branches[-1]
    if len(branches) == 2 and (first is None) != (second is None):
        return Residual(first or second or []), gives
    if len(branches) == 2 and _bends(step.branches[0]) and not _bends(step.branches[1]):
        return Residual(first or [], shortcut=second), gives  # as a projection behind a body is written
    return Add(branches), gives


def _bends(steps: Sequence[Step]) -> bool:
    """Whether steps do more than to project."""
    return any(step.activation is not None or step.branches for step in steps)


def _checked(arrays: dict[str, NDArray[np.float64]], dtype: str) -> dict[str, NDArray[np.floating]]:
    checked = {name: array_checks.array(name, values, dtype, (1, 2, 3, 4)) for name, values in arrays.items()}
    for name, values in checked.items():
        array_checks.finite(name, values)
    return checked
