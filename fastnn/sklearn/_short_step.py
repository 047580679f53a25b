"""Steps of `partial_fit` that are like the one before: what was checked then holds for them, too."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..activations import Activation
from ..losses import Loss
from ..model import Model
from ..optimizers import Optimizer
from ..schedules import Schedule
from ..user_functions import UserActivation
from ._base import BaseMLP
from ._stopping import EpochEnd

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Values of parameters that stay what they are while an estimator has them, as far as steps depend on it.
_FIXED = (
    *(int, float, str, type, type(None), np.generic, np.dtype, np.random.RandomState),
    *(Activation, Loss, Optimizer, Schedule),
)
_AUTO_BATCH = 200


class _Step(NamedTuple):
    """A step: the parameters, what X and y were, and the model."""

    get: Callable[[Any], tuple[Any, ...]]
    parameters: tuple[Any, ...]
    kind: tuple[Any, ...]
    model: Model
    arrays: list[Any]


class SteppingMLP(BaseMLP):
    """Base of both estimators: `BaseMLP` with steps that need no more checks.

    scikit-learn's checks of parameters, samples and targets take a millisecond. What they found of one step
    holds for the next where the parameters are the same, and X and y arrays of the same kind; numbers are
    checked by the model. Everything else is left to all checks, which say what is wrong.
    """

    _step: _Step | None = None
    _no_improvement_count: int

    def _learn_step(self, X: Any, y: Any) -> None:
        """Know the kind of X and y, by which a step was made after all checks."""
        self._step = None
        get = operator.attrgetter(*self._get_param_names())
        parameters = get(self)
        if (
            type(X) is type(y) is np.ndarray
            and X.dtype.name == self.model_.dtype
            and self._may_learn(y)
            and not hasattr(self, "feature_names_in_")
            and not (self.early_stopping or self.warm_start or self.callbacks or self.threads)
            and getattr(self, "class_weight", None) is None
            and all(map(_is_fixed, parameters))
            and not any(isinstance(kind, UserActivation) for kind in self._made_of.activations)
        ):
            self._step = _Step(get, parameters, _kind(X, y), self.model_, _arrays(self))

    def _step_short(self, X: Any, y: Any) -> bool:
        """Make a step of all samples if it is like the one before; otherwise nothing changes."""
        step = self._step
        if step is None or not type(X) is type(y) is np.ndarray or _kind(X, y) != step.kind:
            return False
        n, model = len(X), step.model
        rows = min(n, _AUTO_BATCH) if self.batch_size == "auto" else self.batch_size
        if (
            not n == len(y) == rows
            or not _are_same(step.get(self), step.parameters)
            or not _are_same(_arrays(self), step.arrays)
            or getattr(self, "model_", None) is not model
            or self._optimizer is not model.optimizer
            or getattr(self, "n_features_in_", None) != X.shape[1]
            or hasattr(self, "feature_names_in_")
        ):
            return False
        numbers = self._short_targets(y)
        if numbers is None or model.fit_short(X, self._targets(numbers, X.dtype)) is None:
            return False
        epoch_end = EpochEnd(self, n, None, True, self._no_improvement_count, model.parameters)
        epoch_end.model = model
        epoch_end.on_train_begin()
        epoch_end.take()
        self._no_improvement_count = epoch_end.no_improvement
        self._best_parameters = epoch_end.best_parameters
        return True

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_step", None)
        return state

    # ---- defined by the classifier and the regressor --------------------------------------------

    def _may_learn(self, y: NDArray[Any]) -> bool:
        """Whether `_short_targets` can do all that the checks do for targets of this kind."""
        raise NotImplementedError

    def _short_targets(self, y: NDArray[Any]) -> NDArray[Any] | None:
        """Targets of shape (n, n_targets), as for `_targets`; None if all checks must see them."""
        raise NotImplementedError


def _kind(X: NDArray[Any], y: NDArray[Any]) -> tuple[Any, ...]:
    """What must be the same of samples and targets."""
    return X.dtype, X.shape[1:], y.dtype, y.shape[1:]


def _arrays(estimator: BaseMLP) -> list[Any]:
    return [*getattr(estimator, "coefs_", ()), *getattr(estimator, "intercepts_", ())]


def _is_fixed(value: Any) -> bool:
    return all(map(_is_fixed, value)) if type(value) is tuple else isinstance(value, _FIXED)


def _are_same(values: Any, others: Any) -> bool:
    """Whether these are the very same objects."""
    return len(values) == len(others) and all(map(operator.is_, values, others))
