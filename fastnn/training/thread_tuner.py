"""Whether a team or one thread trains: by how fast each was."""

from __future__ import annotations

# Seconds of steps from which the speed of a number of threads is measured.
_ENOUGH = 0.02
# A measurement counts half as much after so many seconds.
_HALF_LIFE = 0.5
# The slower choice is measured again after so many seconds.
_TRY_AGAIN = 1.5


class ThreadTuner:
    """Chooses between one thread and a team by how fast each was, during training.

    If other programs use the CPUs, a team waits for its slowest member. Since the result has the same bits,
    the choice can be made again for each slice. One thread is measured first: a short training is not worth
    a team, or is done many times, like `partial_fit`, and then the measurements are reused.

    Parameters
    ----------
    threads : int
        Of the team.
    fixed : bool
        Whether it was chosen by the user, and is not tuned.
    """

    def __init__(self, threads: int, fixed: bool) -> None:
        self.threads, self.fixed = threads, fixed
        choices = (threads,) if fixed or threads == 1 else (1, threads)
        self._steps = dict.fromkeys(choices, 0.0)
        self._seconds = dict.fromkeys(choices, 0.0)
        self._since_trial = 0.0

    def choose(self) -> tuple[int, float]:
        """How many threads the next slice is run by, and what part of a slice it is to last."""
        if len(self._seconds) == 1:
            return self.threads, 1.0
        if self._since_trial > _TRY_AGAIN:
            slower = min(self._seconds, key=self._speed)
            self._steps[slower] = self._seconds[slower] = self._since_trial = 0.0
        for threads, seconds in self._seconds.items():
            if seconds < _ENOUGH:
                return threads, 0.25
        return max(self._seconds, key=self._speed), 1.0

    def steps_in(self, seconds: float) -> int:
        """How many steps take so long, by what was measured; 1 if nothing was."""
        return max(1, int(seconds * max(map(self._speed, self._seconds))))

    def note(self, threads: int, steps: int, seconds: float) -> None:
        """Record how many steps were made in a slice, and how long it took."""
        if steps > 0:
            self._steps[threads] += steps
            self._seconds[threads] += seconds
            self._since_trial += seconds
            if self._seconds[threads] > 2 * _HALF_LIFE:
                self._steps[threads] /= 2
                self._seconds[threads] /= 2

    def _speed(self, threads: int) -> float:
        return self._steps[threads] / max(self._seconds[threads], 1e-9)


class ThreadTuners:
    """The tuner of the latest fit: it has measured the speed of steps of as many rows, by as many threads."""

    def __init__(self) -> None:
        self._rows, self._tuner = 0, ThreadTuner(1, fixed=True)

    def of(self, rows: int, threads: int, fixed: bool) -> ThreadTuner:
        """That tuner, or a new one for steps of so many rows: see `ThreadTuner`."""
        if (self._rows, self._tuner.threads, self._tuner.fixed) != (rows, threads, fixed):
            self._rows, self._tuner = rows, ThreadTuner(threads, fixed)
        return self._tuner
