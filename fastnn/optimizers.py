"""Optimizers: how a step changes the parameters.

All take a number or a schedule (`fastnn.schedules`) as `learning_rate`, and these keywords:

weight_decay : float
    Decoupled weight decay (I. Loshchilov, F. Hutter, *Decoupled weight decay regularization*, ICLR
    2019): every parameter is first multiplied by ``1 - learning_rate * weight_decay``. For penalties
    that are part of the loss see `l1` and `l2` of `fastnn.Dense`.
global_clipnorm : float, optional
    The whole gradient is scaled down to this Euclidean norm if it is larger.
clipvalue : float, optional
    Each element of the gradient is limited to plus or minus this, after `global_clipnorm`.

To add one: its kernel in ``kernels/training/optimizer.py``, a class here, a line in `TABLE`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from . import schedules
from .checks import validate
from .checks.attributes import KnownAttributes
from .schedules import Schedule

__all__ = [
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "SGD",
]


def __dir__() -> list[str]:
    return __all__


@dataclass
class Optimizer(KnownAttributes):
    """Base of all optimizers.

    Attributes
    ----------
    kernel : str
        Where its kernel is: ``"training.optimizer.adam"``.
    own_settings : tuple of str
        The attributes that are passed to its kernel, in this order.
    """

    kernel: ClassVar[str]
    own_settings: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        self.settings()

    def schedule(self) -> Schedule:
        """The learning rate as a schedule."""
        return schedules.get(self.learning_rate)  # type: ignore[attr-defined]

    def settings(self) -> tuple[float, ...]:
        """All settings, checked, in the kernel's order: the shared ones, then its own."""
        self.schedule()
        config: dict[str, Any] = self.__dict__
        shared = [validate.number("weight_decay", config["weight_decay"], low=0.0)]
        for name in ("global_clipnorm", "clipvalue"):
            value = config[name]
            shared.append(0.0 if value is None else validate.number(name, value, above=0.0))
        return (*shared, *(self._own(name, config[name]) for name in self.own_settings))

    @staticmethod
    def _own(name: str, value: Any) -> float:
        if name in ("nesterov", "epsilon_hat"):
            return float(validate.boolean(name, value))
        if name == "epsilon":  # with 0, a gradient of 0 would be divided by 0
            return validate.number(name, value, above=0.0)
        if name == "momentum":
            return validate.number(name, value, low=0.0, high=1.0)
        return validate.number(name, value, low=0.0, below=1.0)

    def state_vectors(self) -> int:
        """How many vectors of the size of the parameters its state has."""
        raise TypeError("an optimizer must define state_vectors, the number of its state vectors")

    def config(self) -> dict[str, Any]:
        """Name and settings, as they are saved."""
        rate = self.learning_rate  # type: ignore[attr-defined]
        saved = {"learning_rate": rate.config()} if isinstance(rate, Schedule) else {}
        return {"name": type(self).__name__, **asdict(self), **saved}


@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum.

    ``v = momentum * v + g; w -= learning_rate * v``; with `nesterov` the step is ``g + momentum * v``.
    I. Sutskever et al., *On the importance of initialization and momentum in deep learning*, ICML 2013.

    Parameters
    ----------
    learning_rate : float or Schedule
    momentum : float, 0 <= momentum <= 1
    nesterov : bool
    weight_decay, global_clipnorm, clipvalue
        See `fastnn.optimizers`.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.SGD(0.1, momentum=0.9).learning_rate
    0.1
    """

    kernel = "training.optimizer.sgd"
    own_settings = ("momentum", "nesterov")

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    global_clipnorm: float | None = None
    clipvalue: float | None = None

    def state_vectors(self) -> int:
        """One with momentum: the velocity."""
        return 1 if self.momentum else 0


@dataclass
class RMSprop(Optimizer):
    """The gradient divided by a running root of its mean square.

    ``s = rho * s + (1 - rho) * g**2; v = momentum * v + g / (sqrt(s) + epsilon); w -= learning_rate * v``.
    T. Tieleman, G. Hinton, *Neural networks for machine learning*, lecture 6.5 (2012).

    Parameters
    ----------
    learning_rate : float or Schedule
    rho : float, 0 <= rho < 1
    epsilon : float, > 0
    momentum : float, 0 <= momentum <= 1
    weight_decay, global_clipnorm, clipvalue
        See `fastnn.optimizers`.
    """

    kernel = "training.optimizer.rmsprop"
    own_settings = ("rho", "epsilon", "momentum")

    learning_rate: float | Schedule = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8
    momentum: float = 0.0
    weight_decay: float = 0.0
    global_clipnorm: float | None = None
    clipvalue: float | None = None

    def state_vectors(self) -> int:
        """The mean square, and with momentum the velocity."""
        return 2 if self.momentum else 1


@dataclass
class Adagrad(Optimizer):
    """The gradient divided by the root of the sum of all its squares so far.

    ``s += g**2; w -= learning_rate * g / (sqrt(s) + epsilon)``.
    J. Duchi, E. Hazan, Y. Singer, *Adaptive subgradient methods*, JMLR 12 (2011).

    Parameters
    ----------
    learning_rate : float or Schedule
    epsilon : float, > 0
    weight_decay, global_clipnorm, clipvalue
        See `fastnn.optimizers`.
    """

    kernel = "training.optimizer.adagrad"
    own_settings = ("epsilon",)

    learning_rate: float | Schedule = 0.01
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    global_clipnorm: float | None = None
    clipvalue: float | None = None

    def state_vectors(self) -> int:
        """The sum of squares."""
        return 1


@dataclass
class Adam(Optimizer):
    """Running means of the gradient and of its square, corrected for their start at zero.

    ``m = beta_1 * m + (1 - beta_1) * g; v = beta_2 * v + (1 - beta_2) * g**2;``
    ``w -= learning_rate * m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon)`` in step t.
    D. Kingma, J. Ba, *Adam: a method for stochastic optimization*, ICLR 2015.

    Parameters
    ----------
    learning_rate : float or Schedule
    beta_1, beta_2 : float, 0 <= beta < 1
    epsilon : float, > 0
    weight_decay, global_clipnorm, clipvalue
        See `fastnn.optimizers`.
    epsilon_hat : bool
        Whether `epsilon` is the paper's epsilon-hat (the end of its section 2), as in Keras and
        scikit-learn: added to ``sqrt(v)``, not to ``sqrt(v / (1 - beta_2**t))``.
    """

    kernel = "training.optimizer.adam"
    own_settings = ("beta_1", "beta_2", "epsilon", "epsilon_hat")

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    global_clipnorm: float | None = None
    clipvalue: float | None = None
    epsilon_hat: bool = False

    def state_vectors(self) -> int:
        """The two running means."""
        return 2


@dataclass
class AdamW(Adam):
    """`Adam` with a weight decay that is not zero by default.

    I. Loshchilov, F. Hutter, *Decoupled weight decay regularization*, ICLR 2019.

    Parameters
    ----------
    learning_rate : float or Schedule
    beta_1, beta_2 : float, 0 <= beta < 1
    epsilon : float, > 0
    weight_decay, global_clipnorm, clipvalue, epsilon_hat
        See `fastnn.optimizers`, and `Adam`.
    """

    weight_decay: float = 0.004


TABLE = {kind.__name__.lower(): kind for kind in (SGD, RMSprop, Adagrad, Adam, AdamW)}


def get(optimizer: str | dict[str, Any] | Optimizer) -> Optimizer:
    """The optimizer of a name, a saved configuration, or an optimizer itself."""
    if isinstance(optimizer, str):
        optimizer = optimizer.lower()
    elif isinstance(optimizer, dict):
        optimizer = {**optimizer, "name": str(optimizer.get("name")).lower()}
        if isinstance(optimizer.get("learning_rate"), dict):
            optimizer["learning_rate"] = schedules.get(optimizer["learning_rate"])
    found: Optimizer = validate.from_table("optimizer", optimizer, TABLE, Optimizer)
    return found
