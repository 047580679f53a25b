"""Operators of scikit-learn's converter: scalers and linear models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ._affine import Matrix
from ._call import Call
from ._classes import two_classes
from ._products import right
from ._rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def scaler(call: Call) -> Rows:
    offset, scale = (_listed(call, name) for name in ("offset", "scale"))
    return call.assembly.times(call.assembly.minus(call.x, offset), scale)


def _listed(call: Call, name: str) -> NDArray[np.float64]:
    """Values of an attribute."""
    return call.assembly.numbers(name, np.asarray(call.attributes.get(name) or [], np.float32))


def _scores(call: Call, rows: int) -> Rows:
    """The linear function of a model of so many outputs."""
    x = call.x
    if len(x.sizes) != 2 or rows < 1:
        raise ValueError(f"it takes rows, but gets {list(x.sizes)}")
    coefficients, intercepts = _listed(call, "coefficients"), _listed(call, "intercepts")
    if intercepts.size not in (0, rows):
        raise ValueError(f"it has {intercepts.size} intercepts for {rows} outputs")
    if coefficients.size != rows * x.map.n_out:
        raise ValueError(f"it has {coefficients.size} coefficients for {rows} of {x.map.n_out} columns")
    y = right(call, x, coefficients.reshape(rows, -1).T)
    return call.assembly.plus(y, intercepts) if intercepts.size else y


def linear_regressor(call: Call) -> Rows:
    if call.attributes.get("post_transform", "NONE") != "NONE":
        raise ValueError(f"its post_transform is {call.attributes['post_transform']}")
    return _scores(call, int(call.attributes.get("targets", 1)))


def linear_classifier(call: Call) -> Rows:
    """Scores or probabilities, its second output."""
    if call.part != 1:
        raise ValueError("its labels are not numbers of a row of layers; name its other output by output=")
    labels = call.attributes.get("classlabels_ints") or call.attributes.get("classlabels_strings") or []
    rows = len(call.attributes.get("intercepts") or labels)
    if rows != len(labels) or rows < 2:
        raise ValueError(f"it has {rows} rows for {len(labels)} classes")
    post = call.attributes.get("post_transform", "NONE")
    y = _scores(call, rows)
    if post == "SOFTMAX":
        return call.assembly.activation(y, "softmax")
    if post == "LOGISTIC":
        second = _opposite(y.map.matrix()) if rows == 2 else None
        if second is not None:
            return two_classes(call.assembly, replace(y, map=second, sizes=(*y.sizes[:-1], 1)), 1)
        return call.assembly.activation(y, "sigmoid")
    if post != "NONE":
        raise ValueError(f"its post_transform is {post}")
    return y


def _opposite(scores: Matrix) -> Matrix | None:
    """The second of two scores, if the first is its negative."""
    first, second = scores.chosen(np.array([0])), scores.chosen(np.array([1]))
    if not np.array_equal(-first.weights, second.weights):
        return None
    if first.bias is not None and second.bias is not None and not np.array_equal(-first.bias, second.bias):
        return None
    return second


def normalizer(call: Call) -> Rows:
    """Rows divided by their sum, if that is 1."""
    step, given = call.x.step, call.x.map
    made = step.activation is not None and step.activation.name == "softmax"
    if call.attributes.get("norm") != "L1" or not made or not getattr(given, "is_identity", False):
        raise ValueError("it divides rows by their norm, which a row of layers does not")
    return call.x
