"""What training changes: parameters, statistics, the optimizer's memory, and how far training has come."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..memory.buffers import OPTIMIZER, allocate
from .scan import FiniteCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# What a message says of an interrupted epoch that had another order.
_OTHER_ORDER = {
    "seed": "was shuffled with seed={}, got a reader with seed={}",
    "buffer_size": "was shuffled with buffer_size={}, got a reader with buffer_size={}",
    "blocks": "was read in blocks of other sizes, and so in another order",
    "first_samples": "began with other samples: it was over other data",
}


@dataclass(frozen=True)
class InterruptedEpoch:
    """An epoch that was interrupted: how it went through the data, and the sums so far.

    Attributes
    ----------
    n_samples, batch_size : int
        The former is 0 where an iterable gave the batches, and so was the number not known.
    shuffle : bool
    sums : float64 array
        `launch.sums`: of the loss and the metrics.
    order : dict of str to int
        What else decided about its samples and their order, where a reader or an iterable gave them: see
        `training.sources.Source.order`.
    """

    n_samples: int
    batch_size: int
    shuffle: bool
    sums: NDArray[np.float64]
    order: Mapping[str, int] = field(default_factory=dict)

    def check(
        self, n_samples: int, batch_size: int, shuffle: object, position: int, order: Mapping[str, int]
    ) -> None:
        """Raise a ValueError if the epoch cannot be resumed like this, from sample `position` on."""
        before = (self.n_samples, self.batch_size, self.shuffle)
        if 0 in (self.n_samples, n_samples) and self.n_samples != n_samples:
            kinds = ("an iterable of batches", "samples of a known number")
            one, other = kinds if self.n_samples == 0 else kinds[::-1]
            raise ValueError(f"the interrupted epoch was over {one}, and cannot be resumed over {other}")
        if n_samples == 0:
            return
        if before != (n_samples, batch_size, shuffle):
            raise ValueError(
                f"the interrupted epoch had {self.n_samples} samples, batch_size={self.batch_size} and "
                f"shuffle={self.shuffle}; with resume=True the same are needed, got {n_samples} samples, "
                f"batch_size={batch_size} and shuffle={shuffle}"
            )
        if ("seed" in self.order) != ("seed" in order):
            kinds = "arrays", "blocks of a reader"
            one, other = kinds if "seed" in order else kinds[::-1]
            raise ValueError(f"the interrupted epoch was over {one}, and cannot be resumed over {other}")
        for name, what in _OTHER_ORDER.items():
            if name in self.order and name in order and self.order[name] != order[name]:
                raise ValueError(
                    f"the interrupted epoch {what.format(self.order[name], order[name])}; give the same, or "
                    "leave out resume=True, which begins the epoch again"
                )
        if not 0 < position < n_samples or position % batch_size:
            raise ValueError(
                f"the interrupted epoch cannot be resumed from sample {position} of {n_samples} in batches "
                f"of {batch_size}; the model's position was changed since"
            )


# What cannot be replaced from outside: addresses of it stand in descriptors.
_STAYS = ("parameters", "statistics", "optimizer", "constants", "counters")


@dataclass
class State:
    """The state of a built model.

    Attributes
    ----------
    parameters : array of shape (n_parameters,)
    optimizer : array of shape (k * n_parameters,)
        The optimizer's k vectors. Like all arrays here it can be written to, but not be replaced.
    constants : array of shape (n,)
        The numbers of preprocessing layers, which training does not change.
    seed : int
        With `step` and `epoch` it determines all random numbers: they have no other state.
    counters : int64 array of shape (3,)
        `step`, `epoch` and `position`, in memory that compiled code can write to.
    interrupted_epoch : InterruptedEpoch or None
        What else is needed to resume the current epoch, if it was interrupted.
    statistics : array of shape (n,)
        Running statistics, as of `BatchNormalization`: updated by training steps, but not by the optimizer.
    callbacks : dict of str to dict, or None
        What the callbacks of the latest fit knew at its end: see `Callback.get_state`.
    """

    parameters: NDArray[Any]
    optimizer: NDArray[Any]
    constants: NDArray[Any]
    seed: int
    counters: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    interrupted_epoch: InterruptedEpoch | None = None
    callbacks: dict[str, dict[str, Any]] | None = None
    statistics: NDArray[Any] = field(default_factory=lambda: np.zeros(0))
    _check: FiniteCheck | None = field(default=None, init=False, repr=False, compare=False)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, unless compiled code relies on its address or size."""
        if name in _STAYS and value is not vars(self).get(name, value):
            raise AttributeError(
                f"{name} of a model's state cannot be replaced: networks hold its address; write into it, "
                f"model.state.{name}[...] = values"
            )
        super().__setattr__(name, value)

    @property
    def step(self) -> int:
        """Updates since the optimizer was new."""
        return int(self.counters[0])

    @step.setter
    def step(self, value: int) -> None:
        self.counters[0] = value

    @property
    def epoch(self) -> int:
        """Epochs finished since the model was built."""
        return int(self.counters[1])

    @epoch.setter
    def epoch(self, value: int) -> None:
        self.counters[1] = value

    @property
    def position(self) -> int:
        """Samples of the current epoch that are done."""
        return int(self.counters[2])

    @position.setter
    def position(self, value: int) -> None:
        self.counters[2] = value

    def write(self, fields: Any) -> None:
        """Write the counters into the fields of a descriptor."""
        fields.seed = self.seed
        fields.step, fields.epoch, fields.position = self.counters.tolist()

    def read(self, fields: Any) -> None:
        """Take the counters from the fields of a descriptor."""
        self.counters[:] = fields.step, fields.epoch, fields.position

    def copy(self, memory: State | None = None) -> State:
        """A state of its own memory: that of `memory` where it fits, since new memory costs time."""
        optimizer = self.optimizer  # once: another thread may replace it
        if memory is None or memory.optimizer.size != optimizer.size:
            return replace(
                self,
                parameters=self.parameters.copy(),
                statistics=self.statistics.copy(),
                optimizer=optimizer.copy(),
                counters=self.counters.copy(),
            )
        memory.restore(self)
        return memory

    def to_dict(self, with_parameters: bool) -> dict[str, Any]:
        """A copy in terms of built-in types and arrays, for pickles.

        Parameters and running statistics may be left empty.
        """
        epoch = self.interrupted_epoch
        return {
            "parameters": self.parameters[: None if with_parameters else 0].copy(),
            "statistics": self.statistics[: None if with_parameters else 0].copy(),
            "optimizer": self.optimizer.copy(),
            "constants": self.constants.copy(),
            "seed": self.seed,
            "counters": self.counters.copy(),
            "interrupted_epoch": None if epoch is None else asdict(epoch),
            "callbacks": self.callbacks,
        }

    @classmethod
    def from_dict(cls, kept: dict[str, Any], parameters: NDArray[Any], statistics: NDArray[Any]) -> State:
        """The state that `to_dict` copied, with these parameters and statistics and memory of its own."""
        optimizer = allocate(kept["optimizer"].size, kept["optimizer"].dtype.name, OPTIMIZER)
        optimizer[...] = kept["optimizer"]
        epoch = kept["interrupted_epoch"]
        return cls(
            parameters,
            optimizer,
            np.array(kept["constants"]),
            kept["seed"],
            np.array(kept["counters"]),
            None if epoch is None else InterruptedEpoch(**epoch | {"sums": np.array(epoch["sums"])}),
            kept["callbacks"],
            statistics,
        )

    def restore(self, other: State) -> None:
        """Become equal to `other`; the parameters stay where they are."""
        optimizer = other.optimizer  # once: another thread may replace it
        self.parameters[...], self.statistics[...] = other.parameters, other.statistics
        self._resize_optimizer(optimizer.size)[...] = optimizer
        self.counters[...], self.interrupted_epoch = other.counters, other.interrupted_epoch

    def weights(self) -> NDArray[Any]:
        """A copy of what a prediction depends on: the parameters, and behind them the running statistics."""
        return np.concatenate([self.parameters, self.statistics])

    def set_weights(self, weights: NDArray[Any]) -> None:
        """Take over what `weights` gave."""
        self.parameters[...], self.statistics[...] = np.split(weights, [self.parameters.size])

    def optimizer_vectors(self, count: int) -> NDArray[Any]:
        """`optimizer`; with another number of vectors than `count`, so many new ones.

        Called between two changes (`WeightsLock.exclusive`): a step that is under way knows the earlier ones.
        """
        return self._resize_optimizer(count * self.parameters.size)

    def forget_optimizer(self) -> None:
        """Reset the optimizer; see `optimizer_vectors`."""
        vars(self)["optimizer"] = np.zeros(0, self.parameters.dtype)
        self.step = 0

    def take_constants(self, numbers: NDArray[Any]) -> None:
        """Become these constants; of another size only where no network reads them yet."""
        if self.constants.size == numbers.size:
            self.constants[...] = numbers
        else:
            vars(self)["constants"] = numbers

    def is_finite(self) -> bool:
        """Whether the parameters, the running statistics and what the optimizer remembers are finite."""
        check = self._check
        if check is None or check.arrays[-1] is not self.optimizer:
            check = self._check = FiniteCheck(self.parameters, self.statistics, self.optimizer)
        return check()

    def _resize_optimizer(self, size: int) -> NDArray[Any]:
        if self.optimizer.size != size:
            vars(self)["optimizer"] = allocate(size, self.parameters.dtype.name, OPTIMIZER)
        return self.optimizer
