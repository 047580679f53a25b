"""Which op reads and writes which gradient, on the way from the loss back to the first parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .ops import Op, Tensor


class Gradient(NamedTuple):
    """With respect to a value, or a part of it where several ops read the value.

    Attributes
    ----------
    width : int
        Numbers for each sample.
    first : int
        When it is written. Op number i of n is computed at i, the loss at n, the gradient with respect to the
        inputs of op i at 2 n - i, and those with respect to parameters at 2 n + 1, where all ends.
    over : tuple of int
        Numbers of the gradients that it may overwrite, if they are read then for the last time.
    """

    width: int
    first: int
    over: tuple[int, ...]


class Step(NamedTuple):
    """An op's part: numbers of gradients."""

    dy: int
    dx: int | None
    dx2: int | None  # of an op that merges, the other one that it reads


class GradientFlow:
    """The gradients of a step, numbered in the order in which they are written; 0 is the loss's.

    Parameters
    ----------
    ops : sequence of Op
        Those that gradients go through.
    predicted : Tensor
        What the loss is computed from.
    n_ops : int
        How many there are with those that no gradient goes through.
    to_input : bool
        Whether the gradient with respect to the input is wanted.

    Attributes
    ----------
    gradients : list of Gradient
    last : list of int
        When each is read for the last time.
    steps : dict of int to Step
        By the numbers of the ops.
    saved : set of int
        The values that gradients are computed from.
    end : int
    input_gradient : int or None
        Number of the gradient with respect to the input, if it is wanted.
    """

    def __init__(self, ops: Sequence[Op], predicted: Tensor, n_ops: int, to_input: bool) -> None:
        self.end = 2 * n_ops + 1
        self.gradients = [Gradient(predicted.size, n_ops, ())]
        self.last = [n_ops]
        self.steps: dict[int, Step] = {}
        self.saved: set[int] = set()
        self._needed = {0: to_input}
        for op in ops:
            if not op.merges:
                self._note_needed(op)
        found: dict[int, list[int]] = {predicted.value: [0]}  # with respect to each value
        for i in range(len(ops) - 1, -1, -1):
            op, time = ops[i], 2 * n_ops - i
            if self._needed[op.output.value]:
                step = self._merge if op.merges else self._back
                self.steps[i] = step(op, time, found)
        self.input_gradient = found[0][0] if to_input else None
        if to_input:
            self.last[found[0][0]] = self.end

    def _note_needed(self, op: Op) -> None:
        """See whether the gradient with respect to an op's output is needed, and what it is computed from."""
        back = op.differentiable and any([self._needed[tensor.value] for tensor in op.inputs])
        self._needed[op.output.value] = back or bool(op.parameters)
        if back and "x" in op.saves:
            self.saved.update([tensor.value for tensor in op.inputs])
        if back and "y" in op.saves:
            self.saved.add(op.output.value)
        if op.parameters:
            self.saved.add(op.inputs[0].value)

    def _back(self, op: Op, time: int, found: dict[int, list[int]]) -> Step:
        """From an op's output to its inputs."""
        (dy,) = found[op.output.value]
        dxs: list[int | None] = [None, None]
        for k, tensor in enumerate(op.inputs):
            if self._needed[tensor.value]:
                over = (dy,) if op.in_place and k == 0 else ()
                dx = dy if op.passes_gradient else self._new(tensor.size, time, over)
                found.setdefault(tensor.value, []).append(dx)
                dxs[k] = dx
        if not op.passes_gradient:
            self.last[dy] = max(self.last[dy], self.end if op.parameters else time)
        return Step(dy, *dxs)

    def _merge(self, op: Op, time: int, found: dict[int, list[int]]) -> Step:
        """Of two gradients with respect to one value the sum."""
        value, width = op.inputs[0].value, op.n_in
        other, dy = found[value]
        total = self._new(width, time, (dy, other))
        found[value] = [total]
        for number in (dy, other):
            self.last[number] = max(self.last[number], time)
        return Step(dy, total, other)

    def _new(self, width: int, time: int, over: tuple[int, ...]) -> int:
        self.gradients.append(Gradient(width, time, over))
        self.last.append(time)
        return len(self.gradients) - 1
