"""What many outputs for each sample say together: those of an ensemble, or of draws of one network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import classes, distributions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..engine.head import Head
    from ..losses import Loss

    #: Arrays by names, as `distributions.of` gives them; with a first axis of members they are several.
    Arrays = dict[str, NDArray[Any]]


def opinion(head: Head, loss: Loss | None, outputs: NDArray[Any]) -> Arrays:
    """What a member says of rows, by its outputs of shape (n, n_out).

    Returns
    -------
    dict of str to array
        ``probabilities``; ``mean`` and ``std``; ``quantiles``; or else the outputs as ``values``.
    """
    if classes.are_known(head):
        return {"probabilities": classes.by_class(head, outputs)}
    if loss is None or loss.name not in distributions.TABLE:
        return {"values": outputs}
    found = distributions.TABLE[loss.name](outputs, loss)
    return {name: found[name] for name in ("mean", "std", "quantiles") if name in found}


def together(opinions: Sequence[Arrays], weights: Sequence[float], of_labels: bool) -> Arrays:
    """What members say as one, by the names that `Ensemble.predict_distribution` documents.

    Parameters
    ----------
    opinions : sequence of dict
        That of each member, with the same names.
    weights : sequence of float
        Of the members; they sum to 1.
    of_labels : bool
        Whether probabilities are those of several labels, and not of classes that exclude each other.
    """
    if "probabilities" in opinions[0]:
        p = [opinion["probabilities"] for opinion in opinions]
        mean = _mean(p, weights)
        entropy = _entropy(mean, of_labels)
        own = _mean([_entropy(each, of_labels) for each in p], weights)
        return {"probabilities": mean, "entropy": entropy, "mutual_information": np.maximum(entropy - own, 0)}
    (name, *_) = opinions[0]
    values = [opinion[name] for opinion in opinions]
    mean = _mean(values, weights)
    spread = _mean([(each - mean) ** 2 for each in values], weights)
    if name == "quantiles":
        return {"quantiles": mean, "epistemic_std": np.sqrt(spread)}
    if name == "values":
        return {"mean": mean, "std": np.sqrt(spread)}
    within = _mean([opinion["std"] ** 2 for opinion in opinions], weights)
    return {
        "mean": mean,
        "std": np.sqrt(within + spread),
        "aleatoric_std": np.sqrt(within),
        "epistemic_std": np.sqrt(spread),
    }


def shaped(found: Arrays, leading: tuple[int, ...], output: tuple[int, ...]) -> Arrays:
    """Results for rows of outputs of a shape; for one sample, without the axis of the rows.

    The axis of the targets is left out where there is a single one, and outputs of several axes have theirs.
    """
    result = {}
    for name, values in found.items():
        if len(output) > 1 and name in ("mean", "std"):
            values = values.reshape(len(values), *output)
        elif values.shape[-1] == 1 and values.ndim > 1:
            values = values[..., 0]
        result[name] = values if leading else values[0]
    return result


def _mean(members: Sequence[NDArray[Any]], weights: Sequence[float]) -> NDArray[Any]:
    """Weighted mean of arrays of one shape, in their order."""
    total = np.zeros_like(members[0])
    for member, weight in zip(members, weights, strict=True):
        total += total.dtype.type(weight) * member
    return total


def _entropy(p: NDArray[Any], of_labels: bool) -> NDArray[Any]:
    """Of the classes of each row; or of each label, whose probability p is."""
    own = _terms(p)
    return np.asarray(own + _terms(1 - p)) if of_labels else np.asarray(own.sum(axis=-1))


def _terms(p: NDArray[Any]) -> NDArray[Any]:
    """``-p log p``, which is 0 where p is 0."""
    return np.asarray(-p * np.log(np.maximum(p, np.finfo(p.dtype).tiny)))
