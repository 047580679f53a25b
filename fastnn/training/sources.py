"""Where the batches of a fit come from: an iterable of batches, or a reader of blocks of rows."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..data.readers import Reader
from ..data.rows import sizes_of
from ..data.tables import is_table
from ..engine.data_set import DataSet
from .pieces import Batch, BatchCheck, Piece, collected

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RECOGNIZED = 8  # samples by which a batch is recognized

T = TypeVar("T")
#: Checks samples, targets and weights of a place that messages begin with.
Check = Callable[[Any, Any, Any, str], T]


def source_of(value: Any, name: str, steps: int | None, epochs: int, steps_name: str) -> Source:
    """What gives the batches of `value`, an iterable or a reader; a reader needs no number of steps.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or cannot be gone through so many times.
    """
    if isinstance(value, Reader):
        if steps is not None:
            raise ValueError(f"{steps_name} is for iterables; {name} has {len(value)} batches in an epoch")
        return ReaderSource(value)
    if not hasattr(value, "__iter__") and is_indexed(value):
        value = Indexed(value)
    if isinstance(value, (str, bytes, dict, np.ndarray)) or is_table(value) or not hasattr(value, "__iter__"):
        raise TypeError(
            f"{name} without y must yield batches (X, y) or (X, y, sample_weight), got {type(value).__name__}"
        )
    return IterableSource(value, name, steps, epochs, steps_name)


def is_indexed(value: Any) -> bool:
    """Whether it gives items by their number and says how many there are, and is no array."""
    has_items = hasattr(value, "__getitem__") and hasattr(value, "__len__")
    return has_items and not hasattr(value, "shape") and not hasattr(value, "__array__")


class Indexed:
    """The batches of what gives them by their number, such as a `PyDataset` of Keras."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[Any]:
        return (self._value[i] for i in range(len(self._value)))


class Source:
    """Base of both.

    Attributes
    ----------
    n_samples : int
        Of an epoch; 0 if that is not known.
    expected_samples : int
        The same, or about as many; 0 if nothing is known.
    batch_size : int
        Of the first batch.
    shuffle : bool
    names : tuple of str
        Of the columns, if they have names.
    where : str
        What messages about `head` begin with.
    """

    n_samples = expected_samples = 0
    batch_size = 1
    shuffle = False
    names: tuple[str, ...] = ()
    where = "batch 0: "

    def head(self) -> Batch:
        """The first batch, or the first rows."""
        raise NotImplementedError

    def naming_columns(self, where: str) -> AbstractContextManager[None]:
        """While samples are checked: messages about `where` name the columns of targets and weights."""
        return nullcontext()

    def order(self, seed: int, first: DataSet) -> dict[str, int]:
        """What decides about the samples and their order, if the model has this seed and these come first."""
        return {}

    def order_so_far(self, piece: Piece, position: int) -> dict[str, int]:
        """By what a repetition is recognized that is the same up to a sample of a piece."""
        return {}

    def pieces(
        self,
        check: BatchCheck,
        epoch: int,
        seed: int,
        position: int = 0,
        so_far: Mapping[str, int] = MappingProxyType({}),
    ) -> Iterator[Piece]:
        """An epoch, from a sample on; `epoch` and `seed` determine the order if it shuffles.

        `so_far` is what `order_so_far` said of an epoch that is resumed there.
        """
        raise NotImplementedError

    def pass_for_layers(self, check: Check[T]) -> Iterator[T]:
        """What `check` makes of all samples of an epoch, once, for layers that adapt to them."""
        raise NotImplementedError


class IterableSource(Source):
    """Batches of an iterable."""

    def __init__(self, value: Any, name: str, steps: int | None, epochs: int, steps_name: str) -> None:
        self.value, self.name, self.steps, self.steps_name = value, name, steps, steps_name
        self.iterator = iter(value)
        self.restarts = self.iterator is not value
        if not self.restarts and steps is None and epochs > 1:
            raise ValueError(
                f"{name} is a {type(value).__name__}, which can be gone through once, but there are {epochs} "
                f"epochs; give {steps_name}, the number of its batches that are an epoch, or an object whose "
                "__iter__ begins again"
            )
        self.is_fresh, self.number, self.taken, self.first_batch = True, 0, 0, 0
        first = self._next()
        if first is None:
            raise ValueError(f"{name} yields no batches: it is empty, or a generator that is used up")
        self.first: Batch | None = first
        self.kept = first
        self.batch_size = max(1, (sizes_of(first[0]) or (_length(first[0]),))[0])
        self.expected_samples = (_length(value) if steps is None else steps) * self.batch_size

    def head(self) -> Batch:  # noqa: D102
        return self.kept

    def order_so_far(self, piece: Piece, position: int) -> dict[str, int]:  # noqa: D102
        end = position - piece.first
        if end <= 0:
            return {"first_batch": self.first_batch}
        last = _part(piece.data, None, max(0, end - piece.batch_size), end)
        return {"first_batch": self.first_batch, "last_samples": _fingerprint(last)}

    def pieces(  # noqa: D102
        self,
        check: BatchCheck,
        epoch: int,
        seed: int,
        position: int = 0,
        so_far: Mapping[str, int] = MappingProxyType({}),
    ) -> Iterator[Piece]:
        if not self.is_fresh and self.steps is None:
            self.iterator, self.taken = iter(self.value), 0
        self.is_fresh = False
        if position and self.restarts:
            self._skip(position, so_far, check)
        else:
            self.first_batch, self.number = self.taken, 0
        yield from collected(self._following, check, position, self.number, self.steps)

    def _skip(self, position: int, so_far: Mapping[str, int], check: BatchCheck) -> None:
        """Skip the batches before an interrupted epoch, and those of it that are done."""
        for _ in range(so_far.get("first_batch", 0)):
            self._following()
        self.first_batch, self.number = self.taken, 0
        seen, batch = 0, None
        while seen < position and (batch := self._following()) is not None:
            seen += len(batch[0])
        if seen != position or batch is None:
            raise ValueError(
                f"no batch of {self.name} begins at sample {position}, where the epoch was interrupted"
            )
        if "last_samples" in so_far and _fingerprint(check(*batch)) != so_far["last_samples"]:
            raise ValueError(
                f"the batch of {self.name} before sample {position} is not the one that was trained on when "
                f"the epoch was interrupted: to be resumed, {self.name} must yield the same batches again; "
                "leave out resume=True, which begins the epoch again"
            )

    def _following(self) -> Batch | None:
        """The next batch of the epoch; None at its end."""
        if self.first is not None:
            first, self.first = self.first, None
            self.number, self.taken = self.number + 1, self.taken + 1
            return first
        batch = self._next()
        if batch is None and self.steps is not None:
            if not self.restarts:
                trained = "; the weights are those after the last of them" if self.name == "X" else ""
                raise ValueError(
                    f"{self.name} ended after {self.number} of the {self.steps_name}={self.steps} batches of "
                    f"an epoch{trained}"
                )
            self.iterator = iter(self.value)
            batch = self._next()
        if batch is None and self.number == 0:
            raise ValueError(f"{self.name} yields no batches any more when it is gone through again")
        if batch is not None:
            self.number, self.taken = self.number + 1, self.taken + 1
        return batch

    def _next(self) -> Batch | None:
        try:
            item = next(self.iterator)
        except StopIteration:
            return None
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            got = (
                f"{type(item).__name__} of {len(item)}"
                if isinstance(item, (tuple, list))
                else repr(item)[:80]
            )
            raise ValueError(
                f"batch {self.number} of {self.name} must be (X, y) or (X, y, sample_weight), got {got}"
            )
        X, y, weight = (*item, None)[:3]
        return X, y, weight

    def pass_for_layers(self, check: Check[T]) -> Iterator[T]:  # noqa: D102
        if not self.restarts:
            raise ValueError(
                f"layers that prepare the data are not adapted, and {self.name} is a "
                f"{type(self.value).__name__}, which can be gone through once; call model.adapt(X) first "
                "with samples or an iterable of batches, or give an object whose __iter__ begins again"
            )
        other = IterableSource(self.value, self.name, self.steps, 1, self.steps_name)
        number = 0
        while (self.steps is None or number < self.steps) and (batch := other._following()) is not None:
            yield check(*batch, f"batch {number}: ")
            number += 1


class ReaderSource(Source):
    """Batches of a reader, cut from groups of its blocks."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.n_samples = self.expected_samples = reader.n_samples
        self.batch_size = min(reader.batch_size, reader.n_samples)
        self.shuffle, self.names = reader.shuffle, reader.names
        self.where = reader.describe([next(i for i, size in enumerate(reader.sizes) if size)])

    def head(self) -> Batch:  # noqa: D102
        return self.reader.head(self.batch_size)

    @contextmanager
    def naming_columns(self, where: str) -> Iterator[None]:  # noqa: D102
        try:
            yield
        except (TypeError, ValueError) as error:
            text, kind = str(error), ValueError if isinstance(error, ValueError) else TypeError
            for name, column in self.reader.columns.items():
                if text.startswith(f"{where}{name} "):
                    raise kind(f"{where}{name} ({column}){text[len(where + name) :]}") from None
            raise

    def order(self, seed: int, first: DataSet) -> dict[str, int]:  # noqa: D102
        reader, own = self.reader, {"first_samples": _fingerprint(first)}
        if reader.shuffle:
            blocks = zlib.crc32(np.array(reader.sizes, np.int64).tobytes())
            own |= {"seed": reader.seed_of(seed), "buffer_size": reader.buffer_size, "blocks": blocks}
        return own

    def pieces(  # noqa: D102
        self,
        check: BatchCheck,
        epoch: int,
        seed: int,
        position: int = 0,
        so_far: Mapping[str, int] = MappingProxyType({}),
    ) -> Iterator[Piece]:
        reader, size, total = self.reader, self.batch_size, self.n_samples
        start, first, rest = 0, position, None
        for k, blocks in enumerate(reader.groups(epoch, seed)):
            n = sum(reader.sizes[i] for i in blocks)
            at, start = max(0, position - start), start + n
            if start <= position:
                continue
            data, order = self._read(blocks, check), reader.order(epoch, seed, k, n)
            if rest is not None:
                at = min(size - len(rest.X), n)
                rest = _joined(rest, _part(data, order, 0, at))
                if len(rest.X) < size and start < total:
                    continue
                yield Piece(rest, None, first, size, is_last=first + len(rest.X) == total)
                first, rest = first + len(rest.X), None
            end = n if start == total else at + (n - at) // size * size
            if end > at:
                whole = data if order is not None else _part(data, None, at, end)
                chosen = None if order is None else order[at:end]
                yield Piece(whole, chosen, first, size, is_last=start == total)
                first += end - at
            rest = _part(data, order, end, n) if end < n else None

    def pass_for_layers(self, check: Check[T]) -> Iterator[T]:  # noqa: D102
        for blocks in self.reader.groups(0, 0):
            yield self._read(blocks, check)

    def _read(self, blocks: list[int], check: Check[T]) -> T:
        """Blocks, checked together; an error names the one that it is in."""
        reader, where = self.reader, self.reader.describe(blocks)
        with self.naming_columns(where):
            try:
                return check(*_read_at(reader, blocks, where), where)
            except (TypeError, ValueError):
                for block in blocks if len(blocks) > 1 else []:
                    self._read([block], check)
                raise


def _length(value: Any) -> int:
    """How many batches an iterable says it has; 0 if it does not say."""
    try:
        return len(value)
    except Exception:  # it has no length, or a loader cannot say
        return 0


def _read_at(reader: Reader, blocks: list[int], where: str) -> Batch:
    """Blocks of a reader; an error of the library that reads them has a note that says where."""
    try:
        return reader.read(blocks)
    except Exception as error:
        error.add_note(f"It was raised while fastnn read {where.removesuffix(': ')}.")
        raise


def _part(data: DataSet, order: NDArray[np.int64] | None, start: int, end: int) -> DataSet:
    """Some rows of data, in an order."""
    rows: Any = slice(start, end) if order is None else order[start:end]
    return DataSet(data.X[rows], data.y[rows], None if data.weight is None else data.weight[rows])


def _fingerprint(data: DataSet) -> int:
    """A number by which samples and their targets are recognized."""
    parts = [np.ascontiguousarray(of[:_RECOGNIZED], data.y.dtype) for of in (data.X, data.y)]
    return zlib.crc32(parts[1].tobytes(), zlib.crc32(parts[0].tobytes()))


def _joined(one: DataSet, other: DataSet) -> DataSet:
    X, y = np.concatenate([one.X, other.X]), np.concatenate([one.y, other.y])
    if one.weight is None or other.weight is None:
        return DataSet(X, y, _ones(one, other))
    return DataSet(X, y, np.concatenate([one.weight, other.weight]))


def _ones(one: DataSet, other: DataSet) -> NDArray[Any] | None:
    """The weights of both, one of which has none: ones in their place."""
    given = one.weight if other.weight is None else other.weight
    if given is None:
        return None
    parts = [
        np.ones((len(of.X), *given.shape[1:]), given.dtype) if of.weight is None else of.weight
        for of in (one, other)
    ]
    return np.concatenate(parts)
