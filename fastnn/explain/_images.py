"""Inputs that excite a unit: `activation_maximization`; and `dream`, the same from an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..data import array_checks
from ..engine import inspection
from ._gradients import baseline_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..inference import Inference
    from ..layers.base import Layer


def activation_maximization(
    model: Inference,
    layer: int | str | Layer = -1,
    unit: int | tuple[int, ...] | list[int] = 0,
    *,
    start: ArrayLike | None = None,
    steps: int = 200,
    learning_rate: float = 0.05,
    l2: float = 0.0,
    total_variation: float = 0.0,
    jitter: int = 0,
    low: float | None = None,
    high: float | None = None,
    seed: int = 0,
) -> NDArray[Any]:
    """An input that excites a unit of a layer, found by gradient ascent.

    D. Erhan, Y. Bengio, A. Courville, P. Vincent, *Visualizing higher-layer features of a deep network*,
    2009; with the regularisers of A. Mahendran, A. Vedaldi, *Understanding deep image representations by
    inverting them*, CVPR 2015 (squares, total variation), and A. Mordvintsev, C. Olah, M. Tyka,
    *Inceptionism*, 2015 (jitter). Each step is ``learning_rate`` times the gradient over its root mean
    square.

    Parameters
    ----------
    model : Model
        Built.
    layer : int, str or Layer
        Its number, path, or the layer itself, as for `Model.outputs`.
    unit : int, tuple of int, or list of int
        Number of the unit, its index where the output of the layer has several axes, or a list of numbers of
        units. A number of a layer with several axes is that of a channel, whose mean is maximised.
    start : array of shape input_shape, optional
        The input to begin with; small random numbers around zero, or in the middle of `low` and `high`, if
        not given.
    steps : int
    learning_rate : float, > 0
        In units of the inputs.
    l2 : float, >= 0
        ``l2 * sum(x**2)`` is subtracted from the activation.
    total_variation : float, >= 0
        This times the sum of squared differences of neighbours is subtracted: along each axis but that of the
        channels.
    jitter : int, >= 0
        The input is shifted by up to so many places along each of these axes in each step, at random.
    low, high : float, optional
        The range of valid inputs, to which each step is clipped.
    seed : int

    Returns
    -------
    array of shape input_shape, or (n, *input_shape) for a list of n units
        Of the model's dtype.

    Raises
    ------
    TypeError, ValueError
        If the model is not built, there is no such layer or unit, or a setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> layer = fn.Dense(1)
    >>> model = fn.Model([layer], seed=0).build(2)
    >>> layer.weights = [[1.0], [-1.0]]
    >>> fn.explain.activation_maximization(model, low=0.0, high=1.0)
    array([1., 0.], dtype=float32)
    """
    node = inspection.find_layer(model.executor, layer)
    units = unit if isinstance(unit, list) else [unit]
    if not units:
        raise ValueError("unit must not be an empty list")
    dy = np.stack([_unit(each, node.output) for each in units]).astype(model.dtype)
    rng = np.random.default_rng(validate.integer("seed", seed, low=0))
    shape = model.input_shape or ()
    bounds = _bounds(low, high)
    if start is None:
        middle = 0.0 if bounds is None or not np.isfinite(bounds).all() else sum(bounds) / 2
        x = np.repeat(middle + rng.normal(0.0, 0.01, (1, *shape)), len(units), axis=0).astype(model.dtype)
    else:
        x = baseline_rows(start, np.empty((len(units), model.n_in or 0), model.dtype), (), shape, "start")
        x = x.reshape(-1, *shape)
    count, rate = (
        validate.integer("steps", steps, low=1),
        validate.number("learning_rate", learning_rate, above=0.0),
    )
    squares = validate.number("l2", l2, low=0.0)
    variation = validate.number("total_variation", total_variation, low=0.0)
    shifts = validate.integer("jitter", jitter, low=0)
    axes = tuple(range(1, len(shape)))
    inspector = inspection.Inspector(model.executor, node)
    for _ in range(count):
        shift = tuple(rng.integers(-shifts, shifts + 1, len(axes)).tolist())
        moved = np.ascontiguousarray(np.roll(x, shift, axes)) if shifts else x
        gradient = inspector.input_gradient(moved.reshape(len(x), -1), dy).reshape(x.shape)
        if shifts:
            gradient = np.roll(gradient, tuple(-each for each in shift), axes)
        gradient = gradient - 2 * squares * x - variation * _variation_gradient(x, axes)
        x = _step(x, gradient, rate, bounds)
    found: NDArray[Any] = x if isinstance(unit, list) else x[0]
    return found


def dream(
    model: Inference,
    image: ArrayLike,
    layer: int | str | Layer,
    *,
    channel: int | None = None,
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 20,
    learning_rate: float = 0.02,
    low: float | None = None,
    high: float | None = None,
) -> NDArray[Any]:
    """An image, changed so that it shows more of what a layer responds to.

    Gradient ascent on the sum of squares of the layer's outputs, at several scales, from coarse to fine: A.
    Mordvintsev, C. Olah, M. Tyka, *Inceptionism: going deeper into neural networks*, 2015. The input of a
    model has a fixed size; so it is the change of the image that is made at each scale, and interpolated
    linearly.

    Parameters
    ----------
    model : Model
        Built for samples of shape (height, width, channels).
    image : array of shape (height, width, channels)
    layer : int, str or Layer
        Its number, path, or the layer itself, as for `Model.outputs`.
    channel : int, optional
        Only this channel of the layer; all if not given.
    octaves : int
        How many scales.
    octave_scale : float, > 1
        The ratio of the sizes of two of them.
    steps : int
        At each scale.
    learning_rate : float, > 0
        In units of the inputs.
    low, high : float, optional
        The range of valid inputs.

    Returns
    -------
    array of shape (height, width, channels)
        Of the model's dtype.

    Raises
    ------
    TypeError, ValueError
        If the model is not built for images, `image` has another shape, there is no such layer or channel, or
        a setting is out of range.
    """
    node = inspection.find_layer(model.executor, layer)
    shape = model.input_shape or ()
    if len(shape) != 3:
        raise ValueError(f"dream needs a model of images, (height, width, channels), not of shape {shape}")
    given = array_checks.array("image", image, model.dtype, (3,))
    if given.shape != shape:
        raise ValueError(f"image must have shape {shape}, as the input of the model, got {given.shape}")
    array_checks.finite("image", given)
    x, _ = inspection.samples(model.executor, given)
    mask = np.ones(node.output, model.dtype) if channel is None else _channel(channel, node.output)
    count, rate = (
        validate.integer("steps", steps, low=1),
        validate.number("learning_rate", learning_rate, above=0.0),
    )
    scale = validate.number("octave_scale", octave_scale, above=1.0)
    bounds = _bounds(low, high)
    inspector = inspection.Inspector(model.executor, node)
    result = x.reshape(1, *shape)
    for octave in reversed(range(validate.integer("octaves", octaves, low=1))):
        up = [_interpolation(max(2, round(side / scale**octave)), side) for side in shape[:2]]
        change = np.zeros((1, len(up[0].T), len(up[1].T), shape[2]), model.dtype)
        for _ in range(count):
            seen = _step(result, np.einsum("Hh,Ww,nhwc->nHWc", *up, change), None, bounds)
            flat = np.ascontiguousarray(seen.reshape(1, -1), model.dtype)
            dy = inspector.outputs(flat) * mask.reshape(1, -1)
            gradient = inspector.input_gradient(flat, dy).reshape(1, *shape)
            change = _step(change, np.einsum("Hh,Ww,nHWc->nhwc", *up, gradient), rate, None)
        result = _step(result, np.einsum("Hh,Ww,nhwc->nHWc", *up, change), None, bounds)
    changed: NDArray[Any] = result[0]
    return changed


def _unit(unit: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """What is maximised, as a weight for each output: one unit, or the mean of a channel."""
    result = np.zeros(shape)
    if isinstance(unit, tuple):
        if len(unit) != len(shape) or not all(-n <= i < n for i, n in zip(unit, shape, strict=True)):
            raise ValueError(f"unit must be an index into the output of the layer, {shape}, got {unit}")
        result[unit] = 1.0
    elif len(shape) > 1:
        return _channel(unit, shape, "unit").ravel() / np.prod(shape[:-1])
    else:
        index = validate.integer("unit", unit)
        if not -shape[0] <= index < shape[0]:
            raise ValueError(f"unit must be the number of one of {shape[0]} units, got {index}")
        result[index] = 1.0
    return result.ravel()


def _channel(channel: Any, shape: tuple[int, ...], name: str = "channel") -> NDArray[Any]:
    """1 for one channel, 0 for the others."""
    index = validate.integer(name, channel)
    if not -shape[-1] <= index < shape[-1]:
        raise ValueError(f"{name} must be the number of one of {shape[-1]} channels, got {index}")
    result = np.zeros(shape)
    result[..., index] = 1.0
    return result


def _bounds(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    least = -np.inf if low is None else validate.number("low", low)
    most = np.inf if high is None else validate.number("high", high)
    if least >= most:
        raise ValueError(f"low must be less than high, got low={low} and high={high}")
    return least, most


def _step(
    x: NDArray[Any], gradient: NDArray[Any], rate: float | None, bounds: tuple[float, float] | None
) -> NDArray[Any]:
    """Add a step of this size along the gradient, or all of it, and stay within the bounds."""
    if rate is not None:
        axes = tuple(range(1, x.ndim))
        size = np.sqrt(np.mean(np.square(gradient, dtype=np.float64), axis=axes, keepdims=True))
        gradient = rate * gradient / np.where(size > 0, size, 1.0)
    result: NDArray[Any] = x + gradient
    if bounds is not None:
        result = np.clip(result, *bounds)
    return result.astype(x.dtype)


def _variation_gradient(x: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """Of the sum of squared differences of neighbours along the axes."""
    result = np.zeros_like(x)
    for axis in axes:
        difference = 2 * np.diff(x, axis=axis)
        result -= np.diff(difference, axis=axis, prepend=0, append=0)
    return result


def _interpolation(few: int, many: int) -> NDArray[Any]:
    """The matrix, of shape (many, few), that interpolates linearly between evenly spaced places."""
    few = min(few, many)
    place = np.linspace(0, few - 1, many)
    return np.maximum(0.0, 1.0 - np.abs(place[:, np.newaxis] - np.arange(few)))
