"""The classifier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from .. import losses
from ..losses import Loss
from ._base import has_partial_fit
from ._solvers import TrainableMLP

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class MLPClassifier(ClassifierMixin, TrainableMLP):
    """Multi-layer perceptron classifier, like `sklearn.neural_network.MLPClassifier` and with more options.

    Binary, multiclass and multilabel. All parameters, attributes and methods of scikit-learn's class have
    the same meaning and defaults, and the same `random_state` gives the same result up to rounding.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, \
max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, \
validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in scikit-learn. `activation` may also be the name of any activation of fastnn, one of
        `fastnn.activations`, or a sequence with one for each hidden layer.
    dropout : float or sequence of float, 0 <= dropout < 1
        Fraction of the outputs of each hidden layer that is set to 0 during training.
    class_weight : dict, list of dict or "balanced", optional
        Weights of the classes, as in other classifiers of scikit-learn.
    optimizer : str or Optimizer, optional
        Used instead of `solver`: the name of a fastnn optimizer, with `learning_rate_init` as its rate, or
        one of `fastnn.optimizers`, with its own rate.
    schedule : Schedule, optional
        Used instead of the learning rate, with any optimizer: one of `fastnn.schedules`. Steps are batches.
    callbacks : sequence of Callback or function, optional
        Called between epochs: see `fastnn.callbacks`. Their ``model`` is `model_`.
    dtype : {"float32", "float64"}, optional
        Of the weights and of all arithmetic; that of `X` if not given, float64 for integers.
        ``solver="lbfgs"`` always computes in float64.
    threads : int, optional
        Number of threads, as for `fastnn.Model.fit`; it does not change a bit of the result.
    scoring : str or callable, optional
        What `early_stopping` monitors: the name of a scorer of scikit-learn, or a function of
        ``(estimator, X, y)``, and of `sample_weight` if that is given; larger is better. "loss" is the
        negated loss of the validation set. By default it is what `score` returns.

    Attributes
    ----------
    classes_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, coefs_, \
intercepts_, n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_, out_activation_
        As in scikit-learn. The arrays in `coefs_` and `intercepts_` are views into the model: predictions use
        what is written into them, or assigned.
    validation_loss_curve_ : list of float or None
        Loss of the validation set passed to `fit`, after each epoch, without the penalty.
    model_ : fastnn.Model
        The network, whose outputs are logits: for `save`, for other formats, for compiled code.

    Raises
    ------
    InvalidParameterError, ValueError, NotFittedError
        As in scikit-learn; ValueError also for parameters that contradict each other.

    Examples
    --------
    >>> from fastnn.sklearn import MLPClassifier
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_wine(return_X_y=True)
    >>> network = MLPClassifier((32, 32), ["relu", "tanh"], dropout=0.1, max_iter=500, random_state=0)
    >>> make_pipeline(StandardScaler(), network).fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.95
    True
    """

    loss = "log_loss"
    classes_: NDArray[Any]

    _parameter_constraints = {
        **TrainableMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        class_weight: Any = None,
        optimizer: Any = None,
        schedule: Any = None,
        callbacks: Any = None,
        dtype: Any = None,
        threads: int | None = None,
        scoring: Any = None,
    ) -> None:
        self._take_parameters(locals())

    # ---- fitting -------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> MLPClassifier:
        """Train.

        Parameters
        ----------
        X : array, DataFrame or sparse matrix of shape (n_samples, n_features)
            A sparse one is made dense, as a whole.
        y : array of shape (n_samples,), or (n_samples, n_outputs) of 0 and 1 for several labels
            Classes of any kind.
        sample_weight : array of shape (n_samples,), optional
            Numbers >= 0.
        X_val, y_val, sample_weight_val : arrays, optional
            A validation set, for `validation_loss_curve_`. With `early_stopping` its score decides, and
            nothing is split off.

        Returns
        -------
        MLPClassifier
            Itself.
        """
        self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @available_if(has_partial_fit)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> MLPClassifier:
        """Train for one epoch on the given data, from where training stands.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array of shape (n_classes,), optional
            All that will occur; needed in the first call.

        Returns
        -------
        MLPClassifier
            Itself.
        """
        same = classes is None or (hasattr(self, "classes_") and np.array_equal(classes, self.classes_))
        if same and sample_weight is None and self._step_short(X, y):
            return self
        self._validate_params()
        if isinstance(self.class_weight, str):
            raise ValueError("class_weight='balanced' needs all data at once; give a dict to partial_fit")
        if _check_partial_fit_first_call(self, classes):
            labels = y if type_of_target(y).startswith("multilabel") else classes
            self._label_binarizer = LabelBinarizer().fit(labels)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any, Any]:
        X, y = self._validate_arrays(X, y, reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y))
        weight = None if self.class_weight is None else compute_sample_weight(self.class_weight, y)
        return X, self._encoded(y), weight

    def _encoded(self, y: NDArray[Any]) -> NDArray[Any]:
        """Class numbers, of shape (n, 1); for several labels 0 and 1, of shape (n, n_outputs)."""
        if self._label_binarizer.y_type_.startswith("multilabel"):
            labels: NDArray[Any] = self._label_binarizer.transform(y)
            return labels
        return np.searchsorted(self.classes_, y)[:, np.newaxis]

    def _count_outputs(self, y: NDArray[Any]) -> int:
        return len(self.classes_) if self._out_activation() == "softmax" else y.shape[1]

    def _check_classes(self, classes: NDArray[Any]) -> None:
        """Reject classes for which the network has no output, and any other classes in a warm start."""
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to "
                    f"fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )

    def _validate_validation(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = self._validate_arrays(X, y, reset=False)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if len(unknown):
            raise ValueError(f"y_val has classes that y has not: {unknown}")
        return X, self._encoded(y)

    def _out_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _model_loss(self, n_outputs: int) -> Loss:
        if self.out_activation_ == "softmax":
            return replace(losses.cross_entropy(), reported="training.reported_loss.log_loss")
        loss = replace(losses.binary_cross_entropy(), reported="training.reported_loss.binary_log_loss")
        return loss.scaled(n_outputs)  # the sum over labels

    def _targets(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        return y.astype(dtype)

    def _may_learn(self, y: NDArray[Any]) -> bool:
        return y.ndim == 1 and y.dtype.kind in "bui" and y.dtype.kind == self.classes_.dtype.kind

    def _short_targets(self, y: NDArray[Any]) -> NDArray[Any] | None:
        numbers = np.searchsorted(self.classes_, y)
        known = self.classes_.take(numbers, mode="clip") == y
        return numbers[:, np.newaxis] if known.all() else None

    def _as_given(self, y: NDArray[Any]) -> NDArray[Any]:
        given: NDArray[Any] = (
            y if self._label_binarizer.y_type_.startswith("multilabel") else self.classes_[y[:, 0]]
        )
        return given

    def _held_out_score(self, outputs: NDArray[Any], y: NDArray[Any], weight: Any) -> float:
        if self.out_activation_ == "softmax":
            right = outputs.argmax(axis=1) == y[:, 0]
        elif len(self.classes_) == 1:
            right = np.ones(len(y), bool)  # whatever the probabilities are
        else:
            right = ((outputs > 0) == y).all(axis=1)
        return float(np.average(right, weights=weight))

    # ---- predicting ----------------------------------------------------------------------------

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable classes.

        Parameters
        ----------
        X : array, DataFrame or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,), or (n_samples, n_outputs) for several labels
        """
        probabilities = self._probabilities(X)
        if self.n_outputs_ == 1:
            probabilities = probabilities.ravel()
        classes: NDArray[Any] = self._label_binarizer.inverse_transform(probabilities)
        return classes

    def _probabilities(self, X: ArrayLike) -> NDArray[Any]:
        """Of shape (n_samples, n_outputs)."""
        outputs = self._raw_outputs(X)
        if self.out_activation_ == "softmax":
            return np.asarray(softmax(outputs, axis=1))
        return np.asarray(expit(outputs))

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Probabilities of the classes, in the order of `classes_`.

        Parameters
        ----------
        X : array, DataFrame or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes), of the dtype of the weights
        """
        probabilities = self._probabilities(X)
        if self.n_outputs_ == 1:
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

    def predict_log_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Logarithms of `predict_proba`; minus infinity where a probability is 0.

        Parameters
        ----------
        X : array, DataFrame or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes), of the dtype of the weights
        """
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(probabilities, out=probabilities))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
