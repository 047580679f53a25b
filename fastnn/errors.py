"""Exceptions of fastnn's own."""


class DivergenceError(ArithmeticError):
    """Training met a loss, weights, or a memory of the optimizer that are not finite.

    The model keeps the last finite weights. A lower learning rate, `global_clipnorm`, or inputs and
    targets scaled to about -1 ... 1 usually help.

    Attributes
    ----------
    epoch, step : int
        Where it was noticed: the epoch of this call of `fit`, counted from its `initial_epoch`, and the
        batch of the epoch, counted from 0.
    """

    def __init__(self, epoch: int, step: int, what: str = "the loss or a weight") -> None:
        super().__init__(
            f"training diverged in epoch {epoch}, step {step}: {what} is not finite; the last finite weights "
            "are kept (try a lower learning rate, global_clipnorm, or scaled inputs and targets)"
        )
        self.epoch, self.step, self._what = epoch, step, what

    def __reduce__(self) -> tuple[type, tuple[int, int, str]]:
        return type(self), (self.epoch, self.step, self._what)


class GradientError(AssertionError):
    """A gradient is not that of its function: see `fastnn.check_gradient`."""


class GuardError(RuntimeError):
    """Compiled code wrote outside of its memory: see `fastnn.memory.guard`. Please report it."""


class CompilationError(ValueError):
    """A user's function cannot run in the compiled loop; the message says which, and why."""
