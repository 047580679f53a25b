"""Guard zones: a debug mode that detects writes of compiled code outside its buffers.

With ``FASTNN_GUARD=1`` in the environment, each buffer and each tensor in a workspace lies between two
zones of `ZONE` bytes. They hold a signalling NaN that is unique to the buffer and changes under arithmetic:
an op that works in place cannot go too far without being detected. All zones are checked after each
compiled call. Workspaces are filled with that NaN too, so that reads of unwritten memory show in the
result. The user's own compiled code is checked in the next call from Python.
"""

from __future__ import annotations

import itertools
import os
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import GuardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

#: Whether buffers are guarded.
ON = os.environ.get("FASTNN_GUARD", "0") not in ("", "0")
#: Bytes of a zone, a multiple of all alignments.
ZONE = 1024

# Signalling NaN, by the size of a number in bytes: the first operation turns it into a quiet one.
_NAN = {4: 0x7FA00000, 8: 0x7FF4000000000000}
_NUMBERS = itertools.count(1)


class _Watched(NamedTuple):
    memory: weakref.ref[NDArray[Any]]
    name: str
    pattern: int
    zones: list[tuple[int, int]]


_watched: dict[int, _Watched] = {}


def zone(itemsize: int) -> int:
    """Number of elements of a given size in a zone; 0 if buffers are not guarded."""
    return ZONE // itemsize if ON else 0


def watch(memory: NDArray[Any], start: int, stop: int, name: str) -> None:
    """Guard ``memory[start:stop]``, part of an array of one dimension that owns its memory."""
    pattern = _NAN[memory.itemsize] + next(_NUMBERS) % 0xFFFFF
    zones = [(0, start), (stop, memory.size)]
    _fill(memory, pattern, zones)
    key = id(memory)
    _watched[key] = _Watched(weakref.ref(memory, lambda _: _watched.pop(key, None)), name, pattern, zones)


def poison(buffer: NDArray[Any]) -> None:
    """Fill a guarded buffer that compiled code must write to before it reads there."""
    memory = buffer.base
    if memory is not None and (watched := _watched.get(id(memory))) is not None:
        start, stop = watched.zones[0][1], watched.zones[1][0]
        _fill(memory, watched.pattern, [(start, stop)])


def add_zones(buffer: NDArray[Any], zones: Iterable[tuple[int, int]]) -> None:
    """Guard parts of a guarded buffer, from a number to another that is not part of it."""
    memory = buffer.base
    if memory is not None and (watched := _watched.get(id(memory))) is not None:
        start = watched.zones[0][1]
        more = [(start + first, start + last) for first, last in zones if first < last]
        _fill(memory, watched.pattern, more)
        watched.zones.extend(more)


def check(call: str) -> None:
    """Raise a GuardError if a zone has changed."""
    for watched in list(_watched.values()):
        memory = watched.memory()
        if memory is None:
            continue
        numbers = memory.view(f"u{memory.itemsize}")
        for start, stop in watched.zones:
            if (numbers[start:stop] != watched.pattern).any():
                _report(call, watched, memory, start, stop)


def checked(function: Callable[[int, int], None], name: str) -> Callable[[int, int], None]:
    """A compiled function, followed by a check of all zones."""

    def call(first: int, second: int) -> None:
        function(first, second)
        check(name)

    return call


def _fill(memory: NDArray[Any], pattern: int, zones: list[tuple[int, int]]) -> None:
    numbers = memory.view(f"u{memory.itemsize}")
    for start, stop in zones:
        numbers[start:stop] = pattern


def _report(call: str, watched: _Watched, memory: NDArray[Any], start: int, stop: int) -> None:
    numbers = memory.view(f"u{memory.itemsize}")
    changed = np.flatnonzero(numbers[start:stop] != watched.pattern) + start
    first, last = int(changed[0]), int(changed[-1])
    begin, end = watched.zones[0][1], watched.zones[1][0]
    numbers[start:stop] = watched.pattern  # so that the next check finds the next fault
    raise GuardError(
        f"{call} wrote outside its memory: {len(changed)} values changed beside {watched.name} of "
        f"{end - begin} values of {memory.dtype}, from index {first - begin} to {last - begin}"
    )
