"""Exceptions."""


class DivergenceError(ArithmeticError):
    """The loss, the weights or the state of the optimizer became infinite or NaN during training.

    The model keeps the last finite weights. A lower learning rate, `global_clipnorm`, or inputs and
    targets scaled to about -1 ... 1 usually help.

    Attributes
    ----------
    epoch, step : int
        Where it was detected: the epoch of this call of `fit`, counted from its `initial_epoch`, and the
        batch within the epoch, counted from 0.
    """

    def __init__(self, epoch: int, step: int, what: str = "the loss or a weight") -> None:
        super().__init__(
            f"training diverged in epoch {epoch}, step {step}: {what} is not finite; the last finite weights "
            "are kept (try a lower learning rate, global_clipnorm, or scaled inputs and targets)"
        )
        self.epoch, self.step, self._what = epoch, step, what

    def __reduce__(self) -> tuple[type, tuple[int, int, str]]:
        return type(self), (self.epoch, self.step, self._what)


class RankError(RuntimeError):
    """Another process of a data-parallel fit failed, and this one ended with it: see `fastnn.Model.fit`.

    Attributes
    ----------
    rank : int
        The number of that process.
    """

    def __init__(self, rank: int, text: str) -> None:
        super().__init__(f"rank {rank} failed, and all others end with it: {text}")
        self.rank, self._text = rank, text

    def __reduce__(self) -> tuple[type, tuple[int, str]]:
        return type(self), (self.rank, self._text)


class GradientError(AssertionError):
    """A gradient does not match its function: see `fastnn.check_gradient`."""


class GuardError(RuntimeError):
    """Compiled code wrote outside its memory: see `fastnn.memory.guard`. Please report it."""


class CompilationError(ValueError):
    """A user-defined function cannot run in the compiled loop; the message says which, and why."""
