"""Kernels of a user's own functions: the loops of the built-in ones around them."""

from ..layers.activation import elementwise as elementwise_activation
from ..lowlevel._jit import force_inline
from ..training.loss import elementwise as elementwise_loss
from ..training.row_loss import rowwise
from ..training.schedule import make_schedule
from .scalar import scalar

# The results are of the arguments' dtype, whatever the user's functions give.


def activation(forward, derivative, takes_output):
    """Activation of ``forward(x)`` and ``derivative(x)``, or ``derivative(x, y)`` with ``y = forward(x)``."""
    user_value, user_derivative = scalar(forward), scalar(derivative)

    @force_inline
    def value(x, p):
        return type(x)(user_value(x))

    if takes_output:

        @force_inline
        def slope(x, y, p):
            return type(x)(user_derivative(x, y))

    else:

        @force_inline
        def slope(x, y, p):
            return type(x)(user_derivative(x))

    return elementwise_activation(value, slope)


def loss(value, derivative):
    """Loss of ``value(prediction, target)`` and its ``derivative(prediction, target)`` by the prediction."""
    user_value, user_derivative = scalar(value), scalar(derivative)

    @force_inline
    def error(y, t, p):
        return type(y)(user_value(y, t))

    @force_inline
    def slope(y, t, p):
        return type(y)(user_derivative(y, t))

    return elementwise_loss(error, slope)


def row_loss(value, derivative):
    """Loss of ``value(prediction, target)`` of a row, and what writes its derivatives into a third array."""
    user_value, user_derivative = scalar(value), scalar(derivative)

    @force_inline
    def row(y, t, p, dy):
        user_derivative(y, t, dy)
        return y.dtype.type(user_value(y, t))

    return rowwise(row)


def schedule(function):
    """Schedule of ``function(step)``, a float64."""
    user_function = scalar(function)

    @force_inline
    def rate(step, a, b, c, d, e):
        return float(user_function(step))

    return make_schedule(rate)
