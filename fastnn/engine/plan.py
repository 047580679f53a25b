"""Plan: a graph, laid out in memory for a number of samples: offsets and the op table.

A workspace holds `rows` samples; a tensor of w numbers a sample has ``rows * w`` numbers of it. A step
computes the ops' outputs, the loss, the gradients with respect to the ops' inputs, from the last op to the
first, and at last those with respect to the parameters, which read inputs and gradients once more. Where
tensors lie follows from when each is first written and last read: see `liveness`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..kernels.abi import oprow
from ..kernels.abi.descriptor import PART_ROWS
from ..memory import guard
from .gradient_flow import GradientFlow
from .liveness import Life, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import Graph
    from .ops import Op

_ALIGN = 64  # bytes; where a tensor begins, so that a vector does not straddle two cache lines
# So many multiplications of a product take as long as Adam's update of a parameter, or as the transfer of a
# number that another CPU has computed: each thread reads what all have left in the first half of a step.
_MULTIPLICATIONS = 32
# Offsets that a row does not have unless it is given them.
_OFFSETS = ("x", "x2", "y", "dx", "dx2", "dy", "parameters", "scratch", "constants", "statistics")


@dataclass
class Plan:
    """A network laid out for a number of rows.

    Attributes
    ----------
    ops : array of `oprow.OP`, of shape (number of ops,)
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
    scratch : int
        Size of the memory that ops use during a call.
    multiplications : int
        About how many a row costs in the forward pass.
    state : int
        Numbers of a row that recurrent ops carry from one time step to the next.
    rows : int
        How many samples at a time it is laid out for.
    gaps : list of (start, stop)
        Parts of the workspace, behind each tensor, that belong to none.
    for_input : list of int
        The ops whose gradient with respect to their input is needed for that of the model only.
    common : int
        How many of the first ops drop nothing: in prediction by samples they are computed once for all.
    kernels : dict of (str, int) to str
        The entries whose addresses go into a column of a row.
    """

    n_in: int
    n_out: int
    rows: int
    itemsize: int
    ops: NDArray[Any] = field(init=False)
    output: int = oprow.INPUT
    prediction: int = oprow.INPUT
    gradient: int = oprow.NONE
    workspace: int = 0
    scratch: int = 0
    multiplications: int = 0
    state: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    for_input: list[int] = field(default_factory=list)
    common: int = 0
    kernels: dict[tuple[str, int], str] = field(default_factory=dict)

    def allocate(self, per_row: int) -> int:
        """Offset of new memory in the workspace."""
        return self.allocate_numbers(self.rows * per_row)

    def allocate_numbers(self, count: int) -> int:
        """The same, of so many numbers."""
        unit = _ALIGN // self.itemsize
        offset = self.workspace
        end = offset + count
        self.workspace = -(-end // unit) * unit + guard.zone(self.itemsize)
        self.gaps.append((end, self.workspace))
        return offset


def plan(graph: Graph, rows: int, dtype: str, **purpose: Any) -> Plan:
    """Lay out a graph as `lay_out` does, and load its kernels, or compile them."""
    result = lay_out(graph, rows, dtype, **purpose)
    for (column, i), name in result.kernels.items():
        result.ops[column][i] = loader.address(name, dtype)
    return result


def lay_out(
    graph: Graph,
    rows: int,
    dtype: str,
    *,
    training: bool,
    sampling: bool = False,
    input_gradient: bool = False,
    head: int = 0,
    with_output: bool = True,
) -> Plan:
    """Lay out a graph for `rows` samples at a time; the rows lack the addresses of their kernels.

    Parameters
    ----------
    graph : Graph
    rows : int
    dtype : str
    training : bool
        Whether gradients are needed. Without, the output of the last op is written to the address in
        the descriptor's OUTPUT.
    sampling : bool
        Whether, without training, dropout drops: several outputs are computed from the same samples.
    input_gradient : bool
        Whether, in training, the gradient goes back to the input too: to the first row's DX.
    head : int
        How many of the last ops come after what the loss is computed from: in training no gradient goes
        through them.
    with_output : bool
        Whether, in training, these are computed at all.
    """
    result = Plan(graph.input.size, graph.output.size, rows, np.dtype(dtype).itemsize)
    result.ops, result.multiplications = _rows(result, graph.ops), graph.multiplications
    _place_scratch(result, graph.ops, training)
    for row, op in zip(result.ops, graph.ops, strict=True):
        row["state"], result.state = result.state, result.state + op.state_per_row
    if training:
        _lay_out_training(result, graph, input_gradient, head, with_output)
    else:
        if sampling:
            _take_samples(result, graph.ops)
        _lay_out_prediction(result, graph)
    return result


def set_settings(row: Any, settings: Iterable[float]) -> None:
    """Write the kernel's own settings into a row of any kind."""
    values = tuple(settings)
    row["settings"][: len(values)] = values


def note_parameters(ops: NDArray[Any], n_parameters: int) -> None:
    """Enter where the parameters of each op begin that has a gradient of them, and how many there are."""
    rows = [row for row in ops if row["backward_weights"]]
    starts = [int(own[own != oprow.NONE].min()) for own in (row["parameters"] for row in rows)]
    for row, start in zip(rows, starts, strict=True):
        end = min((other for other in starts if other > start), default=n_parameters)
        row["first_parameter"], row["n_parameters"] = start, end - start
        row["cost"] += end - start


def _rows(result: Plan, ops: Sequence[Op]) -> NDArray[Any]:
    """The op rows, but for what depends on the memory; their kernels are entered in the plan."""
    table = np.zeros(len(ops), oprow.OP)
    for name in _OFFSETS:
        table[name] = oprow.NONE
    for k, (row, op) in enumerate(zip(table, ops, strict=True)):
        if not op.merges:
            result.kernels["forward", k] = f"{op.kernel}.forward"
        row["n_in"], row["n_out"], row["stream"] = op.n_in, op.n_out, op.stream
        for i, offset in enumerate(op.parameters):
            row["parameters"][i] = oprow.NONE if offset is None else offset
        if op.constants is not None:
            row["constants"] = op.constants
        if op.statistics is not None:
            row["statistics"] = op.statistics
        row["coupled"] = op.couples
        row["cost"] = result.rows * (op.multiplications // _MULTIPLICATIONS + op.n_in + op.n_out)
        row["matrix_rows"], row["matrix_columns"] = op.matrix
        if op.product:
            result.kernels["product", k] = op.product
        if op.settings:
            set_settings(row, op.settings)
    return table


def _place_scratch(result: Plan, ops: Sequence[Op], training: bool) -> None:
    """Give the ops the memory that they need beside inputs and outputs."""
    result.scratch = max((op.shared_scratch for op in ops), default=0)
    for row, op in zip(result.ops, ops, strict=True):
        if op.scratch_per_row and training:
            row["scratch"] = result.allocate(op.scratch_per_row)
        if op.scratch_per_part and training:
            parts = max(1, result.rows // PART_ROWS)  # at most
            row["scratch"] = result.allocate_numbers(parts * op.scratch_per_part)


class _Memory:
    """Where values lie: several may share a place, one after the other."""

    def __init__(self) -> None:
        self.places: list[int] = []  # of each value
        self.lives: list[Life] = []  # of each place

    def new(self, width: int, first: int, last: int) -> int:
        """A value with a place of its own; its number."""
        self.places.append(len(self.lives))
        self.lives.append(Life(width, first, last))
        return len(self.places) - 1

    def over(self, value: int, last: int) -> int:
        """A value that is written over another one; its number."""
        place = self.places[value]
        self.places.append(place)
        width, first, _ = self.lives[place]
        self.lives[place] = Life(width, first, last)
        return len(self.places) - 1

    def offsets(self, result: Plan, fixed: dict[int, int], same_width: bool) -> list[int]:
        """Offset of each value; those of the places in `fixed` are given."""
        free = [place for place in range(len(self.lives)) if place not in fixed]
        blocks, widths = share([self.lives[place] for place in free], same_width=same_width)
        starts = [result.allocate(width) for width in widths]
        found = fixed | {place: starts[block] for place, block in zip(free, blocks, strict=True)}
        return [found[place] for place in self.places]


def _last_reads(ops: Sequence[Op]) -> dict[int, int]:
    """The number of the last op that reads each value."""
    return {tensor.value: i for i, op in enumerate(ops) if not op.merges for tensor in op.inputs}


def _place_outputs(memory: _Memory, ops: Sequence[Op], last: dict[int, int]) -> dict[int, int]:
    """Give each op's output a place until it is read last; `last` says when.

    Returns
    -------
    dict of int to int
        The number in `memory` of each value of the graph.
    """
    numbers = {0: memory.new(0, -1, -1)}  # the input is the caller's
    for time, op in enumerate(ops):
        if not op.merges:
            first, value = op.inputs[0].value, op.output.value
            if op.in_place and first != 0 and last[first] == time:
                numbers[value] = memory.over(numbers[first], last[value])
            else:
                numbers[value] = memory.new(op.n_out, time, last[value])
    return numbers


def _point_to_values(result: Plan, ops: Sequence[Op], offsets: dict[int, int]) -> None:
    for row, op in zip(result.ops, ops, strict=False):
        if not op.merges:
            row["y"] = offsets[op.output.value]
            for column, tensor in zip(("x", "x2"), op.inputs, strict=False):
                row[column] = offsets[tensor.value]


def _take_samples(result: Plan, ops: Sequence[Op]) -> None:
    """Let ops that drop do so, and find the first of them."""
    dropping = [i for i, op in enumerate(ops) if op.drops]
    result.common = dropping[0]
    for i in dropping:
        result.kernels["forward", i] = f"{ops[i].kernel}.sample"
        result.scratch = max(result.scratch, ops[i].scratch_per_row)


def _lay_out_prediction(result: Plan, graph: Graph) -> None:
    """Let outputs live until they are read, and write the last one to OUTPUT.

    What the first ops compute once for several outputs lives to the end.
    """
    memory, last = _Memory(), _last_reads(graph.ops)
    common = {0, *(op.output.value for op in graph.ops[: result.common])}
    last |= {value: len(graph.ops) for value in common if last.get(value, -1) >= result.common > 0}
    last[graph.output.value] = len(graph.ops)
    numbers = _place_outputs(memory, graph.ops, last)
    fixed = {0: oprow.INPUT, memory.places[numbers[graph.output.value]]: oprow.OUTPUT}
    offsets = memory.offsets(result, fixed, same_width=False)
    _point_to_values(result, graph.ops, {value: offsets[number] for value, number in numbers.items()})
    result.output = result.prediction = oprow.OUTPUT


def _lay_out_training(result: Plan, graph: Graph, input_gradient: bool, head: int, with_output: bool) -> None:
    """Let outputs live until gradients are computed from them, and gradients until they are used."""
    ops = graph.ops
    trained = ops[: len(ops) - head]
    computed = ops if with_output else trained
    predicted = trained[-1].output if trained else graph.input
    flow = GradientFlow(trained, predicted, len(ops), input_gradient)
    last = _last_reads(computed)
    # Gradients may be computed several times from the same outputs, so what they read stays to the end;
    # metrics are computed after them.
    last |= dict.fromkeys({*flow.saved, predicted.value, graph.output.value}, flow.end)
    memory = _Memory()
    numbers = _place_outputs(memory, computed, last)
    gradients = _place_gradients(memory, flow)
    offsets = memory.offsets(result, {0: oprow.INPUT}, same_width=True)
    _point_to_values(result, computed, {value: offsets[number] for value, number in numbers.items()})
    for i in range(len(computed), len(ops)):
        result.kernels.pop(("forward", i), None)
    result.prediction = offsets[numbers[predicted.value]]
    result.output = offsets[numbers[computed[-1].output.value if computed else 0]]
    result.gradient = offsets[gradients[0]]
    for i, op in enumerate(ops):
        if op.statistics is not None:
            result.kernels["update_statistics", i] = f"{op.kernel}.update_statistics"
    if input_gradient:
        others = GradientFlow(trained, predicted, len(ops), False).steps
        result.for_input = [i for i in flow.steps if i not in others or others[i][1:] == (None, None)]
    for i, step in flow.steps.items():
        row, op = result.ops[i], ops[i]
        row["dy"] = offsets[gradients[step.dy]]
        if op.parameters:
            result.kernels["backward_weights", i] = f"{op.kernel}.backward_weights"
        for column, number in (("dx", step.dx), ("dx2", step.dx2)):
            if number is not None:
                row[column] = offsets[gradients[number]]
                if not op.passes_gradient:
                    result.kernels["backward_input", i] = f"{op.kernel}.backward_input"
    if flow.input_gradient is not None:  # also where the first op, as that of a mask, has no gradient
        result.ops["dx"][0] = offsets[gradients[flow.input_gradient]]


def _place_gradients(memory: _Memory, flow: GradientFlow) -> list[int]:
    """The number in `memory` of each gradient."""
    numbers: list[int] = []
    for gradient, last in zip(flow.gradients, flow.last, strict=True):
        over = next((k for k in gradient.over if flow.last[k] == gradient.first), None)
        if over is None:
            numbers.append(memory.new(gradient.width, gradient.first, last))
        else:
            numbers.append(memory.over(numbers[over], last))
    return numbers
