"""Head: the last activation together with the loss.

Some losses belong to an activation: cross-entropy to softmax, binary cross-entropy to the sigmoid. Where a
network ends in it, the loss and its gradient are computed from what goes into the activation, which is
exact for outputs of any size and costs no more than a network that ends in logits. `TABLE` says which go
together; `Head.output` says what the output of a model means.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from .. import activations
from ..engine.head import Head
from .activation import Activation
from .containers import Sequential
from .dense import Dense

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..losses import Loss
    from ..metrics import Metric
    from .base import Layer


class _Row(NamedTuple):
    """What a loss takes, and which last activations are computed together with it.

    Attributes
    ----------
    takes : str
        What the loss takes the output for, after any other activation.
    kernel : str or None
        The loss of what goes into the activation; None if that is the loss's own kernel.
    gives : dict of str to str
        Last activation -> what the output then is.
    """

    takes: str
    kernel: str | None
    gives: dict[str, str]


_OF_CLASSES = {"softmax": "probabilities", "log_softmax": "log_probabilities"}
_OF_LABELS = {"sigmoid": "probabilities"}
TABLE = {
    "cross_entropy": _Row("logits", None, _OF_CLASSES),
    "nll": _Row("log_probabilities", "training.loss.cross_entropy", _OF_CLASSES),
    "binary_cross_entropy": _Row("logits", None, _OF_LABELS),
    "focal": _Row("logits", None, _OF_CLASSES),
    "kl_divergence": _Row("logits", None, _OF_CLASSES),
    "hinge": _Row("scores", None, {}),
    "squared_hinge": _Row("scores", None, {}),
}
# Activations that do not give all numbers: logits that went through them are a mistake.
_LIMITED = frozenset(activations.TABLE) - {"identity", "leaky_relu"}
# Loss -> what it takes, and what to write in place of an activation that limits that.
_ADVICE = {
    "cross_entropy": ("logits", "'softmax' or none, or loss='binary_cross_entropy' for several labels"),
    "nll": ("log-probabilities", "'log_softmax' or 'softmax', or loss='cross_entropy'"),
    "binary_cross_entropy": ("logits", "'sigmoid' or none, or loss='cross_entropy' for one class of several"),
    "focal": ("logits", "'softmax' or none"),
    "kl_divergence": ("logits", "'softmax' or none"),
    "hinge": ("scores of both signs", "none, or 'tanh'"),
    "squared_hinge": ("scores of both signs", "none, or 'tanh'"),
    "corn": ("logits", "none"),
    "gaussian_nll": ("means and logarithms of variances", "none"),
    "mixture_density": ("logits, logarithms of variances and means", "none"),
    "poisson": ("the logarithm of the rate", "none"),
}


def head_of(layers: Sequence[Layer], loss: Loss | None) -> Head:
    """The head of a network of these layers."""
    if layers[-1].of_targets:  # what follows the last product brings values to the target's units
        return Head("values", "values", loss, ops=1)
    names, _ = _last_activations(layers)
    ops = next((i for i, name in enumerate(names) if name != "identity"), len(names))
    last = names[ops] if ops < len(names) else "identity"
    if loss is None:
        return Head(
            (_OF_CLASSES | _OF_LABELS).get(last, "values"),
            "classes" if last in _OF_CLASSES else "shares" if last in _OF_LABELS else "values",
            None,
        )
    row = TABLE.get(loss.name)
    if row is None:
        return Head("values", loss.target, loss)
    if last in row.gives:
        together = loss if row.kernel is None else replace(loss, kernel=row.kernel)
        return Head(row.gives[last], loss.target, together, ops + 1)
    return Head(row.takes, loss.target, loss)


def check_units(layers: Sequence[Layer], loss: Loss | None, metrics: Sequence[Metric]) -> None:
    """Raise a ValueError if the last layer brings values to the target's units, and the loss has none."""
    if not layers[-1].of_targets or loss is None:
        return
    if loss.target != "values" or loss.low > -math.inf or loss.rowwise:
        raise ValueError(f"{layers[-1]!r} needs a loss of values in the target's units, not {loss.name!r}")
    for metric in metrics:
        if not metric.of_output:
            raise ValueError(f"{layers[-1]!r} gives values, of which there is no {metric.name!r}")


def mistake(layers: Sequence[Layer], loss: Loss | None) -> str | None:
    """What is wrong with the last activation, if it can only be a mistake, and what to write."""
    names, dense = _last_activations(layers)
    if loss is None or dense is None:  # without a loss, or weights, there is nothing to train
        return None
    names = [name for name in names if name != "identity"]
    last = names[0] if names else None
    if last in _OF_CLASSES and dense.units == 1:
        return (
            f"{last!r} of one unit is always {1 if last == 'softmax' else 0}: write fn.Dense(1, 'sigmoid') "
            "with loss='binary_cross_entropy', or a unit for each class"
        )
    if loss.name not in _ADVICE:
        return None
    takes, advice = _ADVICE[loss.name]
    known = TABLE.get(loss.name)
    together = known is not None and last in known.gives
    before = names[1:] if together else names
    limiting = next((name for name in before if name in _LIMITED), None)
    if limiting is not None and together:
        return f"{limiting!r} limits what goes into {last!r}: write fn.Dense({dense.units}, {last!r})"
    if limiting is not None:
        return f"{loss.name!r} takes {takes}, which {limiting!r} limits: write {advice}"
    if loss.name == "nll" and not together and not set(before) - {"leaky_relu"}:
        return f"'nll' takes {takes}, and the last layer gives any numbers: write {advice}"
    return None


def _last_activations(layers: Sequence[Layer]) -> tuple[list[str], Dense | None]:
    """Names of the activations behind the last product, the last one first; and its layer, if there is one.

    Both are empty if something else stands last.
    """
    names: list[str] = []
    layers = list(_in_a_row(layers))
    for layer in reversed(layers):
        if isinstance(layer, Dense):
            if layer.activation is not None:
                names.append(layer.activation.name)
            return names, layer
        if not isinstance(layer, Activation):
            break
        names.append(layer.activation.name)
    return (names, None) if layers and isinstance(layers[-1], Activation) else ([], None)


def _in_a_row(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers, those of a `Sequential` in its place."""
    for layer in layers:
        if isinstance(layer, Sequential):
            yield from _in_a_row(layer.layers)
        else:
            yield layer
