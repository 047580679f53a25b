"""Attention: a product of two tensors, a softmax of it, and a product with a third one, as a layer.

The three are projections of the same sequence, in whatever order their axes and heads are written. The
projection that follows becomes part of the layer.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..layers.attention import MultiHeadAttention
from ._affine import Columns
from ._layout import BATCH
from ._rows import Scores
from ._steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._assembly import Assembly
    from ._rows import Rows

    #: What stands before the projection, to its weights and, if it has one, its bias.
    Projections = dict[Step, tuple[NDArray[np.float64], NDArray[np.float64] | None]]

_NEVER = -1e4  # a score below it has the weight 0, beside one that is not masked
_CLOSE = 1e-6  # relative: a constant in float32


class _Places(NamedTuple):
    """Which axes of a tensor are what."""

    heads: list[int]
    time: int
    features: int


def scores(query: Rows, key: Rows) -> Scores:
    """A product of two tensors, of which only attention is made."""
    lead, rank = query.sizes[:-2], len(query.sizes)
    fits = rank > 2 and len(key.sizes) == rank and key.sizes[:-2] == lead
    if not fits or BATCH in (*query.sizes[-2:], *key.sizes[-2:]) or query.sizes[-1] != key.sizes[-2]:
        raise ValueError("it multiplies two tensors, which a row of layers does not")
    return Scores(query, key)


def multiplied(given: Scores, factor: NDArray[Any]) -> Scores:
    """Scores times a number."""
    if given.normalized or factor.size != 1 or given.causal:
        raise ValueError("it multiplies the weights of attention")
    return replace(given, factor=given.factor * float(factor.item()))


def masked(given: Scores, mask: NDArray[Any]) -> Scores:
    """Scores plus a constant that leaves none of them, or only those of the past."""
    times, others = given.query.sizes[-2], given.key.sizes[-1]
    try:
        whole = np.broadcast_to(mask, (times, others) if mask.ndim < 3 else (*mask.shape[:-2], times, others))
    except ValueError:
        raise ValueError(f"it adds {mask.shape} to scores of {times} and {others} times") from None
    if not whole.any():
        return given
    future = np.triu(np.ones((times, others), bool), 1)
    if given.normalized or (whole[..., ~future] != 0).any() or (whole[..., future] > _NEVER).any():
        raise ValueError("it adds to scores what does not only hide the future")
    return replace(given, causal=True)


def softmax(given: Scores, axis: int) -> Scores:
    """The weights of attention."""
    if given.normalized or axis not in (-1, len(given.query.sizes) - 1):
        raise ValueError(f"it takes a softmax of scores along axis {axis}")
    return replace(given, normalized=True)


def attended(assembly: Assembly, weights: Scores, value: Rows) -> Rows:
    """A step of attention, whose output is not projected yet."""
    query, sizes = weights.query, value.sizes
    rank = len(sizes)
    if not weights.normalized or rank != len(query.sizes) or sizes[:-2] != query.sizes[:-2]:
        raise ValueError("it multiplies two tensors, which a row of layers does not")
    heads = [axis for axis in range(rank - 2) if sizes[axis] != BATCH]
    places = _Places(heads, rank - 2, rank - 1)
    parts = [
        _projections(assembly, query, places),
        _projections(assembly, weights.key, _Places(heads, rank - 1, rank - 2)),
        _projections(assembly, value, places),
    ]
    before = next((step for step in parts[0] if all(step in part for part in parts)), None)
    times, n_heads, key_dim, value_dim = (
        sizes[-2],
        math.prod(sizes[axis] for axis in heads),
        *_dims(query, value),
    )
    if before is None or not times == query.sizes[-2] == weights.key.sizes[-1]:
        raise ValueError("its query, key and value are not projections of one sequence")
    found = [part[before] for part in parts]
    factor = weights.factor * math.sqrt(key_dim)
    if not math.isclose(factor, 1, rel_tol=_CLOSE):
        found[0] = found[0][0] * factor, None if found[0][1] is None else found[0][1] * factor
    features, inner = found[0][0].shape[0], n_heads * value_dim
    arrays = {"projection_weights": np.concatenate([own for own, _ in found], axis=1)}
    if any(bias is not None for _, bias in found):
        biases = [np.zeros(own.shape[1]) if bias is None else bias for own, bias in found]
        arrays["projection_bias"] = np.concatenate(biases)
    if inner == features:
        arrays["output_weights"] = np.eye(inner)
    made = Step(
        times * inner,
        before,
        make=partial(_make, n_heads, key_dim, value_dim, weights.causal),
        arrays=arrays,
        channels=(1,),
        names=("output_weights", "output_bias"),
        attends=True,
        takes=(times, features),
        gives=(times, inner),
        trained=True,
    )
    assembly.use(made.size)
    return assembly.spread(made, [rank - 2, *heads, rank - 1], sizes, value.samples)


def _dims(query: Rows, value: Rows) -> tuple[int, int]:
    return query.sizes[-1], value.sizes[-1]


def _make(
    heads: int,
    key_dim: int,
    value_dim: int,
    causal: bool,
    activation: Any,
    arrays: dict[str, NDArray[np.float64]],
) -> MultiHeadAttention:
    if "output_weights" not in arrays:
        features, inner = arrays["projection_weights"].shape[0], heads * value_dim
        raise ValueError(
            f"attention gives {inner} numbers for each time, and is not projected to the {features} of its "
            "input: a fn.MultiHeadAttention does that"
        )
    use_bias = "projection_bias" in arrays or "output_bias" in arrays
    return MultiHeadAttention(heads, key_dim, value_dim, use_bias=use_bias, use_causal_mask=causal)


def _projections(assembly: Assembly, x: Rows, places: _Places) -> Projections:
    """The ways in which a tensor is a projection of a sequence: of what a layer gives, or that layer."""
    x = assembly.settled(x)
    if not isinstance(x.map, Columns):
        return {}
    array = assembly.columns(x.map)[x.layout.array]
    batch = [] if x.layout.batch is None else [x.layout.batch]
    array = array.transpose([*batch, places.time, *places.heads, places.features])
    columns = array.reshape(array.shape[len(batch)], -1)
    times, step, found = len(columns), x.step, {}
    if step.width % times:
        return {}
    width = step.width // times
    own = columns - width * np.arange(times)[:, None]
    if own.min() < 0 or own.max() >= width or (own != own[0]).any():
        return {}
    weights, bias = step.arrays.get("weights"), step.arrays.get("bias")
    if step.product is not None and times == 1:
        weights, bias = step.product.weights, step.product.bias
    if step.before is not None and weights is not None and weights.ndim == 2 and weights.shape[1] == width:
        chosen = weights[:, own[0]], None if bias is None else bias[own[0]]
        found[step.before] = chosen
    found[step] = np.eye(width)[:, own[0]], None
    return found


def projected(assembly: Assembly, x: Rows, axes: list[int], weights: NDArray[np.float64]) -> Step | None:
    """Attention with this projection of its output; None if it is not that, or not to as many features."""
    if not x.step.attends:
        return None
    before = assembly.ordered(x, axes)
    if before is not x.step or before.takes is None or weights.shape[1] != before.takes[-1]:
        return None
    return replace(
        before,
        arrays={**before.arrays, "output_weights": weights},
        attends=False,
        width=before.takes[0] * weights.shape[1],
        gives=(before.takes[0], weights.shape[1]),
    )
