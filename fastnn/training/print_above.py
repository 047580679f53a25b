"""What a program prints while bars are shown goes above them, line by line."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

_bars: list[Any] = []
_placed: list[tuple[str, Lines]] = []  # what replaces sys.stdout and sys.stderr


class _Wrapper:
    """A stream that replaces another one, and equals it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __eq__(self, other: object) -> bool:
        # tqdm asks so whether its bars, in wrappers of its own, are where something is printed.
        return bool(self.stream == (other.stream if isinstance(other, _Wrapper) else other))

    def __hash__(self) -> int:
        return hash(self.stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Quiet(_Wrapper):
    """A stream for bars. Where it fails, in whatever way, nothing is shown, and training continues."""

    def write(self, text: str) -> int:
        """Write, if that can be done."""
        try:
            self.stream.write(text)
        except Exception:
            pass
        return len(text)

    def flush(self) -> None:
        """Flush what was written, if that can be done."""
        try:
            self.stream.flush()
        except Exception:
            pass


class Lines(_Wrapper):
    """A terminal, to which whole lines are written: the bars make way for them."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._begun: dict[int, str] = {}  # lines without their ends, by thread

    def write(self, text: str) -> int:
        """Write the lines that have ended, above the bars."""
        if not _bars:
            self.give_up()
            self.stream.write(text)
            return len(text)
        thread = threading.get_ident()
        lines, end, self._begun[thread] = (self._begun.get(thread, "") + text).rpartition("\n")
        if end:
            with _bars[0].external_write_mode(file=self):  # also for the user's own bars
                self.stream.write(lines + end)
                self.stream.flush()
        return len(text)

    def give_up(self) -> None:
        """Write what is left."""
        begun = "".join(self._begun.values())
        self._begun.clear()
        if begun:
            self.stream.write(begun)


def is_terminal(stream: Any) -> bool:
    """Whether a stream, which may be anything, says that it is one."""
    try:
        return bool(stream.isatty())
    except Exception:
        return False


def add(bar: Any) -> None:
    """Let what is printed from now on go above this bar of tqdm's, if that is in a terminal."""
    if not is_terminal(bar.fp):
        return
    _bars.append(bar)
    if not _placed:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if is_terminal(stream):
                _placed.append((name, Lines(stream)))
                setattr(sys, name, _placed[-1][1])


def remove(bar: Any) -> None:
    """Forget a bar; after the last one the streams are as before."""
    if bar in _bars:
        _bars.remove(bar)
    if not _bars:
        for name, lines in _placed:
            lines.give_up()
            if getattr(sys, name) is lines:  # else something has replaced it, and stays
                setattr(sys, name, lines.stream)
        _placed.clear()


def _after_fork_in_child() -> None:
    """Give tqdm another lock: a thread that the child does not have may hold the one that it had."""
    lock = threading.RLock()
    for name in ("tqdm", "tqdm.auto"):  # each class of bars may have one of its own
        kind = getattr(sys.modules.get(name), "tqdm", None)
        if kind is not None:
            kind.set_lock(lock)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
