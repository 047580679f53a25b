"""Activation functions, by name or with a setting.

Wherever an activation is expected, its name will do: ``fn.Dense(32, "relu")``. The functions here
are for activations with a setting: ``fn.Dense(32, fn.activations.leaky_relu(0.2))``. The names ``linear``,
``logistic`` and ``swish`` stand for `identity`, `sigmoid` and `silu`.

To add one: its kernels in ``kernels/layers/activation.py``, a function here, a line in `TABLE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .checks import pickled, shown, validate

__all__ = [
    "Activation",
    "elu",
    "gelu",
    "gelu_tanh",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log_softmax",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Activation:
    """What the engine needs to know about an activation.

    Attributes
    ----------
    name : str
        Name in `TABLE`.
    kernel : str
        Where its kernels are: ``"layers.activation.relu"``.
    settings : dict of str to float
        Numbers that are passed to the kernels.
    from_output : bool
        Whether the derivative needs only the output, so that the activation may overwrite its input.
    """

    name: str
    kernel: str
    settings: dict[str, float]
    from_output: bool = True

    def config(self) -> dict[str, Any]:
        """Name and settings, as they are saved."""
        return {"name": self.name, **self.settings}

    def __repr__(self) -> str:
        return shown.spec(self.name, self.settings, TABLE)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy."""
        return pickled.by_config(self, get, TABLE)


def identity() -> Activation:
    """``y = x``."""
    return Activation("identity", "layers.activation.identity", {})


def sigmoid() -> Activation:
    """``y = 1 / (1 + exp(-x))``."""
    return Activation("sigmoid", "layers.activation.sigmoid", {})


def tanh() -> Activation:
    """Hyperbolic tangent."""
    return Activation("tanh", "layers.activation.tanh", {})


def relu() -> Activation:
    """``y = max(x, 0)``; its derivative at 0 is taken as 0.

    X. Glorot, A. Bordes, Y. Bengio, *Deep sparse rectifier neural networks*, AISTATS 2011.
    """
    return Activation("relu", "layers.activation.relu", {})


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """``y = x`` for positive x, else ``negative_slope * x``.

    A. Maas, A. Hannun, A. Ng, *Rectifier nonlinearities improve neural network acoustic models*,
    ICML 2013.

    Parameters
    ----------
    negative_slope : float
        A learned slope, like that of PyTorch's PReLU, may be negative.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Activation(fn.activations.leaky_relu(0.25))([[-4.0, 4.0]])
    array([[-1.,  4.]], dtype=float32)
    """
    slope = validate.number("negative_slope", negative_slope)
    # From the input: with a slope of 0, the sign does not follow from the output.
    return Activation(
        "leaky_relu", "layers.activation.leaky_relu", {"negative_slope": slope}, from_output=False
    )


def elu(alpha: float = 1.0) -> Activation:
    """``y = x`` for positive x, else ``alpha * (exp(x) - 1)``.

    D. Clevert, T. Unterthiner, S. Hochreiter, *Fast and accurate deep network learning by
    exponential linear units*, ICLR 2016.

    Parameters
    ----------
    alpha : float, >= 0
    """
    return Activation("elu", "layers.activation.elu", {"alpha": validate.number("alpha", alpha, low=0.0)})


def selu() -> Activation:
    """Self-normalizing elu: ``y = 1.0507 * elu(x, 1.6733)``, constants to double precision.

    G. Klambauer et al., *Self-normalizing neural networks*, NeurIPS 2017.
    """
    return Activation("selu", "layers.activation.selu", {})


def gelu() -> Activation:
    """``y = x * P(X <= x)`` for X from a standard normal distribution, exact, using erf.

    D. Hendrycks, K. Gimpel, *Gaussian error linear units* (2016).
    """
    return Activation("gelu", "layers.activation.gelu", {}, from_output=False)


def gelu_tanh() -> Activation:
    """``y = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x**3)))``, an approximation of gelu.

    D. Hendrycks, K. Gimpel, *Gaussian error linear units* (2016).
    """
    return Activation("gelu_tanh", "layers.activation.gelu_tanh", {}, from_output=False)


def silu() -> Activation:
    """``y = x * sigmoid(x)``, also called swish.

    S. Elfwing, E. Uchibe, K. Doya, *Sigmoid-weighted linear units*, Neural Networks 107 (2018).
    """
    return Activation("silu", "layers.activation.silu", {}, from_output=False)


def softplus() -> Activation:
    """``y = log(1 + exp(x))``."""
    return Activation("softplus", "layers.activation.softplus", {})


def hard_tanh() -> Activation:
    """``y = x``, limited to -1 ... 1."""
    return Activation("hard_tanh", "layers.activation.hard_tanh", {})


def softmax() -> Activation:
    """``y = exp(x) / sum(exp(x))``, the sum taken over a row."""
    return Activation("softmax", "layers.softmax.softmax", {})


def log_softmax() -> Activation:
    """``y = x - log(sum(exp(x)))``, the sum taken over a row."""
    return Activation("log_softmax", "layers.softmax.log_softmax", {})


TABLE: dict[str, Any] = {
    function.__name__: function
    for function in (
        identity,
        sigmoid,
        tanh,
        relu,
        leaky_relu,
        elu,
        selu,
        gelu,
        gelu_tanh,
        silu,
        softplus,
        hard_tanh,
        softmax,
        log_softmax,
    )
}

#: Names that other libraries use for these. Files never contain them: user-defined activations may have them.
ALIASES = {"linear": "identity", "logistic": "sigmoid", "swish": "silu"}


def get(activation: str | dict[str, Any] | Activation | None) -> Activation | None:
    """The activation of a name, a saved configuration, or an activation itself; None for None."""
    if activation is None:
        return None
    if isinstance(activation, str) and activation not in TABLE:
        activation = ALIASES.get(activation, activation)
    found: Activation = validate.from_table("activation", activation, TABLE, Activation)
    return found
