"""Exceptions of fastnn's own."""


class DivergenceError(ArithmeticError):
    """Training met a loss or weights that are not finite.

    The model keeps the last finite weights. A lower learning rate, `global_clipnorm`, or inputs
    scaled to about -1 ... 1 usually help.

    Attributes
    ----------
    epoch, step : int
        Where it was noticed: the epoch of this call of `fit`, counted from its `initial_epoch`, and the
        batch of the epoch, counted from 0.
    """

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(
            f"training diverged in epoch {epoch}, step {step}: the loss or a weight is not finite; the last "
            "finite weights are kept (try a lower learning rate, global_clipnorm, or scaled inputs)"
        )
        self.epoch, self.step = epoch, step

    def __reduce__(self) -> tuple[type, tuple[int, int]]:
        return type(self), (self.epoch, self.step)


class GradientError(AssertionError):
    """A gradient is not that of its function: see `fastnn.check_gradient`."""


class GuardError(RuntimeError):
    """Compiled code wrote outside of its memory: see `fastnn.guard`. Please report it."""


class CompilationError(ValueError):
    """A user's function cannot run in the compiled loop; the message says which, and why."""
