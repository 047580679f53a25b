"""Losses, by name or with a setting.

Wherever a loss is expected, its name will do: ``fn.Model(layers, loss="mse")``. The functions here
are for losses with a setting: ``loss=fn.losses.huber(delta=0.5)``. Keras's names
(``mean_squared_error``, ``sparse_categorical_crossentropy``, ...) are accepted too: see `ALIASES`.

The loss of a batch is the mean of the losses of its rows, weighted by `sample_weight` if it is given
(``sum(w * loss) / sum(w)``, like `numpy.average`); only `sse` is the plain sum. A row's loss is the
mean over the outputs where there are several; where each output has a weight of its own, the mean is over the
outputs of all rows. A last activation that belongs to a loss is computed together with it: see
`fastnn.layers.head`.

To add one: its kernel in ``kernels/training/loss.py``, a function here, a line in `TABLE`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from .checks import pickled, shown, validate

__all__ = [
    "Loss",
    "binary_cross_entropy",
    "cross_entropy",
    "huber",
    "mae",
    "mse",
    "nll",
    "poisson",
    "quantile",
    "sse",
]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Loss:
    """What the engine needs to know about a loss.

    Attributes
    ----------
    name : str
        Name in `TABLE`.
    kernel : str
        Where its kernels are: ``"training.loss.mse"``.
    settings : dict of str to float
        Numbers that are passed to the kernel.
    target : {"values", "classes", "shares"}
        What a target is: any numbers; a class (its number, or a share for each class); or a number from 0 to
        1 for each output.
    is_sum : bool
        Whether the loss of a batch is the sum over its rows, not the mean.
    accuracy_threshold : float
        The value of what the kernel reads that separates two classes; NaN if the largest output wins.
    low : float
        Smallest value that a target may have.
    factor : float
        What the loss and its gradient are multiplied by.
    missing_targets : {"raise", "ignore"}
        Whether a target may be NaN, and is then ignored.
    reported : str
        Kernels for training and evaluation if the reported loss differs from the one that is minimized; the
        loss of an epoch is then the mean of its batches' losses, as in scikit-learn. Not saved.
    """

    name: str
    kernel: str
    settings: dict[str, float]
    target: str = "values"
    is_sum: bool = False
    accuracy_threshold: float = field(default=0.5, compare=False)  # a NaN is not equal to its copy
    low: float = -math.inf
    factor: float = 1.0
    missing_targets: str = "raise"
    reported: str = field(default="", repr=False)

    def as_reported(self) -> Loss:
        """The loss as training and evaluation compute it."""
        return replace(self, kernel=self.reported or self.kernel)

    def config(self) -> dict[str, Any]:
        """Name and settings, as they are saved."""
        factor = {} if self.factor == 1 else {"factor": self.factor}
        missing = {} if self.missing_targets == "raise" else {"missing_targets": self.missing_targets}
        return {"name": self.name, **self.settings, **factor, **missing}

    def __repr__(self) -> str:
        text = shown.spec(self.name, self.settings, TABLE)
        if self.factor == 1:
            return text
        return f"{text if text.endswith(')') else f'{self.name}()'}.scaled({self.factor!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy."""
        return pickled.by_config(self, get, TABLE)

    def scaled(self, factor: float) -> Loss:
        """The same loss times `factor`.

        Parameters
        ----------
        factor : float, > 0

        Examples
        --------
        >>> import fastnn as fn
        >>> half = fn.Model([fn.Dense(1)], loss=fn.losses.mse().scaled(0.5), seed=0).build(1)
        >>> half.layers[0].weights = [[0]]
        >>> half.evaluate([[1.0]], [2.0])
        {'loss': 2.0}
        """
        return replace(self, factor=self.factor * validate.number("factor", factor, above=0.0))


def mse() -> Loss:
    """Mean squared error, ``(y - t)**2``."""
    return Loss("mse", "training.loss.mse", {})


def sse() -> Loss:
    """Sum of squared errors over all rows and outputs: a sum, not a mean."""
    return Loss("sse", "training.loss.sse", {}, is_sum=True)


def mae() -> Loss:
    """Mean absolute error, ``abs(y - t)``; its derivative at 0 is taken as 0."""
    return Loss("mae", "training.loss.mae", {})


def huber(delta: float = 1.0) -> Loss:
    """``e**2 / 2`` for errors e of at most `delta`, ``delta * (abs(e) - delta / 2)`` for larger ones.

    P. Huber, *Robust estimation of a location parameter*, Ann. Math. Statist. 35 (1964).

    Parameters
    ----------
    delta : float, > 0
        In units of the target.
    """
    return Loss("huber", "training.loss.huber", {"delta": validate.number("delta", delta, above=0.0)})


def quantile(q: float = 0.5) -> Loss:
    """Pinball loss: ``q * e`` for ``e = t - y >= 0``, else ``(q - 1) * e``.

    Its smallest value is reached by the `q` quantile of the target: R. Koenker, G. Bassett,
    *Regression quantiles*, Econometrica 46 (1978).

    Parameters
    ----------
    q : float, 0 < q < 1
    """
    return Loss("quantile", "training.loss.quantile", {"q": validate.number("q", q, above=0.0, below=1.0)})


def poisson() -> Loss:
    """Poisson deviance up to a constant, ``exp(y) - t * y``, for counts t; y is the log of the rate."""
    return Loss("poisson", "training.loss.poisson", {}, low=0.0)


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """``-sum(t * log(softmax(y)))``, from logits y; after a softmax, from the logits that go into it.

    Targets are class numbers of shape (n,) or (n, 1), or shares of shape (n, n_out), one-hot or soft.

    Parameters
    ----------
    label_smoothing : float, 0 <= label_smoothing < 1
        This share of the target is spread evenly over all classes: C. Szegedy et al., *Rethinking
        the Inception architecture for computer vision*, CVPR 2016, section 7.
    """
    smoothing = validate.number("label_smoothing", label_smoothing, low=0.0, below=1.0)
    settings = {"label_smoothing": smoothing}
    return Loss(
        "cross_entropy", "training.loss.cross_entropy", settings, "classes", accuracy_threshold=math.nan
    )


def nll() -> Loss:
    """Negative log-likelihood, ``-sum(t * y)``, from log-probabilities y; targets as `cross_entropy`.

    For a network that ends in log_softmax, or in softmax: then the logarithms of its probabilities are taken.
    """
    return Loss("nll", "training.loss.nll", {}, "classes", accuracy_threshold=math.nan)


def binary_cross_entropy(pos_weight: float = 1.0) -> Loss:
    """``-t * log(p) - (1 - t) * log(1 - p)`` with ``p = sigmoid(y)``, from logits y.

    After a last activation sigmoid the output is p, and the loss is the same.

    Parameters
    ----------
    pos_weight : float, > 0
        What the first term is multiplied by: the weight of positive labels. For a weight per label, use
        `class_weight` of `Model.fit`.
    """
    pos_weight = validate.number("pos_weight", pos_weight, above=0.0)
    settings, kernel = {"pos_weight": pos_weight}, "training.loss.weighted_binary_cross_entropy"
    if pos_weight == 1:
        settings, kernel = {}, "training.loss.binary_cross_entropy"
    return Loss("binary_cross_entropy", kernel, settings, "shares", accuracy_threshold=0.0, low=0.0)


TABLE: dict[str, Any] = {
    function.__name__: function
    for function in (mse, sse, mae, huber, quantile, poisson, cross_entropy, nll, binary_cross_entropy)
}

#: Names that other libraries use for these. Files never contain them: user-defined losses may have them.
ALIASES = {
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
}


def get(loss: str | dict[str, Any] | Loss) -> Loss:
    """The loss of a name, a saved configuration, or a loss itself."""
    factor, missing = 1.0, "raise"
    if isinstance(loss, str) and loss not in TABLE:
        loss = ALIASES.get(loss, loss)
    if isinstance(loss, dict):
        loss = dict(loss)
        factor = loss.pop("factor", 1.0)
        missing = loss.pop("missing_targets", "raise")
    found: Loss = validate.from_table("loss", loss, TABLE, Loss)
    found = found if missing == "raise" else with_missing(found, missing)
    return found if factor == 1 else found.scaled(factor)


def with_missing(loss: Loss | None, missing_targets: Any) -> Loss:
    """The same loss, with another setting of `missing_targets`."""
    if loss is None:
        raise ValueError(
            f"missing_targets={missing_targets!r} needs a loss; give one: fn.Model(layers, loss=...)"
        )
    if missing_targets not in ("raise", "ignore"):
        raise ValueError(f"missing_targets must be 'raise' or 'ignore', got {missing_targets!r}")
    return replace(loss, missing_targets=missing_targets)
