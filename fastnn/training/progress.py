"""Progress of a fit: a tqdm bar, or a line per epoch.

The bar is as wide as the terminal. Where there is no room for everything, the loss and what callbacks
monitor go first, then the steps a second, then other logs. It counts parts of epochs, and so moves within a
long one; where nobody knows how long an epoch is, it counts the steps in it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..checks import validate
from . import print_above

_BAR = 8  # least width of the bar itself, except for the first logs
_VALUE = 7  # width of most values
_RATE = len(" 1.23k steps/s")
_ALWAYS = 2  # so many logs are shown where the bar becomes narrower for them
_INTERVAL = 0.1  # seconds between two updates in a terminal or notebook
_SELDOM = 5.0  # the same elsewhere: each is kept there
_HALF_LIFE = 3.0  # seconds after which a measured speed counts half as much

#: Logs by name.
Logs = Callable[[], dict[str, float]]


def style(verbose: Any) -> int:
    """How to show progress: 0 not at all, 1 by a bar, 2 by lines.

    "auto" is a bar in a terminal or notebook and silence elsewhere.
    """
    if isinstance(verbose, str):
        validate.choice("verbose", verbose, ("auto", 0, 1, 2))
        return int(_in_notebook() or print_above.is_terminal(sys.stderr))
    if verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2, got {verbose!r}")
    return int(verbose)


def reporter(verbose: int, epochs: int, first: int = 0, callbacks: Iterable[Any] = ()) -> Bar | Lines | None:
    """The progress display of a fit, in that style.

    Parameters
    ----------
    verbose : int
        See `style`.
    epochs : int
        How many there are.
    first : int
        Number of the first.
    callbacks : iterable of Callback
        What they monitor is shown where there is room for little.
    """
    if verbose == 1:
        return Bar(epochs, first, [str(getattr(callback, "monitor", "")) for callback in callbacks])
    return Lines(epochs, first) if verbose == 2 else None


class Bar:
    """A bar that counts epochs and shows the latest logs.

    It appears when it is first updated. What is printed meanwhile goes above it.

    Parameters
    ----------
    epochs, first
        See `reporter`.
    watched : iterable of str
        Names of the logs that callbacks monitor.

    Attributes
    ----------
    each_epoch : bool
        Whether each epoch must be shown.
    """

    each_epoch = False

    def __init__(self, epochs: int, first: int = 0, watched: Iterable[str] = ()) -> None:
        self.epochs, self.first, self.watched = epochs, first, tuple(watched)
        self._bar: Any = None
        self._interval = _INTERVAL if _in_notebook() or print_above.is_terminal(sys.stderr) else _SELDOM
        self.begin(0.0)
        self._next = self._start + self._interval

    def begin(self, done: float) -> None:
        """Measure from now on, when so many epochs are done; time before is no time of training."""
        self._start = time.perf_counter()
        self._done_before, self._steps = done, 0
        self._epoch_done, self._epoch_start, self._epoch_steps = done, self._start, 0
        self._speed = _Speed(self._start)

    def update(self, done: float, logs: Logs, steps: int = 0) -> None:
        """Show that so many epochs and steps are done, and the last logs, if it is time to."""
        self._note(done, steps)
        if time.perf_counter() >= self._next:
            self._draw(done, logs())
            self._next = time.perf_counter() + self._interval

    def close(self, done: float, logs: Logs, steps: int = 0) -> None:
        """Draw the bar for the last time, with the speed of the whole fit."""
        self._note(done, steps)
        self._speed = _Speed(self._start)
        self._draw(done, logs())
        if self._bar is not None:
            print_above.remove(self._bar)
            self._bar.close()

    def _note(self, done: float, steps: int) -> None:
        if done != self._epoch_done:
            self._epoch_done, self._epoch_start, self._epoch_steps = done, time.perf_counter(), steps
        self._steps = steps

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
        last, now = self.first + self.epochs, time.perf_counter()
        number = min(self.first + int(done) + 1, last)
        head = f"epoch {number:{len(str(last))}}/{last} "
        if done == int(done) < self.epochs and self._steps > self._epoch_steps:  # of unknown length
            head += f"step {self._steps - self._epoch_steps:,} "
        time_left = self._time_left(done, now)
        rate = self._speed.text(self._steps, now)
        room = None if columns is None else columns - len(head) - _BAR - len(time_left)
        tail = "".join(_chosen(logs, ["loss", *self.watched, "val_loss"], rate, room))
        return head + "{bar}" + tail.replace("{", "{{").replace("}", "}}") + time_left

    def _time_left(self, done: float, now: float) -> str:
        """How long the rest takes if it goes on as it did so far; in the end, how long all took."""
        if done >= self.epochs:
            return f" {_clock(now - self._start)}"
        if done <= self._done_before:
            return ""
        each = (self._epoch_start - self._start) / (done - self._done_before)
        left = each * (self.epochs - done) - (now - self._epoch_start)
        least = max(each * (self.epochs - done - 1), 0.0)  # this epoch may take longer than those before
        return f" {_clock(max(left, least))} left"


class _Speed:
    """Steps a second, of the latest seconds."""

    def __init__(self, now: float) -> None:
        self._steps = self._seconds = 0.0
        self._before, self._then = 0, now

    def text(self, steps: int, now: float) -> str:
        """The speed, when so many steps are done; empty before the first."""
        passed = now - self._then
        fades = 0.5 ** (passed / _HALF_LIFE)
        self._steps = self._steps * fades + steps - self._before
        self._seconds = self._seconds * fades + passed
        self._before, self._then = steps, now
        if self._steps <= 0:
            return ""
        rate = self._steps / max(self._seconds, 1e-9)
        return f" {_short(rate)} steps/s" if rate >= 1 else f" {_short(1 / rate)} s/step"


def _short(value: float) -> str:
    """Three digits."""
    units = ["", "k", "M"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.3g}{units[0]}"


def _chosen(logs: dict[str, float], first: list[str], rate: str, room: int | None) -> list[str]:
    """The logs and the speed for which there is room, in their order; some go first.

    Two logs take room from the bar; the speed comes next, then other logs. Which they are does not change
    with their values, unless these are very long: nothing flickers.
    """
    names = list(dict.fromkeys(name for name in [*first, *logs] if name in logs))
    texts: dict[str | None, str] = {name: f" {name}={value:.4g}" for name, value in logs.items()}
    texts[None] = rate
    chosen: set[str | None] = set()
    for i, name in enumerate([*names[:_ALWAYS], None, *names[_ALWAYS:]]):
        width = _RATE if name is None else max(len(texts[name]), len(name) + len(" =") + _VALUE)
        if room is None or width <= room + (_BAR if i < _ALWAYS and name is not None else 0):
            chosen.add(name)
            room = None if room is None else room - width
    return [text for name, text in texts.items() if name in chosen]


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

    def begin(self, done: float) -> None:
        """Nothing is shown before an epoch has ended."""

    def update(self, done: float, logs: Logs, steps: int = 0) -> None:
        """Print the latest epoch, if one has ended since."""
        if int(done) > self._said:
            self._said, now = int(done), time.perf_counter()
            seconds, self._before = now - self._before, now
            of = f"Epoch {self.first + self._said}/{self.first + self.epochs}"
            say(of, f"{seconds:.1f}s", *texts(logs()))

    def close(self, done: float, logs: Logs, steps: int = 0) -> None:
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
    """Width of the terminal that shows standard error, but for the last column; None if it is none.

    ``COLUMNS`` can make the line shorter.
    """
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except Exception:  # what stands in its place may be anything
        return None
    wanted = os.environ.get("COLUMNS", "")
    return min(columns, int(wanted) or columns if wanted.isdecimal() else columns) - 1


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
