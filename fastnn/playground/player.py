"""The thread that trains a page's network, and makes its frames between two pieces of training."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ..checks import hints, validate
from ..errors import DivergenceError
from .session import Session
from .settings import Settings, parse, shortened

FRAMES = 20  # a second
MOST_WAITING = 100  # messages that are not dealt with yet
_PIECE = 0.01  # seconds that a piece of training takes, about
_WINDOW = 1.0  # seconds over which steps a second are measured
_UNSEEN = 2  # frames under way at a time: a page that cannot keep up is sent fewer
_PATIENCE = 300.0  # seconds without a frame that is drawn, as in a hidden tab, until training pauses
_MOST_EPOCHS = 2**31  # of one network


class Player:
    """Trains as its page says, until it is closed.

    Parameters
    ----------
    deliver : callable
        Called by this thread with what the page is to be sent: text of JSON, or the bytes of a frame.
    """

    def __init__(self, deliver: Callable[[str | bytes], None]) -> None:
        self._thread = threading.Thread(target=self._run, name="fastnn playground", daemon=True)
        self._deliver = deliver
        self._messages: queue.Queue[Any] = queue.Queue(MOST_WAITING)
        self._closed = threading.Event()
        # What each does, and what it takes.
        self._commands: dict[str, tuple[Callable[..., None], list[str]]] = {
            "build": (self._build, ["settings"]),
            "play": (self._play, []),
            "pause": (self._pause, []),
            "step": (self._step, []),
            "reset": (self._reset, []),
            "rate": (self._set_learning_rate, ["learning_rate"]),
            "pace": (self._set_pace, ["epochs_per_second"]),
            "frames": (self._set_frames, ["per_second"]),
            "program": (self._send_program, []),
            "seen": (self._note_seen, []),
        }
        self._built: Session | None = None
        self._playing, self._unseen = False, 0
        self._pace: float | None = None  # epochs a second
        self._rate = 0.0  # steps a second
        self._period, self._next_frame = 1 / FRAMES, 0.0

    def start(self) -> None:
        """Begin to deal with messages."""
        self._thread.start()

    def tell(self, message: Any) -> bool:
        """Hand over a message of the page; False if too many wait already."""
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """End the thread, after the piece of training that it is in."""
        self._closed.set()
        self.tell({"do": "pause"})  # wakes it

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread; whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._go_on()
        except Exception as error:  # as where nothing can be compiled
            self._say_error(error)
            raise

    def _go_on(self) -> None:
        """Deal with a message, or train for a piece if there is none."""
        wait = self._until_epoch() if self._playing else None
        try:
            message = self._messages.get(block=wait != 0, timeout=wait)
        except queue.Empty:
            self._train_on()
        else:
            self._obey(message)

    def _obey(self, message: Any) -> None:
        """Do what a message says; what is wrong with it is said to the page."""
        try:
            if not isinstance(message, dict):
                raise TypeError(f"a message must be an object, got {shortened(message)}")
            given = dict(message)
            name = given.pop("do", None)
            if not isinstance(name, str) or name not in self._commands:
                near = hints.nearest(name, self._commands) if isinstance(name, str) else ""
                raise ValueError(f"unknown command {shortened(name)}{near}")
            self._call(name, given)
        except (TypeError, ValueError) as error:
            self._say_error(error)

    def _call(self, name: str, given: dict[str, Any]) -> None:
        command, wanted = self._commands[name]
        if list(given) != wanted:
            names = ", ".join(wanted) or "nothing else"
            raise ValueError(f"the command {name!r} takes {names}, got {shortened(sorted(map(str, given)))}")
        command(*given.values())

    # The commands.

    def _build(self, settings: Any) -> None:
        self._begin(parse(settings))

    def _reset(self) -> None:
        self._begin(self._session.settings)

    def _begin(self, settings: Settings) -> None:
        self._stop()
        self._say("busy")  # the first network with a kernel may have it compiled
        self._built = Session(settings)
        self._say("built", **self._session.description())
        self._send_frame()

    def _play(self) -> None:
        if not self._playing:
            self._session.require_points()
            self._playing = True
            self._restart_clock()
            self._say("state", playing=True)

    def _pause(self) -> None:
        self._stop()
        self._send_frame()

    def _step(self) -> None:
        self._stop()
        self._train(1)
        self._send_frame()

    def _set_learning_rate(self, learning_rate: Any) -> None:
        self._session.set_learning_rate(learning_rate)

    def _set_pace(self, epochs_per_second: Any) -> None:
        """None for as many as there can be."""
        if epochs_per_second is not None:
            epochs_per_second = validate.number("epochs_per_second", epochs_per_second, above=0.0, high=1e6)
        self._pace = epochs_per_second
        if self._playing:
            self._restart_clock()

    def _set_frames(self, per_second: Any) -> None:
        """Fewer frames, as for those who asked their system for little motion."""
        self._period = 1 / validate.number("per_second", per_second, low=0.5, high=FRAMES)

    def _send_program(self) -> None:
        self._say("program", text=self._session.text())

    def _note_seen(self) -> None:
        self._unseen, self._seen_at = max(0, self._unseen - 1), time.perf_counter()

    # Training.

    def _restart_clock(self) -> None:
        now = time.perf_counter()
        self._piece, self._rate, self._seen_at = 1, 0.0, now
        self._start, self._start_epoch = now, self._session.epochs
        self._marks = deque([(now, self._session.epochs)])

    def _until_epoch(self) -> float:
        """Seconds until the next epoch is due; 0 if it is."""
        if self._pace is None:
            return 0.0
        due = self._start + (self._session.epochs - self._start_epoch + 1) / self._pace
        return max(0.0, due - time.perf_counter())

    def _train_on(self) -> None:
        """Train for a piece, then send a frame if it is time for one."""
        begin = time.perf_counter()
        epochs = self._piece
        if self._pace is not None:
            due = self._start_epoch + int((begin - self._start) * self._pace) - self._session.epochs
            epochs = min(epochs, max(due, 1))
        self._train(epochs)
        if not self._playing:
            self._send_frame()
            return
        now = time.perf_counter()
        each = (now - begin) / epochs
        self._piece = max(1, min(int(_PIECE / each), 2 * self._piece))
        self._measure(now)
        if now >= self._next_frame and self._unseen < _UNSEEN:
            self._next_frame = max(self._next_frame + self._period, now)
            self._send_frame()
        if self._session.epochs > _MOST_EPOCHS or now - self._seen_at > _PATIENCE:
            self._pause()

    def _train(self, epochs: int) -> None:
        """Train, and stop where the network diverges."""
        try:
            self._session.train(epochs)
        except DivergenceError as error:
            self._stop()
            self._say_error(error)

    def _measure(self, now: float) -> None:
        self._marks.append((now, self._session.epochs))
        while now - self._marks[0][0] > _WINDOW and len(self._marks) > 2:
            self._marks.popleft()
        (then, before), (_, after) = self._marks[0], self._marks[-1]
        self._rate = (after - before) * self._session.steps_per_epoch / max(now - then, 1e-9)

    @property
    def _session(self) -> Session:
        if self._built is None:
            raise ValueError("there is no network yet: send 'build' first")
        return self._built

    def _stop(self) -> None:
        if self._playing:
            self._playing = False
            self._say("state", playing=False)

    # What the page is sent.

    def _send_frame(self) -> None:
        self._unseen += 1
        self._deliver(self._session.frame(self._rate if self._playing else 0.0))

    def _say(self, kind: str, **what: Any) -> None:
        self._deliver(json.dumps({"type": kind, **what}))

    def _say_error(self, error: Exception) -> None:
        self._say("error", text=str(error))
