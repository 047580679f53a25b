"""Attributions by covering parts of the input: `occlusion`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..engine import inspection
from ._gradients import baseline_rows
from ._selection import output_indices

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..inference import Inference


def occlusion(
    model: Inference,
    X: ArrayLike,
    output: int | ArrayLike | None = None,
    *,
    window: int | tuple[int, ...] = 1,
    strides: int | tuple[int, ...] = 1,
    baseline: float | ArrayLike = 0.0,
    lengths: ArrayLike | None = None,
) -> NDArray[Any]:
    """By how much an output falls when a part of the input is covered.

    A window moves over the input; what it covers is replaced by the baseline, in all channels. M. D. Zeiler,
    R. Fergus, *Visualizing and understanding convolutional networks*, ECCV 2014.

    Parameters
    ----------
    model : Model
        Built.
    X : array of shape (n, *input_shape), or (*input_shape,) for one sample
    output : int, or array of int of shape (n,), optional
        Number of the output; that which is the largest of each sample if not given.
    window, strides : int, or tuple of int
        Size of the window, and how far it moves at a time: along each axis but that of the channels, or along
        the only axis there is. The last window of an axis ends where the axis ends.
    baseline : number, or array of shape input_shape or that of X
        What covered inputs become.
    lengths : array of int of shape (n,), or int for one sample, optional
        How many time steps each sample has: see `Model.fit`.

    Returns
    -------
    array of shape (n, *input_shape[:-1]), or (n, n_in) for samples of one axis; without n for one sample
        At each place the mean, over the windows that cover it, of the output without minus that with the
        window. Float64, in units of the output.

    Raises
    ------
    TypeError, ValueError
        As `Model.predict`; also if the model is not built or has no such output, a window is larger than the
        input, or strides larger than the window.

    Examples
    --------
    >>> import fastnn as fn
    >>> layer = fn.Dense(1, use_bias=False)
    >>> model = fn.Model([layer], seed=0).build(3)
    >>> layer.weights = [[2.0], [0.0], [-1.0]]
    >>> fn.explain.occlusion(model, [5.0, 5.0, 5.0])
    array([10.,  0., -5.])
    """
    x, samples, checked = inspection.sequences(model.executor, X, lengths)
    shape = model.input_shape or ()
    axes = shape[:-1] or shape
    sizes = _per_axis("window", window, axes)
    steps = _per_axis("strides", strides, sizes)
    covered = baseline_rows(baseline, x, samples, shape).reshape(-1, *shape)
    inspector = inspection.Inspector(model.executor, lengths=checked)
    outputs = inspector.outputs(x)
    chosen = (np.arange(len(x)), output_indices(output, outputs))
    full = outputs[chosen].astype(np.float64)
    total, count = np.zeros((len(x), *axes)), np.zeros(axes)
    for corner in itertools.product(*map(_starts, axes, sizes, steps)):
        part = tuple(slice(at, at + size) for at, size in zip(corner, sizes, strict=True))
        changed = x.reshape(-1, *shape).copy()
        changed[:, *part] = covered[:, *part]
        fall = full - inspector.outputs(changed.reshape(x.shape))[chosen]
        total[:, *part] += fall.reshape(-1, *[1] * len(axes))
        count[part] += 1
    return (total / count).reshape(*samples, *axes)


def _per_axis(name: str, value: Any, most: tuple[int, ...]) -> tuple[int, ...]:
    """A number for each axis, from 1 to the most that it may be."""
    given = value if isinstance(value, tuple) else (value,) * len(most)
    if len(given) != len(most):
        raise ValueError(f"{name} must be an integer or {len(most)} of them, got {value!r}")
    checked = tuple(validate.integer(name, each, low=1) for each in given)
    if any(each > limit for each, limit in zip(checked, most, strict=True)):
        what = "the input" if name == "window" else "the window"
        raise ValueError(f"{name} must not be larger than {what}, {most}, got {checked}")
    return checked


def _starts(length: int, size: int, step: int) -> list[int]:
    """Where windows begin along an axis; the last ends where the axis ends."""
    starts = list(range(0, length - size + 1, step))
    return starts if starts[-1] == length - size else [*starts, length - size]
