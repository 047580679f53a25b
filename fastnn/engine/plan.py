"""Plan: layers and an input size -> sizes, offsets and the op table.

A layer says in `OpSpec`s what it computes; this file decides where every tensor lies in the
workspace and writes the op rows. A workspace holds `rows` samples; each tensor of w numbers a sample
has ``rows * w`` numbers of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..compiler import loader
from ..kernels.abi import oprow
from ..memory import guard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..initializers import Initializer

_ALIGN = 64  # bytes; where a tensor begins, so that a vector does not straddle two cache lines


@dataclass(frozen=True)
class OpSpec:
    """What one op of a layer computes, and what the planner must keep for its gradient.

    Attributes
    ----------
    kernel : str
        Where its kernels are; the op table gets the addresses of the entries ``forward``, ``backward_input``
        and, of an op with weights or a bias, ``backward_weights``.
    n_in, n_out : int
        Numbers that a row of its input and of its output has.
    settings : sequence of float
        Numbers for the columns from SETTINGS on.
    has_weights, has_bias : bool
        Whether it uses the layer's weights (n_in, n_out), and its bias (n_out,).
    has_constants : bool
        Whether it uses the layer's constants.
    in_place : bool
        Whether the output may overwrite the input, and the gradient by the input that by the output.
    needs_input, needs_output : bool
        What its gradient is computed from.
    scratch_per_row : int
        Numbers of memory of its own that it needs for each row while training.
    shared_scratch : int
        Numbers of memory that it needs during a call only, which all ops share.
    """

    kernel: str
    n_in: int
    n_out: int
    settings: Sequence[float] = ()
    has_weights: bool = False
    has_bias: bool = False
    has_constants: bool = False
    in_place: bool = False
    needs_input: bool = False
    needs_output: bool = False
    scratch_per_row: int = 0
    shared_scratch: int = 0


class Layer(Protocol):
    """What the engine asks of a layer: see `fastnn.Layer`, which says what each of these is."""

    checks_rows: bool
    of_targets: bool
    codes: bool
    kernels: tuple[str, ...]

    @property
    def trainable(self) -> bool: ...  # noqa: D102
    @property
    def adapted(self) -> bool: ...  # noqa: D102
    @property
    def views(self) -> dict[str, NDArray[Any]]: ...  # noqa: D102
    def attach(self, executor: Any) -> None: ...  # noqa: D102
    def bind(self, views: dict[str, NDArray[Any]]) -> None: ...  # noqa: D102
    def output_size(self, n_in: int) -> int: ...  # noqa: D102
    def parameter_shapes(self, n_in: int) -> dict[str, tuple[int, ...]]: ...  # noqa: D102
    def initializer(self, name: str) -> Initializer: ...  # noqa: D102
    def penalties(self) -> tuple[float, float, float]: ...  # noqa: D102
    def constants(self, n_in: int) -> NDArray[np.float64]: ...  # noqa: D102
    def check_rows(self, x: NDArray[Any], first: int, name: str) -> None: ...  # noqa: D102
    def changed_columns(self, n_in: int) -> list[int] | None: ...  # noqa: D102
    def ops(self, n_in: int) -> list[OpSpec]: ...  # noqa: D102


@dataclass(frozen=True)
class Parameter:
    """Where a layer's weights or bias lie in the flat parameter vector."""

    layer: int
    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


@dataclass
class Plan:
    """A network laid out for a number of rows.

    Attributes
    ----------
    ops : int64 array of shape (number of ops, oprow.SIZE)
    n_in, n_out : int
        Numbers that a row of the model's input and output has.
    output : int
        Offset of the model's output.
    prediction : int
        Offset of what the loss is computed from: the output, or what goes into the head.
    gradient : int
        Offset of the gradient with respect to that, `oprow.NONE` without training.
    workspace : int
        Size of the workspace, in elements.
    rows : int
        How many samples at a time it is laid out for.
    gaps : list of (start, stop)
        Parts of the workspace, behind each tensor, that are nobody's.
    """

    n_in: int
    n_out: int
    rows: int
    itemsize: int
    ops: NDArray[np.int64] = field(init=False)
    output: int = oprow.INPUT
    prediction: int = oprow.INPUT
    gradient: int = oprow.NONE
    workspace: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def allocate(self, per_row: int, in_all: int = 0) -> int:
        """Offset of new memory in the workspace."""
        unit = _ALIGN // self.itemsize
        offset = self.workspace
        end = offset + self.rows * per_row + in_all
        self.workspace = -(-end // unit) * unit + guard.zone(self.itemsize)
        self.gaps.append((end, self.workspace))
        return offset


def widths(layers: Sequence[Layer], n_in: int) -> list[int]:
    """Numbers that a row of the input and of each layer's output has."""
    result = [n_in]
    for layer in layers:
        result.append(layer.output_size(result[-1]))
    return result


def parameters(layers: Sequence[Layer], n_in: int) -> list[Parameter]:
    """All weights and biases in the order in which they lie in the flat vector."""
    result: list[Parameter] = []
    offset = 0
    for index, (layer, size) in enumerate(zip(layers, widths(layers, n_in), strict=False)):
        for name, shape in layer.parameter_shapes(size).items():
            result.append(Parameter(index, name, shape, offset))
            offset += result[-1].size
    return result


def views(vector: NDArray[Any], places: Sequence[Parameter], n_layers: int) -> list[dict[str, NDArray[Any]]]:
    """For each layer its weights and bias, as views into the flat vector."""
    result: list[dict[str, NDArray[Any]]] = [{} for _ in range(n_layers)]
    for p in places:
        result[p.layer][p.name] = vector[p.offset : p.offset + p.size].reshape(p.shape)
    return result


def frozen_ranges(layers: Sequence[Layer], places: Sequence[Parameter]) -> list[tuple[int, int]]:
    """Start and end of each part of the flat vector that is not trained: see `Layer.trainable`."""
    result: list[tuple[int, int]] = []
    for p in places:
        if not layers[p.layer].trainable:
            start = result.pop()[0] if result and result[-1][1] == p.offset else p.offset
            result.append((start, p.offset + p.size))
    return result


def constants(layers: Sequence[Layer], n_in: int, dtype: str) -> NDArray[Any]:
    """The numbers of all layers that are not trained, as one vector."""
    own = [layer.constants(size) for layer, size in zip(layers, widths(layers, n_in), strict=False)]
    numbers = np.concatenate([np.zeros(0), *own])
    with np.errstate(over="ignore"):
        result = numbers.astype(dtype)
    if not np.isfinite(result).all():
        raise ValueError(f"the data spread too far for the layers that scale them, in {dtype}")
    return result


def plan(
    layers: Sequence[Layer],
    n_in: int,
    rows: int,
    dtype: str,
    *,
    training: bool,
    input_gradient: bool = False,
    head: int = 0,
    with_output: bool = True,
    at: int = 0,
    constants_at: int = 0,
) -> Plan:
    """Lay out `layers` for `rows` samples at a time.

    Parameters
    ----------
    layers : sequence of Layer
    n_in : int
        Numbers that a row of the input has.
    rows : int
    dtype : str
    training : bool
        Whether gradients are needed. Without, the output of the last op is written to the address in
        the descriptor's OUTPUT.
    input_gradient : bool
        Whether, in training, the gradient goes back to the input too: to the first op's DX.
    head : int
        How many of the last ops come after what the loss is computed from: in training no gradient goes
        through them.
    with_output : bool
        Whether, in training, these are computed at all.
    at : int
        Offset of the first layer's parameters in the flat vector.
    constants_at : int
        That of its constants in the vector of constants.
    """
    sizes = widths(layers, n_in)
    result = Plan(n_in, sizes[-1], rows, np.dtype(dtype).itemsize)
    specs = [
        (index, spec)
        for index, (layer, size) in enumerate(zip(layers, sizes, strict=False))
        for spec in layer.ops(size)
    ]
    result.ops = np.zeros((len(specs), oprow.SIZE), np.int64)
    places = {(p.layer, p.name): at + p.offset for p in parameters(layers, n_in)}
    own = [layer.constants(size).size for layer, size in zip(layers, sizes, strict=False)]
    first_constant = np.cumsum([constants_at, *own])
    for row, (index, spec) in zip(result.ops, specs, strict=True):
        row[oprow.FORWARD] = loader.address(f"{spec.kernel}.forward", dtype)
        row[oprow.N_IN], row[oprow.N_OUT] = spec.n_in, spec.n_out
        row[oprow.W] = places[index, "weights"] if spec.has_weights else oprow.NONE
        row[oprow.B] = places[index, "bias"] if spec.has_bias else oprow.NONE
        row[[oprow.X2, oprow.DX2, oprow.W2, oprow.B2, oprow.STATISTICS]] = oprow.NONE
        row[oprow.CONSTANTS] = first_constant[index] if spec.has_constants else oprow.NONE
        row[oprow.STREAM] = index + 1
        set_settings(row, spec.settings)
    only_specs = [spec for _, spec in specs]
    _place_scratch(result, only_specs, training)
    if training:
        trained = only_specs[: len(only_specs) - head]
        _place_outputs(result, trained)
        result.prediction = result.output
        _place_gradients(result, trained, dtype, input_gradient)
        _place_head(result, only_specs[len(trained) :], with_output)
    else:
        _place_outputs_for_inference(result, only_specs)
    return result


def _place_scratch(result: Plan, specs: Sequence[OpSpec], training: bool) -> None:
    """Give the ops the memory that they need beside inputs and outputs."""
    shared = result.allocate(0, max((spec.shared_scratch for spec in specs), default=0))
    for row, spec in zip(result.ops, specs, strict=True):
        row[oprow.SCRATCH] = shared if spec.shared_scratch else oprow.NONE
        if spec.scratch_per_row and training:
            row[oprow.SCRATCH] = result.allocate(spec.scratch_per_row)


def set_settings(row: NDArray[np.int64], settings: Iterable[float]) -> None:
    """Write float64 settings into an op row's columns from SETTINGS on."""
    values = tuple(settings)
    row.view(np.float64)[oprow.SETTINGS : oprow.SETTINGS + len(values)] = values


def _place_outputs(result: Plan, specs: Sequence[OpSpec]) -> None:
    """Give every op memory for its output that stays until its gradient is computed."""
    previous: OpSpec | None = None
    for row, spec in zip(result.ops, specs, strict=False):
        row[oprow.X] = result.output
        keep_input = spec.needs_input or previous is None or previous.needs_output
        if not spec.in_place or keep_input:
            result.output = result.allocate(spec.n_out)
        row[oprow.Y] = result.output
        previous = spec


def _place_head(result: Plan, specs: Sequence[OpSpec], with_output: bool) -> None:
    """Let the last ops write to a place of their own, or do nothing if nobody needs their output."""
    for row, spec in zip(result.ops[len(result.ops) - len(specs) :], specs, strict=True):
        if with_output:
            row[oprow.X], result.output = result.output, result.allocate(spec.n_out)
            row[oprow.Y] = result.output
        else:
            row[oprow.FORWARD], row[oprow.X], row[oprow.Y] = 0, oprow.NONE, oprow.NONE


def _place_outputs_for_inference(result: Plan, specs: Sequence[OpSpec]) -> None:
    """Let the ops write to two places in turn, and the last to the output."""
    new = [i for i, spec in enumerate(specs) if i == 0 or not spec.in_place]
    width = max((spec.n_out for spec in specs), default=0)
    turn = [result.allocate(width), result.allocate(width)]
    for i, row in enumerate(result.ops):
        row[oprow.X] = result.output
        if i == new[-1]:
            result.output = oprow.OUTPUT
        elif i in new:
            result.output = turn[0]
            turn.reverse()
        row[oprow.Y] = result.output
        row[oprow.DX] = row[oprow.DY] = oprow.NONE


def _place_gradients(result: Plan, specs: Sequence[OpSpec], dtype: str, input_gradient: bool) -> None:
    """Let the gradients lie at two places in turn; none goes back beyond what it is needed for."""
    result.ops[:, [oprow.DX, oprow.DY]] = oprow.NONE
    width = max((spec.n_out for spec in specs), default=result.n_in)
    if input_gradient:
        width = max(width, result.n_in)
    turn = [result.allocate(width), result.allocate(width)]
    result.gradient = turn[0]
    trained = (i for i, spec in enumerate(specs) if spec.has_weights or spec.has_bias)
    first = -1 if input_gradient else next(trained, len(specs))
    for i in range(len(specs) - 1, max(first, 0) - 1, -1):
        row, spec = result.ops[i], specs[i]
        row[oprow.DY] = turn[0]
        if spec.has_weights or spec.has_bias:
            row[oprow.BACKWARD_WEIGHTS] = loader.address(f"{spec.kernel}.backward_weights", dtype)
        if i > first:
            row[oprow.BACKWARD_INPUT] = loader.address(f"{spec.kernel}.backward_input", dtype)
            if not spec.in_place:
                turn.reverse()
            row[oprow.DX] = turn[0]
