"""Progress of a fit: a tqdm bar, or a line per epoch.

The bar is as wide as the terminal. Where there is no room for all logs, the loss and those that
callbacks monitor go first. It counts parts of epochs, and so moves within a long one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from . import print_above

_BAR = 8  # least width of the bar itself, except for the first logs
_VALUE = 7  # width of most values
_ALWAYS = 2  # so many logs are shown where the bar becomes narrower for them
_INTERVAL = 0.1  # seconds between two updates in a terminal or notebook
_SELDOM = 5.0  # the same elsewhere: each is kept there

#: Logs by name.
Logs = Callable[[], dict[str, float]]


def style(verbose: Any) -> int:
    """How to show progress: 0 not at all, 1 by a bar, 2 by lines.

    "auto" is a bar in a terminal or notebook and silence elsewhere.
    """
    if isinstance(verbose, str):
        if verbose != "auto":
            raise ValueError(f"verbose must be 'auto', 0, 1 or 2, got {verbose!r}")
        return int(_in_notebook() or print_above.is_terminal(sys.stderr))
    if verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2, got {verbose!r}")
    return int(verbose)


def reporter(verbose: int, epochs: int, first: int = 0, watched: Iterable[str] = ()) -> Bar | Lines | None:
    """The progress display of a fit, in that style.

    Parameters
    ----------
    verbose : int
        See `style`.
    epochs : int
        How many there are.
    first : int
        Number of the first.
    watched : iterable of str
        Names of the logs that callbacks watch.
    """
    if verbose == 1:
        return Bar(epochs, first, watched)
    return Lines(epochs, first) if verbose == 2 else None


class Bar:
    """A bar that counts epochs and shows the latest logs.

    It appears when it is first updated. What is printed meanwhile goes above it.

    Parameters
    ----------
    epochs, first, watched
        See `reporter`.

    Attributes
    ----------
    each_epoch : bool
        Whether each epoch must be shown.
    """

    each_epoch = False

    def __init__(self, epochs: int, first: int = 0, watched: Iterable[str] = ()) -> None:
        self.epochs, self.first, self.watched = epochs, first, tuple(watched)
        self._bar: Any = None
        self._begin = time.perf_counter()
        self._interval = _INTERVAL if _in_notebook() or print_above.is_terminal(sys.stderr) else _SELDOM
        self._next = self._begin + self._interval

    def update(self, done: float, logs: Logs) -> None:
        """Show that so many epochs are done, and their last logs, if it is time to."""
        if time.perf_counter() >= self._next:
            self._draw(done, logs())
            self._next = time.perf_counter() + self._interval

    def close(self, done: float, logs: Logs) -> None:
        """Draw the bar for the last time."""
        self._draw(done, logs())
        if self._bar is not None:
            print_above.remove(self._bar)
            self._bar.close()

    def _draw(self, done: float, logs: dict[str, float]) -> None:
        columns = _columns()
        text = self._text(done, logs, columns)
        if self._bar is not None:
            self._bar.n, self._bar.bar_format, self._bar.ncols = done, text, columns
            self._bar.refresh()
        elif sys.stderr is not None:
            from tqdm.auto import tqdm

            file = None if _in_notebook() else print_above.Quiet(sys.stderr)
            self._bar = tqdm(total=self.epochs, initial=done, bar_format=text, ncols=columns, file=file)
            if file is not None:
                print_above.add(self._bar)

    def _text(self, done: float, logs: dict[str, float], columns: int | None) -> str:
        """The line; tqdm puts the bar itself where its name stands in braces."""
        last, elapsed = self.first + self.epochs, time.perf_counter() - self._begin
        number = min(self.first + int(done) + 1, last)
        head = f"epoch {number:{len(str(last))}}/{last} "
        time_left = ""
        if done >= self.epochs:
            time_left = f" {_clock(elapsed)}"
        elif done > 0:
            time_left = f" {_clock(elapsed * (self.epochs - done) / done)} left"
        room = None if columns is None else columns - len(head) - _BAR - len(time_left)
        tail = "".join(_chosen(logs, ["loss", *self.watched, "val_loss"], room))
        return head + "{bar}" + tail.replace("{", "{{").replace("}", "}}") + time_left


def _chosen(logs: dict[str, float], first: list[str], room: int | None) -> list[str]:
    """The logs for which there is room, in their order; some go first, and two take it from the bar.

    Which they are does not change with their values: nothing flickers.
    """
    chosen: set[str] = set()
    for i, name in enumerate(dict.fromkeys(name for name in [*first, *logs] if name in logs)):
        width = len(name) + len(" =") + _VALUE
        if room is None or width <= room + (_BAR if i < _ALWAYS else 0):
            chosen.add(name)
            room = None if room is None else room - width
    return [f" {name}={value:.4g}" for name, value in logs.items() if name in chosen]


class Lines:
    """A line per epoch, on standard output.

    Parameters
    ----------
    epochs, first
        See `reporter`.

    Attributes
    ----------
    each_epoch : bool
        Whether each epoch must be shown.
    """

    each_epoch = True

    def __init__(self, epochs: int, first: int = 0) -> None:
        self.epochs, self.first = epochs, first
        self._said, self._before = 0, time.perf_counter()

    def update(self, done: float, logs: Logs) -> None:
        """Print the latest epoch, if one has ended since."""
        if int(done) > self._said:
            self._said, now = int(done), time.perf_counter()
            seconds, self._before = now - self._before, now
            of = f"Epoch {self.first + self._said}/{self.first + self.epochs}"
            say(of, f"{seconds:.1f}s", *texts(logs()))

    def close(self, done: float, logs: Logs) -> None:
        """Print the last epoch."""
        self.update(done, logs)


def texts(logs: dict[str, float]) -> list[str]:
    """Names and values."""
    return [f"{name}: {value:.4g}" for name, value in logs.items()]


def say(*parts: str) -> None:
    """Print a line to standard output, if that can be done."""
    try:
        print(*parts, sep=" - ", flush=True)
    except Exception:  # it is full, or closed, or anything else
        pass


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


def _columns() -> int | None:
    """Width of the terminal that shows standard error, but for the last column; None if it is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns - 1
    except Exception:  # what stands in its place may be anything
        return None


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
