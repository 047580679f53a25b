"""The regressor."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from river import base
from river.utils import dataframe

from .. import losses
from ..activations import Activation
from ..losses import Loss
from ..optimizers import Optimizer
from ._base import StreamMLP
from ._features import REAL, is_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGE = 1e30  # of targets: from there on they go through all checks, since an int may be too large
_LOSSES = {"squared_error": losses.mse().scaled(0.5), "absolute_error": losses.mae()}


class MLPRegressor(StreamMLP, base.MiniBatchRegressor):
    """Multi-layer perceptron regressor for streams, one of river's estimators.

    Each sample is one step of the optimizer, and so is each mini-batch. A feature that was not there before
    gets weights of its own, drawn by `seed` and its number; all others stay, with what the optimizer
    remembers of them. A feature that is absent is 0, and one that was never learned is left out of
    predictions. So scale the features before, as by ``river.preprocessing.StandardScaler``, so that 0 is
    nothing special.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        As in scikit-learn.
    activation : str or Activation
        Of the hidden layers: a name, or one of `fastnn.activations`.
    loss : {"squared_error", "absolute_error"}, str or Loss
        Also a loss of `fastnn.losses` for values, such as ``fn.losses.huber(5)``.
    optimizer : str or Optimizer
        A name, or one of `fastnn.optimizers`, of which it uses a copy.
    learning_rate_init : float, >= 0
        Of an optimizer that is given by its name.
    alpha : float, >= 0
        Strength of the L2 penalty, as in scikit-learn.
    dtype : {"float32", "float64"}
        Of all arithmetic.
    seed : int, optional
        Of the weights; a random one if not given.

    Attributes
    ----------
    model : fastnn.Model or None
        The network; None before the first sample.
    features : tuple of hashable
        Names of the features so far, in the order of the network's inputs. There may be spare inputs behind.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described, a feature is no finite number, or a target is none; it is then as
        it was before the call.
    DivergenceError
        If a step is not finite; the weights are those of the step before.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics, preprocessing
    >>> from fastnn.river import MLPRegressor
    >>> network = MLPRegressor((20,), learning_rate_init=0.01, seed=0)
    >>> model = preprocessing.StandardScaler() | preprocessing.TargetStandardScaler(network)
    >>> error = evaluate.progressive_val_score(datasets.TrumpApproval(), model, metrics.MAE()).get()
    >>> error < 0.7
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation = "relu",
        *,
        loss: str | Loss = "squared_error",
        optimizer: str | Optimizer = "adam",
        learning_rate_init: float = 0.001,
        alpha: float = 0.0001,
        dtype: str = "float32",
        seed: int | None = None,
    ) -> None:
        # river's `clone` does not take an empty tuple.
        self.hidden_layer_sizes = [] if hidden_layer_sizes == () else hidden_layer_sizes
        self.activation = activation
        self.loss, self.optimizer, self.learning_rate_init = loss, optimizer, learning_rate_init
        self.alpha, self.dtype, self.seed = alpha, dtype, seed
        self._begin(1)

    def _loss(self) -> Loss:
        loss = self.loss
        found = _LOSSES[loss] if isinstance(loss, str) and loss in _LOSSES else losses.get(loss)
        if found.target != "values" or found.rowwise or found.name == "poisson":
            raise ValueError(f"loss must be for values, one for each output, got {found.name!r}")
        return found

    # ---- learning ------------------------------------------------------------------------------

    def learn_one(self, x: dict[Hashable, Any], y: float) -> None:
        """Make a step of one sample.

        Parameters
        ----------
        x : dict of hashable to number
            The features by their names.
        y : float
        """
        row, model = self._features.row(x), self._model
        if row is not None and model is not None and isinstance(y, (float, int)) and abs(y) < _LARGE:
            if model.fit_short(row, float(y)) is not None:
                return
        values, target = self._features.checked(x), _checked_target(y, self.dtype)
        self._grow(values, 1)
        assert self._model is not None
        self._model.partial_fit(self._features.some(values), target)

    def learn_many(self, X: Any, y: Any) -> None:
        """Make a step of a mini-batch.

        Parameters
        ----------
        X : DataFrame
            Of pandas, or another library that river knows; columns are features.
        y : Series
            A number for each row.
        """
        frame, values = self._features.checked_table(X)
        targets = np.asarray(dataframe.into_series(y).to_numpy())
        if len(targets) != len(values):
            raise ValueError(f"y must have one number for each of {len(values)} samples, got {len(targets)}")
        if not len(values):
            return
        checked = np.array([_checked_target(target, self.dtype) for target in targets.tolist()])
        self._grow(frame.columns, 1)
        assert self._model is not None
        self._model.partial_fit(self._features.rows(frame.columns, values), checked)

    # ---- predicting ----------------------------------------------------------------------------

    def predict_one(self, x: dict[Hashable, Any]) -> float:
        """The value that the network predicts; 0 before the first sample.

        Parameters
        ----------
        x : dict of hashable to number

        Returns
        -------
        float
        """
        if self._model is None:
            self._features.checked(x)
            return 0.0
        return float(self._output(x)[0])

    def predict_many(self, X: Any) -> Any:
        """The values that the network predicts for a mini-batch.

        Parameters
        ----------
        X : DataFrame

        Returns
        -------
        Series of float
            Of the library and with the index of X.
        """
        return dataframe.to_native_series(self._outputs(X).ravel(), name=None, like=dataframe.into_frame(X))

    def _outputs(self, X: Any) -> NDArray[Any]:
        frame, values = self._features.checked_table(X)
        if self._model is None or not len(values):
            return np.zeros(len(values), self.dtype)
        return self._model.predict(self._features.rows(frame.columns, values))


def _checked_target(y: Any, dtype: str) -> float:
    if not isinstance(y, REAL):
        raise TypeError(f"y must be a number, got {y!r:.60}")
    if not is_within(y, float(np.finfo(dtype).max)):
        raise ValueError(f"y must be finite in {dtype}, got {y!r:.60}")
    return float(y)
