"""Losses, by name or with a setting.

Wherever a loss is expected, its name will do: ``fn.Model(layers, loss="mse")``. The functions here
are for losses with a setting: ``loss=fn.losses.huber(delta=0.5)``. Keras's names
(``mean_squared_error``, ``sparse_categorical_crossentropy``, ...) are accepted too: see `ALIASES`.

Some look at a row of outputs as a whole, where several of them say what one target is: the mean and the
variance of `gaussian_nll`. With several targets, outputs are blocks with a number for each: all means, then
all variances. `fastnn.Model.predict_distribution` names what such outputs mean.

The loss of a batch is the mean of the losses of its rows, weighted by `sample_weight` if it is given
(``sum(w * loss) / sum(w)``, like `numpy.average`); only `sse` is the plain sum. A row's loss is the
mean over the outputs where there are several; where each output has a weight of its own, the mean is over the
outputs of all rows. A last activation that belongs to a loss is computed together with it: see
`fastnn.layers.head`.

To add one: its kernel in ``kernels/training/loss.py``, or in ``row_loss.py`` for one over a row, a function
here, a line in `TABLE`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .checks import pickled, shown, validate

__all__ = [
    "Loss",
    "binary_cross_entropy",
    "corn",
    "cosine_similarity",
    "cross_entropy",
    "focal",
    "gaussian_nll",
    "hinge",
    "huber",
    "kl_divergence",
    "mae",
    "mixture_density",
    "mse",
    "nll",
    "poisson",
    "quantile",
    "quantiles",
    "squared_hinge",
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
    settings : dict of str to float or tuple of float
        Numbers that are passed to the kernel.
    target : {"values", "classes", "shares", "signs", "ranks"}
        What a target is: any numbers; a class (its number, or a share for each class); a number from 0 to
        1 for each output; one of two classes for each, as -1 and 1 or as 0 and 1; or the number of one class
        of several that are in an order.
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
    rowwise : bool
        Whether it looks at a row as a whole: outputs have no weights of their own then.
    blocks, apart : int
        For n targets there are ``blocks * (n + apart)`` outputs.
    n_columns : int or None
        How many columns a target has, whatever the outputs.
    is_distribution : bool
        Whether shares of classes must sum to 1.
    reported : str
        Kernels for training and evaluation if the reported loss differs from the one that is minimized; the
        loss of an epoch is then the mean of its batches' losses, as in scikit-learn. Not saved.
    """

    name: str
    kernel: str
    settings: dict[str, Any]
    target: str = "values"
    is_sum: bool = False
    accuracy_threshold: float = field(default=0.5, compare=False)  # a NaN is not equal to its copy
    low: float = -math.inf
    factor: float = 1.0
    missing_targets: str = "raise"
    rowwise: bool = False
    blocks: int = 1
    apart: int = 0
    n_columns: int | None = None
    is_distribution: bool = False
    reported: str = field(default="", repr=False)

    def as_reported(self) -> Loss:
        """The loss as training and evaluation compute it."""
        return replace(self, kernel=self.reported or self.kernel)

    @property
    def pairs_outputs(self) -> bool:
        """Whether there is a target for each output, so that they can be compared one by one."""
        return self.blocks == 1 and self.apart == 0 and self.n_columns is None and self.target != "ranks"

    def n_targets(self, n_out: int) -> int:
        """How many columns targets have for so many outputs; a ValueError if it has no use for so many."""
        if self.n_columns is not None:
            return self.n_columns
        count = 1 if self.target == "ranks" else n_out // self.blocks - self.apart
        if count < 1 or (self.target != "ranks" and self.blocks * (count + self.apart) != n_out):
            each = f"({self.apart} + n_targets)" if self.apart else "n_targets"
            raise ValueError(
                f"{self.name!r} needs {self.blocks} * {each} outputs, as for one target "
                f"fn.Dense({self.blocks * (1 + self.apart)}), the last layer gives {n_out}"
            )
        return count

    def n_classes(self, n_out: int) -> int:
        """Of how many classes a target may be the number, for so many outputs; 0 if it is none."""
        return {"classes": n_out, "ranks": n_out + 1}.get(self.target, 0)

    def numbers(self) -> list[float]:
        """The settings as the kernel gets them, one behind the other."""
        values = [value if isinstance(value, tuple) else (value,) for value in self.settings.values()]
        return [number for own in values for number in own]

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


def hinge() -> Loss:
    """``max(0, 1 - t * y)``, of scores y, for classes t: -1 and 1, or 0 and 1 for each output."""
    return Loss("hinge", "training.loss.hinge", {}, "signs", accuracy_threshold=0.0)


def squared_hinge() -> Loss:
    """``max(0, 1 - t * y)**2``: see `hinge`."""
    return Loss("squared_hinge", "training.loss.squared_hinge", {}, "signs", accuracy_threshold=0.0)


def focal(gamma: float = 2.0, alpha: float = 0.25) -> Loss:
    """``-alpha * sum(t * (1 - p)**gamma * log(p))`` with ``p = softmax(y)``: easy samples count less.

    Logits and targets as for `cross_entropy`. T.-Y. Lin et al., *Focal loss for dense object detection*, ICCV
    2017; in Keras ``categorical_focal_crossentropy``.

    Parameters
    ----------
    gamma : float, >= 0
    alpha : float, > 0
    """
    gamma, alpha = validate.number("gamma", gamma, low=0.0), validate.number("alpha", alpha, above=0.0)
    return _of_row("focal", {"gamma": gamma, "alpha": alpha}, "classes", accuracy_threshold=math.nan)


def kl_divergence() -> Loss:
    """``sum(t * log(t / p))`` with ``p = softmax(y)``, from logits y, for distributions t over the classes.

    A row of the target sums to 1; the number of a class stands for a distribution as well.
    """
    return _of_row("kl_divergence", {}, "classes", accuracy_threshold=math.nan, is_distribution=True)


def cosine_similarity() -> Loss:
    """Minus the cosine of the angle between outputs and targets of a row; 0 if one of both is all zeros."""
    return _of_row("cosine_similarity", {})


def gaussian_nll(eps: float = 1e-6, full: bool = False) -> Loss:
    """``(log(v) + (t - m)**2 / v) / 2`` of a mean m and a variance v; outputs are m and ``log(v)``.

    The negative log-likelihood of a normal distribution: D. A. Nix, A. S. Weigend, *Estimating the mean and
    variance of the target probability distribution*, ICNN 1994. For n targets there are 2 n outputs.

    Parameters
    ----------
    eps : float, > 0
        A smaller variance counts as this one, in units of the target squared; it can then only become larger.
    full : bool
        Whether to add ``log(2 * pi) / 2``.
    """
    settings = {"eps": validate.number("eps", eps, above=0.0), "full": validate.boolean("full", full)}
    return _of_row("gaussian_nll", settings, blocks=2)


def quantiles(levels: Sequence[float] = (0.1, 0.5, 0.9), noncrossing: bool = False) -> Loss:
    """Pinball loss of several quantiles at once, the mean over them: see `quantile`.

    Parameters
    ----------
    levels : sequence of float, 0 < level < 1
        In ascending order, 32 at most. For n targets there are ``n * len(levels)`` outputs.
    noncrossing : bool
        Whether each quantile but the first is the one below it plus softplus of its output: then none is
        below another, and `fastnn.Model.predict_distribution` computes them of the outputs.
    """
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise TypeError(f"levels must be a sequence of numbers, got {levels!r}")
    given = tuple(validate.number("a level", level, above=0.0, below=1.0) for level in levels)
    if not 1 <= len(given) <= _MOST_LEVELS:
        raise ValueError(f"levels must be 1 to {_MOST_LEVELS} numbers, got {len(given)}")
    if list(given) != sorted(set(given)):
        raise ValueError(f"levels must be in ascending order, each once, got {given}")
    settings = {"noncrossing": validate.boolean("noncrossing", noncrossing), "levels": given}
    return _of_row("quantiles", settings, blocks=len(given))


def mixture_density(components: int = 3, eps: float = 1e-6) -> Loss:
    """Negative log-likelihood of a mixture of normal distributions, each of one variance for all targets.

    Outputs are the logits of their weights, the logarithms of their variances, then for each target their
    means: ``components * (2 + n)`` for n targets. C. M. Bishop, *Mixture density networks*, 1994.

    Parameters
    ----------
    components : int
    eps : float, > 0
        As for `gaussian_nll`.
    """
    count = validate.integer("components", components, low=1)
    settings = {"components": count, "eps": validate.number("eps", eps, above=0.0)}
    return _of_row("mixture_density", settings, blocks=count, apart=2)


def corn() -> Loss:
    """Negative log-likelihood of classes in an order, 0 ... n_out: ``P(t > j | t >= j) = sigmoid(y[j])``.

    X. Shi, W. Cao, S. Raschka, *Deep neural networks for rank-consistent ordinal regression based on
    conditional probabilities*, 2021. There is one output less than classes.
    """
    return _of_row("corn", {}, "ranks")


def _of_row(name: str, settings: dict[str, Any], target: str = "values", **more: Any) -> Loss:
    return Loss(name, f"training.row_loss.{name}", settings, target, rowwise=True, **more)


_MOST_LEVELS = 32

TABLE: dict[str, Any] = {
    function.__name__: function
    for function in (
        mse, sse, mae, huber, quantile, poisson, cross_entropy, nll, binary_cross_entropy, hinge,
        squared_hinge, focal, kl_divergence, cosine_similarity, gaussian_nll, quantiles, mixture_density, corn
    )
}  # fmt: skip

#: Names that other libraries use for these. Files never contain them: user-defined losses may have them.
ALIASES = {
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "categorical_focal_crossentropy": "focal",
    "kullback_leibler_divergence": "kl_divergence",
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
    validate.choice("missing_targets", missing_targets, ("raise", "ignore"))
    return replace(loss, missing_targets=missing_targets)
