"""Pieces of a data set that comes batch by batch: what one compiled call trains on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..data import coding, weights
from ..engine.data_set import DataSet
from ..memory.buffers import allocate
from .arguments import check_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.executor import Executor

#: Samples, targets and weights or None, as a user gave them.
Batch = tuple[Any, Any, Any]

# Small batches are collected for so many seconds at most, and up to so many numbers of samples.
_LONGEST = 0.002
_NUMBERS = 1 << 17


class Piece(NamedTuple):
    """Some batches of an epoch.

    Attributes
    ----------
    data : DataSet
        Checked samples, in the model's dtype.
    order : array of int64, or None
        Those that count, in their order; None for all.
    first : int
        Number of samples of the epoch before it.
    batch_size : int
        Of each batch; the last of an epoch may have fewer.
    is_last : bool
        Whether the epoch ends with it.
    """

    data: DataSet
    order: NDArray[np.int64] | None
    first: int
    batch_size: int
    is_last: bool

    @property
    def end(self) -> int:
        """Number of samples of the epoch up to its end."""
        return self.first + (len(self.data.X) if self.order is None else len(self.order))


class BatchCheck:
    """Checks batches as `fit` checks arrays, one by one.

    Parameters
    ----------
    executor : Executor
    class_weight : dict, list of dict, or None
    shape : tuple of int, optional
        Of a sample, if the model is not built yet.
    found : dict, optional
        The categories of layers that are not adapted yet: see `coding.find`.
    """

    def __init__(
        self,
        executor: Executor,
        class_weight: Any = None,
        shape: tuple[int, ...] | None = None,
        found: coding.Found | None = None,
    ) -> None:
        self.executor, self.class_weight, self.shape, self.found = executor, class_weight, shape, found

    def __call__(self, X: Any, y: Any, weight: Any, where: str = "", coded: bool = False) -> DataSet:
        """Samples as rows, targets and the product of all weights; messages begin with `where`.

        `coded` says that numbers stand for the categories already.
        """
        executor, found = self.executor, self.found
        x, target, present = check_samples(executor, X, y, None, self.shape, where, found=found, coded=coded)
        loss, shape = executor.loss, executor.shape_of_input(X, x) if self.shape is None else self.shape
        assert loss is not None
        n_out = int(np.prod(executor.shape_of_output(shape)))
        given = present, self.class_weight, target, loss, n_out
        return DataSet(x, target, weights.of_batch(weight, *given, prefix=where))


class _Memory:
    """Memory for batches of one size, one behind the other."""

    def __init__(self, check: BatchCheck) -> None:
        self.check, self.dtype = check, check.executor.dtype
        self.coded = _codes(check.executor)  # then `_as_arrays` has checked each batch
        self.capacity = self.used = self.rows = 0
        self.arrays: list[NDArray[Any]] = []
        self.widths: list[int] = []

    def begin(self, batch: list[NDArray[Any]]) -> None:
        """Have room for batches like this one."""
        self.rows, self.used = len(batch[0]), 0
        widths = [array.shape[1] for array in batch]
        if self.rows > self.capacity or widths != self.widths:
            self.widths = widths
            self.capacity = max(self.rows, _NUMBERS // max(widths[0], 1) // self.rows * self.rows)
            names = ("the samples", "the targets", "the weights")
            self.arrays = [
                allocate(self.capacity * width, self.dtype, name).reshape(self.capacity, width)
                for width, name in zip(widths, names, strict=False)
            ]

    def takes(self, batch: list[NDArray[Any]]) -> bool:
        """Whether another batch is like those before and has room."""
        n = len(batch[0])
        is_alike = n == self.rows and len(batch) == len(self.arrays)
        return is_alike and self.used + n <= self.capacity and self.widths == [a.shape[1] for a in batch]

    def add(self, batch: list[NDArray[Any]]) -> None:
        """Copy a batch behind the others."""
        end = self.used + self.rows
        with np.errstate(over="ignore"):  # too large for the dtype is found as an infinity
            for own, given in zip(self.arrays, batch, strict=True):
                own[self.used : end] = given
        self.used = end

    def checked(self, start: int, end: int, where: str) -> DataSet:
        """Rows from one to another, checked."""
        x, y, *weight = (array[start:end] for array in self.arrays)
        given = weight[0][:, 0] if weight and weight[0].shape[1] == 1 else None
        own = (weight[0] if given is None else given) if weight else None
        return self.check(x, y, own, where, self.coded)

    def pieces(self, first: int, number: int, is_last: bool) -> Iterator[Piece]:
        """All that was added as one piece, the first being batch `number`; before an error, what is right."""
        try:
            data = self.checked(0, self.used, _where(number))
        except (TypeError, ValueError) as error:
            for k, start in enumerate(range(0, self.used, self.rows)):
                try:
                    self.checked(start, start + self.rows, _where(number + k))
                except (TypeError, ValueError) as own:
                    if start:
                        data = self.checked(0, start, "")
                        yield Piece(data, None, first, self.rows, False)
                    raise own from None
            raise error from None
        yield Piece(data, None, first, self.rows, is_last)


def _where(number: int) -> str:
    return f"batch {number}: "


def collected(
    next_batch: Callable[[], Batch | None], check: BatchCheck, first: int, number: int, steps: int | None
) -> Iterator[Piece]:
    """Batches of an epoch as pieces. They are copied: an iterable may use the memory of one again.

    Parameters
    ----------
    next_batch : callable
        Returns None at the end of the epoch.
    check : BatchCheck
    first, number : int
        How many samples and batches of the epoch there were before.
    steps : int or None
        How many batches of the epoch there are, if that is known.
    """
    memories = _Memory(check), _Memory(check)  # one is trained on while the other is filled
    turn, has_weights, failure = 0, None, None

    def following() -> list[NDArray[Any]] | None:
        nonlocal has_weights
        if steps is not None and number + waiting >= steps:
            return None
        batch = next_batch()
        if batch is None:
            return None
        has_weights = batch[2] is not None if has_weights is None else has_weights
        if has_weights != (batch[2] is not None):
            with_, without = ("the first batch", "this") if has_weights else ("this", "the first batch")
            raise ValueError(
                f"{_where(number + waiting)}{with_} has a sample_weight and {without} has none; yield one "
                "for all batches"
            )
        return _as_arrays(batch, check, _where(number + waiting))

    waiting = 0
    batch = following()
    while batch is not None:
        memory, turn = memories[turn], 1 - turn
        memory.begin(batch)
        began = time.perf_counter()
        while batch is not None:
            memory.add(batch)
            waiting += 1
            try:
                batch = following()
            except Exception as error:
                failure, batch = error, None
            if batch is None or time.perf_counter() - began > _LONGEST or not memory.takes(batch):
                break
        is_last = batch is None and failure is None
        yield from memory.pieces(first, number, is_last)
        first, number, waiting = first + memory.used, number + waiting, 0
    if failure is not None:
        raise failure


def _as_arrays(batch: Batch, check: BatchCheck, where: str) -> list[NDArray[Any]]:
    """A batch as arrays of two dimensions; what is not arrays of numbers of the right shapes is checked."""
    X, y, weight = batch
    executor = check.executor
    if not (
        _is_plain(X, executor)
        and type(y) is np.ndarray
        and y.dtype.kind in "fiub"
        and X.shape[1:] in (executor.input_shape, (executor.n_in,))
        and 0 < len(X) == len(y)
        and (weight is None or _is_weight(weight, len(X)))
    ):
        X = check(X, y, weight, where).X
        y, weight = np.asarray(y, np.float64), None if weight is None else np.asarray(weight, np.float64)
    arrays = [X.reshape(len(X), -1), y.reshape(len(X), -1)]
    return arrays if weight is None else [*arrays, weight.reshape(len(X), -1)]


def _is_weight(weight: Any, n: int) -> bool:
    return type(weight) is np.ndarray and weight.dtype.kind in "fiub" and weight.shape[:1] == (n,)


def _is_plain(X: Any, executor: Executor) -> bool:
    """Whether samples are an array whose numbers a copy in the model's dtype cannot lose."""
    return type(X) is np.ndarray and X.dtype.kind in "fiub" and not _codes(executor)


def _codes(executor: Executor) -> bool:
    """Whether a layer takes categories."""
    return any(layer.codes for layer in executor.layers)
