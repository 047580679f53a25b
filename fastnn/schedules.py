"""Learning-rate schedules: the rate as a function of the step, computed in the compiled loop.

Pass one in place of the number: ``fn.Adam(learning_rate=fn.schedules.cosine(1e-3, 10_000))``. A step
is one update, which is one batch; steps count from 0.

To add one: its function in ``kernels/training/schedule.py``, a function here, a line in `TABLE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .checks import pickled, shown, validate

__all__ = [
    "Schedule",
    "constant",
    "cosine",
    "exponential",
    "one_cycle",
    "step",
]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Schedule:
    """What the engine needs to know about a schedule.

    Attributes
    ----------
    name : str
        Name in `TABLE`.
    kernel : str
        Where its kernel is: ``"training.schedule.cosine"``.
    settings : dict of str to float
        At most five numbers that are passed to the kernel, in this order; the first is the largest rate.
    """

    name: str
    kernel: str
    settings: dict[str, float]

    def config(self) -> dict[str, Any]:
        """Name and settings, as they are saved."""
        return {"name": self.name, **self.settings}

    def __repr__(self) -> str:
        return shown.spec(self.name, self.settings, TABLE)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy."""
        return pickled.by_config(self, get, TABLE)


def constant(learning_rate: float) -> Schedule:
    """A constant rate.

    Parameters
    ----------
    learning_rate : float, >= 0
    """
    return Schedule("constant", "training.schedule.constant", _rate(learning_rate))


def step(learning_rate: float, every: int, factor: float = 0.1) -> Schedule:
    """The rate is multiplied by `factor` after each `every` steps.

    Parameters
    ----------
    learning_rate : float, >= 0
        Rate of the first steps.
    every : int, >= 1
        In steps.
    factor : float, > 0
    """
    decay = {"every": _steps("every", every), "factor": validate.number("factor", factor, above=0.0)}
    return Schedule("step", "training.schedule.step", _rate(learning_rate) | decay)


def exponential(learning_rate: float, every: int, factor: float) -> Schedule:
    """``learning_rate * factor ** (step / every)``.

    Parameters
    ----------
    learning_rate : float, >= 0
        Rate of step 0.
    every : int, >= 1
        In steps.
    factor : float, > 0
    """
    decay = {"every": _steps("every", every), "factor": validate.number("factor", factor, above=0.0)}
    return Schedule("exponential", "training.schedule.exponential", _rate(learning_rate) | decay)


def cosine(learning_rate: float, steps: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """Linear warm-up for `warmup` steps, then down along half a cosine until `steps`.

    I. Loshchilov, F. Hutter, *SGDR*, ICLR 2017, with the warm-up of P. Goyal et al., *Accurate,
    large minibatch SGD* (2017).

    Parameters
    ----------
    learning_rate : float, >= 0
        Rate at the end of the warm-up.
    steps : int, > warmup
        The rate is `final` from this step on.
    warmup : int, >= 0
        In steps.
    final : float, >= 0
    """
    settings = {
        "steps": _steps("steps", steps),
        "warmup": _steps("warmup", warmup, low=0),
        "final": validate.number("final", final, low=0.0),
    }
    if steps <= warmup:
        raise ValueError(f"steps must be greater than warmup, got steps={steps} and warmup={warmup}")
    return Schedule("cosine", "training.schedule.cosine", _rate(learning_rate) | settings)


def one_cycle(
    learning_rate: float,
    steps: int,
    warmup: int | None = None,
    initial: float | None = None,
    final: float | None = None,
) -> Schedule:
    """Up along half a cosine for `warmup` steps, then down along another until ``steps - 1``.

    L. Smith, N. Topin, *Super-convergence* (2018).

    Parameters
    ----------
    learning_rate : float, >= 0
        Largest rate.
    steps : int, >= 3
        Total number.
    warmup : int, optional
        Step of the largest rate; 30 % of `steps` if not given.
    initial : float, optional
        Rate of step 0; ``learning_rate / 25`` if not given.
    final : float, optional
        Rate of step ``steps - 1`` and all later ones; ``initial / 10_000`` if not given.
    """
    rate = _rate(learning_rate)
    _steps("steps", steps, low=3)
    warmup = max(1, round(0.3 * steps)) if warmup is None else int(_steps("warmup", warmup))
    if warmup >= steps - 1:
        raise ValueError(f"warmup must be less than steps - 1, got steps={steps} and warmup={warmup}")
    initial = rate["learning_rate"] / 25 if initial is None else validate.number("initial", initial, low=0.0)
    final = initial / 1e4 if final is None else validate.number("final", final, low=0.0)
    settings = {"steps": float(steps), "warmup": float(warmup), "initial": initial, "final": final}
    return Schedule("one_cycle", "training.schedule.one_cycle", rate | settings)


def _rate(learning_rate: float) -> dict[str, float]:
    return {"learning_rate": validate.number("learning_rate", learning_rate, low=0.0)}


def _steps(name: str, value: float, low: int = 1) -> float:
    # A saved configuration holds whole numbers as floats.
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return float(validate.integer(name, whole, low=low))


TABLE: dict[str, Any] = {
    function.__name__: function for function in (constant, step, exponential, cosine, one_cycle)
}


def get(learning_rate: float | dict[str, Any] | Schedule) -> Schedule:
    """The schedule of a number, a saved configuration, or a schedule itself."""
    if isinstance(learning_rate, dict) and "name" not in learning_rate:
        raise TypeError(f"learning_rate must be a number or a schedule, got {learning_rate!r}")
    if isinstance(learning_rate, (dict, Schedule)):
        found: Schedule = validate.from_table("schedule", learning_rate, TABLE, Schedule)
        return found
    return constant(learning_rate)
