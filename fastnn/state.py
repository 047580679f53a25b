"""What training changes: parameters, the optimizer's memory, and how far training has come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .kernels import descriptor as d

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Pause:
    """An epoch that was interrupted: how the data was walked through, and the sums so far.

    Attributes
    ----------
    n_samples, batch_size : int
    shuffle : bool
    sums : float64 array
        `network.sums`: of the loss and the metrics.
    """

    n_samples: int
    batch_size: int
    shuffle: bool
    sums: NDArray[np.float64]

    def check(self, n_samples: int, batch_size: int, shuffle: object) -> None:
        """Raise a ValueError if the epoch cannot go on so."""
        before = (self.n_samples, self.batch_size, self.shuffle)
        if before != (n_samples, batch_size, shuffle):
            raise ValueError(
                f"the interrupted epoch had {self.n_samples} samples, batch_size={self.batch_size} and "
                f"shuffle={self.shuffle}; with resume=True the same are needed, got {n_samples} samples, "
                f"batch_size={batch_size} and shuffle={shuffle}"
            )


@dataclass
class State:
    """The state of a built model.

    Attributes
    ----------
    parameters : array of shape (n_parameters,)
    optimizer : array of shape (k * n_parameters,)
        The optimizer's k vectors.
    constants : array of shape (n,)
        The numbers of preprocessing layers, which training does not change.
    seed : int
        With `step` and `epoch` it determines all random numbers: they have no other state.
    step : int
        Updates since the optimizer was new.
    epoch : int
        Epochs finished since the model was built.
    position : int
        Samples of the current epoch that are done.
    pause : Pause or None
        What else is needed to go on with that epoch, if it was interrupted.
    """

    parameters: NDArray[Any]
    optimizer: NDArray[Any]
    constants: NDArray[Any]
    seed: int
    step: int = 0
    epoch: int = 0
    position: int = 0
    pause: Pause | None = None

    def write(self, slots: NDArray[Any]) -> None:
        """Write the counters into a descriptor."""
        slots[d.SEED], slots[d.STEP] = self.seed, self.step
        slots[d.EPOCH], slots[d.POSITION] = self.epoch, self.position

    def read(self, slots: NDArray[Any]) -> None:
        """Take the counters from a descriptor."""
        self.step, self.epoch, self.position = int(slots[d.STEP]), int(slots[d.EPOCH]), int(slots[d.POSITION])

    def copy(self, memory: State | None = None) -> State:
        """A state of its own memory: that of `memory` where it fits, since new memory costs time."""
        if memory is None or memory.optimizer.size != self.optimizer.size:
            return replace(self, parameters=self.parameters.copy(), optimizer=self.optimizer.copy())
        memory.restore(self)
        return memory

    def restore(self, other: State) -> None:
        """Become equal to `other`; the parameters stay where they are."""
        self.parameters[...] = other.parameters
        if self.optimizer.size == other.optimizer.size:
            self.optimizer[...] = other.optimizer
        else:
            self.optimizer = other.optimizer.copy()
        self.step, self.epoch = other.step, other.epoch
        self.position, self.pause = other.position, other.pause
