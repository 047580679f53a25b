"""Steps: layers in the making, each computing columns from those of the step before."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..data import array_checks
from ..layers.activation import Activation
from ..layers.containers import Add, Concatenate, Residual
from ..layers.dense import Dense
from ..layers.reshaping import Flatten, Reshape, Select
from ..layers.scaling import Standardize
from ._affine import Columns, Map, Matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..activations import Activation as ActivationSpec
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
    layer : Layer or None
    arrays : dict of str to array
        The parameters of the layer.
    branches : tuple of tuples of Step
        The steps of each branch, one after the other.
    adds : bool
        Whether the branches are added, not put side by side.
    trained : bool
        Whether it or a step before it has parameters or branches.
    depth : int
        How many steps there are before it.
    size : int
        How many numbers it has, and about how many more would take as long as making it.
    """

    width: int
    before: Step | None = None
    product: Matrix | None = None
    activation: ActivationSpec | None = None
    layer: Layer | None = None
    arrays: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    branches: tuple[tuple[Step, ...], ...] = ()
    adds: bool = False
    trained: bool = False
    depth: int = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 0 if self.before is None else self.before.depth + 1)
        own = 0 if self.product is None else self.product.size
        inner = sum(step.size for steps in self.branches for step in steps)
        object.__setattr__(self, "size", CALL + own + inner)


CALL = 1000  # values that take as long as some Python calls


def chain(last: Step) -> list[Step]:
    """The steps up to one, the input first."""
    steps = [last]
    while steps[-1].before is not None:
        steps.append(steps[-1].before)
    return steps[::-1]


def joined(ends: Sequence[Step], *, adds: bool, use: Callable[[int], None]) -> Step:
    """A step of branches that end in the given steps; they begin behind the last step that all have.

    `use` counts the numbers that it has.
    """
    chains = [chain(end) for end in ends]
    common = 0
    while all(len(steps) > common and steps[common] is chains[0][common] for steps in chains):
        common += 1
    width = ends[0].width if adds else sum(end.width for end in ends)
    branches = tuple([tuple([_inside(step, use) for step in steps[common:]]) for steps in chains])
    use(sum(step.size for steps in branches for step in steps))
    return Step(width, chains[0][common - 1], branches=branches, adds=adds, trained=True)


def _inside(step: Step, use: Callable[[int], None]) -> Step:
    """A step as it may stand in a container: a product in place of a layer that prepares the data."""
    if not isinstance(step.layer, Standardize):
        return step
    use(step.width**2)
    scale = step.layer.statistics["scale"]
    return Step(step.width, product=Matrix(np.diag(1 / scale), -step.layer.statistics["mean"] / scale))


def of_map(before: Step, given: Map) -> Step:
    """A step that computes an affine map of what one before gives."""
    if isinstance(given, Columns) and given.is_choice and given.index is not None:
        columns = given.index.tolist()
        if len(set(columns)) == len(columns):
            return Step(len(columns), before, layer=Select(columns), trained=True)
    return Step(given.n_out, before, product=given.matrix(), trained=True)


def normalized(
    step: Step, layer: Layer, arrays: dict[str, NDArray[np.float64]], groups: int, use: Callable[[int], None]
) -> Step:
    """A step that normalizes so many groups of columns, which have the same parameters."""
    width = step.width
    use(2 * width + 3 * CALL)
    if groups > 1:
        step = Step(width, step, layer=Reshape((groups, width // groups)), trained=True)
    step = Step(width, step, layer=layer, arrays=arrays, trained=True)
    return Step(width, step, layer=Flatten(), trained=True) if groups > 1 else step


def layers(steps: Sequence[Step], dtype: str) -> list[Layer]:
    """New layers that compute what the steps do, with their parameters."""
    result: list[Layer] = []
    for i, step in enumerate(steps):
        following = steps[i + 1] if i + 1 < len(steps) else None
        if step.product is not None:
            result.append(_dense(step.product, None if following is None else following.activation, dtype))
        elif step.activation is not None:
            if i == 0 or steps[i - 1].product is None:  # otherwise it is part of that layer
                result.append(Activation(step.activation))
        elif step.branches:
            result.append(_container(step, dtype))
        elif step.layer is not None:
            layer = copy.copy(step.layer)
            if step.arrays:
                layer.bind(_checked(step.arrays, dtype))
            result.append(layer)
    return result


def _dense(product: Matrix, activation: ActivationSpec | None, dtype: str) -> Dense:
    arrays = {"weights": product.weights} | ({} if product.bias is None else {"bias": product.bias})
    dense = Dense(product.n_out, activation, use_bias=product.bias is not None)
    dense.bind(_checked(arrays, dtype))
    return dense


def _container(step: Step, dtype: str) -> Layer:
    branches = [layers(steps, dtype) or None for steps in step.branches]
    if not step.adds:
        return Concatenate(branches)
    bodies = [branch for branch in branches if branch is not None]
    return Residual(bodies[0]) if len(branches) == 2 and len(bodies) == 1 else Add(branches)


def _checked(arrays: dict[str, NDArray[np.float64]], dtype: str) -> dict[str, NDArray[np.floating]]:
    checked = {name: array_checks.array(name, values, dtype, (1, 2)) for name, values in arrays.items()}
    for name, values in checked.items():
        array_checks.finite(name, values)
    return checked
