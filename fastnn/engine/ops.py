"""What a graph is made of: tensors, ops on them, and what their layers say of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Shape of one sample, channels last: (features,), (time, features), (height, width, channels).
Shape = tuple[int, ...]

#: Entries that take the place of the products that ops name: see `compute_dtype.products`.
Products = Mapping[str, str]
#: None do.
AS_NAMED: Products = MappingProxyType({})

#: Merges the gradients of a tensor that two ops read.
ADD_GRADIENTS = "layers.combine.add_gradients"


class Initializer(Protocol):
    """What draws a parameter: `fastnn.initializers.Initializer`."""

    @property
    def is_safe(self) -> bool: ...  # noqa: D102

    def draw(
        self, shape: Shape, generator: np.random.Generator, fan: tuple[int, int] | None = None
    ) -> NDArray[Any]:
        """An array of the shape."""


class ParameterSpec(NamedTuple):
    """An array of a layer: a trained one, or running statistics.

    Attributes
    ----------
    name : str
    shape : tuple of int
    initializer : Initializer
    fan : (int, int), optional
        How many numbers each output is computed from, and each input goes to, which initializers scale
        by; without, the first and the last number of the shape.
    penalty : (float, float, float)
        Factors l1, l2 and alpha of the penalty on it.
    """

    name: str
    shape: Shape
    initializer: Initializer
    fan: tuple[int, int] | None = None
    penalty: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Tensor(NamedTuple):
    """What an op writes: so many numbers for each sample.

    Attributes
    ----------
    value : int
        Which of the values in the graph it is, 0 for the input. Two tensors of one value are the same memory
        in different shapes.
    shape : tuple of int
    mask : int, optional
        The value that says which time steps there are, by a 1 for each of the first axis; else all are.
    """

    value: int
    shape: Shape
    mask: int | None = None

    @property
    def size(self) -> int:
        """Numbers for each sample."""
        return math.prod(self.shape)

    def reshape(self, shape: Shape) -> Tensor:
        """The same memory in another shape of as many numbers."""
        return Tensor(self.value, shape)

    def masked(self, mask: int | None) -> Tensor:
        """The same, of which a mask says which time steps there are."""
        return Tensor(self.value, self.shape, mask)


class Op(NamedTuple):
    """A kernel and the values that it reads and writes.

    Attributes
    ----------
    kernel : str
        Its name, without the direction.
    inputs : tuple of Tensor
        What it reads: one or two.
    output : Tensor
        What it writes.
    settings : sequence of float
        The kernel's own settings.
    parameters : tuple of int or None
        Offsets in the flat vector.
    constants : int or None
        Offset in the vector of constants.
    statistics : int or None
        Offset in the vector of running statistics.
    stream : int
        Number of its stream of random numbers.
    in_place : bool
        Whether the output may overwrite the first input, and the gradient with respect to that input the
        gradient with respect to the output.
    saves : str
        What its gradient with respect to the inputs is computed from: "", "x", "y" or "xy".
    passes_gradient : bool
        Whether the gradient with respect to each input is that with respect to the output, so that nothing
        need be computed.
    scratch_per_row : int
        Numbers of memory of its own that it needs for each sample while training.
    scratch_per_part : int
        Numbers of memory of its own that it needs for each part of a batch while training, instead.
    shared_scratch : int
        Numbers of memory that it needs during a call only, which all ops of a thread share.
    multiplications : int
        About how many it costs for each sample in the forward pass.
    matrix : (int, int)
        Rows and columns of its first parameter, if it can compute the gradient of some of the rows alone: see
        `first_weight` in `kernels.abi.descriptor`. Otherwise (1, 0).
    differentiable : bool
        Whether a gradient goes back through it.
    state_per_row : int
        Numbers for each sample that it carries from one time step to the next.
    couples : bool
        Whether a row of its output depends on other rows of the batch, so that its kernels wait for all
        threads.
    product : str
        The name of the product that its kernels call by its address, or "".
    drops : bool
        Whether its output is random in training, and by its entry ``sample`` in prediction by samples, which
        needs as much scratch for a row for all of them.
    """

    kernel: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    settings: Sequence[float]
    parameters: tuple[int | None, ...]
    constants: int | None
    stream: int
    in_place: bool
    saves: str
    passes_gradient: bool
    scratch_per_row: int
    shared_scratch: int
    multiplications: int = 0
    matrix: tuple[int, int] = (1, 0)
    differentiable: bool = True
    state_per_row: int = 0
    couples: bool = False
    product: str = ""
    statistics: int | None = None
    scratch_per_part: int = 0
    drops: bool = False

    @property
    def n_in(self) -> int:
        """Numbers for each sample that its first input has."""
        return self.inputs[0].size

    @property
    def n_out(self) -> int:
        """Numbers for each sample that its output has."""
        return self.output.size

    def changed(self, **fields: Any) -> Op:
        """The same but for some fields."""
        return self._replace(**fields)

    @property
    def merges(self) -> bool:
        """Whether it computes nothing, and adds the gradients of the value that is its input."""
        return self.kernel == ADD_GRADIENTS


class _Labelled(Protocol):
    """What is asked of a layer here."""

    supports_masking: bool

    @property
    def takes_indices(self) -> bool: ...
    @property
    def label(self) -> str: ...


def pass_mask(x: Tensor, result: Tensor, layer: _Labelled) -> Tensor:
    """A layer's output, with the masked time steps of its input if it still has a time axis."""
    if x.mask is None or result.mask is not None:
        return result
    of_numbers = len(x.shape) == 1 and not layer.takes_indices  # to it, time steps are features
    if not layer.supports_masking or of_numbers:
        raise ValueError(
            f"{layer.label} cannot leave out time steps that are masked, by fn.Masking or by lengths; put a "
            "recurrent layer without return_sequences before it"
        )
    return result.masked(x.mask) if len(result.shape) > 1 else result
