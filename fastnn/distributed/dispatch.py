"""Models trained by an engine: submitted, taken over as they finish, tried again if a worker dies."""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from typing import TYPE_CHECKING, Any

from .._version import __version__
from . import parcels, worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from ..training.arguments import FitArguments
    from .engines import Engine

_LOOK_UP = 0.1  # seconds between two looks at Ctrl-C, progress and the engine


def train(
    engine: Engine,
    threads: int,
    models: Sequence[Any],
    tasks: Sequence[FitArguments],
    order: Sequence[int],
    ended: set[int],
    look: Callable[[], None],
) -> None:
    """Train models.

    Parameters
    ----------
    engine : Engine
    threads : int
        Of each model.
    models : list of Model
    tasks : list of FitArguments
        Their histories are filled, with the errors of models that failed.
    order : list of int
        In which they are begun.
    ended : set of int
        The models that have ended are added to it.
    look : function
        Called ten times a second; what it raises ends this.

    Raises
    ------
    TypeError
        If a callback or a function cannot be pickled.
    RuntimeError
        If the executor takes no calls, or a worker has no fastnn of this version. Models that have ended by
        then are trained, the others as before.
    """
    _Dispatch(engine, threads, models, tasks, ended).run(order, look)


class _Dispatch:
    def __init__(
        self,
        engine: Engine,
        threads: int,
        models: Sequence[Any],
        tasks: Sequence[FitArguments],
        ended: set[int],
    ) -> None:
        self.engine, self.threads, self.models, self.tasks, self.ended = engine, threads, models, tasks, ended
        self._arrays = parcels.Arrays()
        self._contents: dict[int, bytes] = {}
        self._pending: dict[Future[Any], int] = {}
        self._lost: dict[int, BaseException] = {}
        self._tried: set[int] = set()  # models that were lost and submitted again
        self._suspects: dict[int, BaseException] = {}  # models one of which has ended a worker
        self._alone: int | None = None  # the suspect that is being trained, and no other model
        self._served: set[Any] = set()  # workers to which the data were sent
        self._waited: set[int] = set()  # models that were submitted again, since their worker got the data

    def run(self, order: Sequence[int], look: Callable[[], None]) -> None:
        try:
            self._pack(order)
            self._begin([i for i in order if i in self._contents])
            while self._pending:
                done, _ = wait(self._pending, _LOOK_UP, FIRST_COMPLETED)
                look()
                self.engine.check()
                for future in done:
                    self._take(self._pending.pop(future), future)
                if not self._pending:
                    self._try_again()
        finally:
            self.engine.close(list(self._pending))

    def _pack(self, order: Sequence[int]) -> None:
        for i in order:
            try:
                model, task = parcels.ready(self.models[i], self.tasks[i])
            except Exception as error:  # what a local fit would raise as well
                self._end(i, error)
                continue
            try:
                self._contents[i] = parcels.pack(model, task, self.threads, self._arrays)
            except ValueError as error:
                self._end(i, error)
            except TypeError as error:
                raise TypeError(f"model {i}: {error}") from error

    def _begin(self, numbers: Sequence[int]) -> None:
        try:
            self.engine.hold(self._arrays.kept)
            self._submit(numbers)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise RuntimeError(f"the executor takes no calls: {reason}; no model was trained") from error

    def _call(self, i: int) -> tuple[str, str, bytes]:
        return __version__, str(i), self._contents[i]

    def _submit(self, numbers: Sequence[int]) -> None:
        futures = self.engine.submit([self._call(i) for i in numbers])
        self._pending |= dict(zip(futures, numbers, strict=True))

    def _take(self, i: int, future: Future[Any]) -> None:
        """What became of a model."""
        error = CancelledError("the executor cancelled it") if future.cancelled() else future.exception()
        if error is None:
            self._take_answer(i, *future.result())
        elif any(kind.__name__ in self.engine.death for kind in type(error).__mro__):
            self._lost[i] = error
        elif "No module named 'fastnn" in str(error):
            text = f"a worker has no fastnn {__version__}, which its Python must be able to import: {error}"
            raise RuntimeError(text) from error
        elif isinstance(error, Exception):
            self._end(i, error)
        else:  # KeyboardInterrupt, say
            raise error

    def _take_answer(self, i: int, answer: str, content: Any) -> None:
        if answer == worker.OTHER_VERSION:
            text = f"a worker has fastnn {content}, this process {__version__}: install one version for all"
            raise RuntimeError(text)
        if answer == worker.LACKS_DATA:
            self._send_data(i, content)
            return
        try:
            parcels.take_result(self.models[i], self.tasks[i], content, self._arrays.kept)
        except Exception as error:  # the model is being trained by the fit that this is a callback of, say
            self.tasks[i].history.error = error
        self.ended.add(i)

    def _send_data(self, i: int, who: Any) -> None:
        """Submit a model again that a worker could not train without the data.

        A worker asks once for each call that it has taken before the data can arrive, so that these are only
        submitted again, behind the one that brings the data.
        """
        if who in self._served and i not in self._waited:
            self._waited.add(i)
            self._submit([i])
        else:
            self._served.add(who)
            self._pending[self.engine.send_data(self._call(i))] = i

    def _try_again(self) -> None:
        """Have models that were lost with a worker trained once more.

        A pool that loses a worker loses all its calls. One of the models that had begun is the reason, so
        that these are trained one at a time, after the others: only what ends its worker alone has failed.
        """
        lost, self._lost = self._lost, {}
        if lost and not self._renewed():
            for i, error in (lost | self._suspects).items():
                self._end(i, _death(error, ""))
            return
        if self._alone in lost:
            self._end(self._alone, _death(lost.pop(self._alone), ", and so did the one that tried it again"))
        again, self._alone = self._clear(lost), None
        if self._suspects and not again:
            self._alone = next(iter(self._suspects))
            del self._suspects[self._alone]
            again = [self._alone]
        try:
            if again:
                self._submit(again)
        except Exception as error:  # the executor was shut down meanwhile, say
            for i in [*again, *self._suspects]:
                self._end(i, error)
            self._suspects.clear()

    def _clear(self, lost: dict[int, BaseException]) -> list[int]:
        """Those of the models that are no suspects; on another machine it is not known which have begun."""
        begun = {i for i in lost if os.path.exists(os.path.join(self.engine.folder, str(i)))}
        suspects = begun or lost.keys() & self._tried
        self._suspects |= {i: lost[i] for i in lost if i in suspects}
        self._tried |= lost.keys()
        return [i for i in lost if i not in suspects]

    def _renewed(self) -> bool:
        try:
            return self.engine.renew()
        except Warning:  # as an error, where the user wants that
            raise
        except Exception:  # there are no workers any more, say
            return False

    def _end(self, i: int, error: Exception) -> None:
        self.tasks[i].history.error = error
        self.ended.add(i)


def _death(cause: BaseException, tries: str) -> Exception:
    error = RuntimeError(f"the worker that trained it died (killed, out of memory?){tries}: {cause}")
    error.__cause__ = cause
    return error
