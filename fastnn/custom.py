"""User-defined activations, losses and schedules, which run inside the compiled loop.

They are functions of scalars, compiled by Numba once per process and dtype, when a model first needs
them. Their object code is not cached on disk: what a function calls, and the constants that it has captured,
do not follow from its source. Pickles include the functions: see `user_functions`.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .activations import Activation
from .checks import validate
from .losses import Loss
from .schedules import Schedule
from .user_functions import make_known, restore

if TYPE_CHECKING:
    from collections.abc import Callable

    from .user_functions import Functions

restore.__module__ = __name__  # pickles find it here


def register_activation(
    forward: Callable[..., Any], derivative: Callable[..., Any], name: str, *, replace: bool = False
) -> Activation:
    """Make an activation from its function and its derivative, both functions of scalars.

    Use the result, or its name, wherever an activation is expected. It runs in the same compiled loop as the
    built-in ones. Pickles of it, and of models that use it, include the functions.

    Parameters
    ----------
    forward : function of (x)
        Decorated by Numba or not; the notes say what it may do. Further parameters keep their default values;
        this holds for all functions here.
    derivative : function of (x), or of (x, y)
        Derivative of `forward` at x; y is ``forward(x)``.
    name : str
        An identifier, by which saved models refer to the activation. It must be registered under the same
        name before such a file is loaded.
    replace : bool
        Whether to replace an earlier user-defined activation of this name, as when a notebook cell is run
        again. Existing models keep the old one.

    Returns
    -------
    Activation

    Raises
    ------
    TypeError
        If an argument has the wrong type, or a function does not take that many numbers.
    ValueError
        If there is an activation of this name already.
    CompilationError
        When a model first uses it, if a function cannot be compiled, or might raise, print or allocate.

    Notes
    -----
    A function takes and returns numbers of the model's dtype. Literals and global numbers that
    meet a float32 number are treated as float32 too, so ``0.5 * x`` is one; you are warned if the function
    computes in float64 nevertheless. It is compiled like the kernels of fastnn, whatever options it was
    decorated with: a division by zero gives infinity. The functions of ``fastnn.kernels.math`` (`exp`,
    `log`, `log1p`, `expm1`, `tanh`, `sigmoid`, `softplus`) are much faster than those of ``math``, because
    they become vector instructions. Globals are constants, with their values at the time of compilation.

    Examples
    --------
    >>> import fastnn as fn
    >>> softsign = fn.register_activation(
    ...     lambda x: x / (1 + abs(x)), lambda x, y: (1 - abs(y)) ** 2, "softsign"
    ... )
    >>> fn.Dense(8, softsign)
    Dense(8, 'softsign')
    >>> fn.Activation("softsign")([[-1.0, 0.0, 3.0]])
    array([[-0.5 ,  0.  ,  0.75]], dtype=float32)
    """
    _parameters("forward", forward, 1)
    count = _parameters("derivative", derivative, 1, 2)
    functions: Functions = {"forward": (forward, 1), "derivative": (derivative, count)}
    made: Activation = make_known("activation", name, replace, functions)
    return made


def register_loss(
    value: Callable[..., Any],
    derivative: Callable[..., Any],
    name: str,
    *,
    rowwise: bool = False,
    n_targets: int | None = None,
    replace: bool = False,
) -> Loss:
    """Make a loss from its function and its derivative, both functions of a prediction and a target.

    As with the built-in losses, the loss of a row is the mean over its outputs, and that of a batch the mean
    over its rows, weighted by `sample_weight` if it is given. A loss that is `rowwise` is computed of all
    outputs of a row at once.

    Parameters
    ----------
    value : function of (prediction, target)
        See the notes of `fastnn.register_activation` for what it may do.
    derivative : function of (prediction, target), or of (prediction, target, out)
        Derivative of `value` with respect to the prediction. If `rowwise`, it writes the derivatives into
        `out`, all of them.
    name, replace
        As for `fastnn.register_activation`.
    rowwise : bool
        Whether the arguments are those of a whole row: arrays of shape (n_out,) and (n_targets,), which may
        only be read. The functions may not make arrays, so they are written with loops; indices are not
        checked in the compiled loop.
    n_targets : int, optional
        How many numbers a target of such a row has; as many as outputs if not given.

    Returns
    -------
    Loss

    Raises
    ------
    TypeError, ValueError, CompilationError
        As `fastnn.register_activation`.

    Examples
    --------
    >>> import fastnn as fn
    >>> fourth = fn.register_loss(lambda y, t: (y - t) ** 4, lambda y, t: 4 * (y - t) ** 3, "fourth_power")
    >>> model = fn.Model([fn.Dense(1)], loss=fourth, seed=0).build(1)
    >>> model.layers[0].weights = [[3.0]]
    >>> model.evaluate([[1.0]], [1.0])
    {'loss': 16.0}

    The distance of a point in the plane from the target:

    >>> import numpy as np
    >>> def distance(y, t):
    ...     return np.sqrt((y[0] - t[0]) ** 2 + (y[1] - t[1]) ** 2)
    >>> def gradient(y, t, out):
    ...     length = np.sqrt((y[0] - t[0]) ** 2 + (y[1] - t[1]) ** 2)
    ...     for j in range(2):
    ...         out[j] = (y[j] - t[j]) / length if length > 0 else 0.0
    >>> far = fn.register_loss(distance, gradient, "distance", rowwise=True)
    >>> model = fn.Model([fn.Activation("identity")], loss=far)
    >>> model.evaluate([[3.0, 4.0]], [[0.0, 0.0]])
    {'loss': 5.0}
    """
    rowwise = validate.boolean("rowwise", rowwise)
    if n_targets is not None:
        if not rowwise:
            raise ValueError(
                "n_targets is for losses with rowwise=True; others have a target for each output"
            )
        n_targets = validate.integer("n_targets", n_targets, low=1)
    _parameters("value", value, 2)
    count = _parameters("derivative", derivative, 3 if rowwise else 2)
    functions: Functions = {"value": (value, 2), "derivative": (derivative, count)}
    made: Loss = make_known("loss", name, replace, functions, rowwise=rowwise, n_columns=n_targets)
    return made


def register_schedule(function: Callable[..., Any], name: str, *, replace: bool = False) -> Schedule:
    """Make a learning-rate schedule from a function of the step.

    Parameters
    ----------
    function : function of (step)
        Returns the learning rate; the step is a float64, the number of updates made so far. See the notes
        of `fastnn.register_activation` for what it may do.
    name, replace
        As for `fastnn.register_activation`.

    Returns
    -------
    Schedule
        For `learning_rate` of any optimizer.

    Raises
    ------
    TypeError, ValueError, CompilationError
        As `fastnn.register_activation`.

    Examples
    --------
    >>> import fastnn as fn
    >>> inverse_root = fn.register_schedule(lambda step: 0.1 / (1 + step) ** 0.5, "inverse_root")
    >>> fn.SGD(learning_rate=inverse_root).learning_rate.name
    'inverse_root'
    """
    _parameters("function", function, 1)
    made: Schedule = make_known("schedule", name, replace, {"function": (function, 1)})
    return made


def _parameters(role: str, function: Any, *counts: int) -> int:
    """How many numbers a function takes: the smallest of `counts` that it can, since defaults stay."""
    if not callable(function):
        raise TypeError(f"{role} must be a function, got {function!r}")
    signature = inspect.signature(getattr(function, "py_func", function))
    if any(one.kind is one.KEYWORD_ONLY for one in signature.parameters.values()):
        raise TypeError(
            f"{role} must have no keyword-only parameters, which cannot be compiled: leave out the * in "
            f"{signature}"
        )
    for count in sorted(counts):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    wanted = " or ".join(str(count) for count in counts)
    raise TypeError(f"{role} must be a function of {wanted} numbers, got one of {signature}")
