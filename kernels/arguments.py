"""Arguments of the functions that a user's compiled code calls: what can be told from their types."""

from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from ._jit import inline, splice
from .simd import address


def _dtype(net):
    """Dtype of a network's type, if it is one."""
    fields = getattr(net, "fields", ())
    if "descriptor" not in fields:
        raise TypingError(f"fastnn: the first argument must be a Network, of model.network(), got {net}")
    return net.types[fields.index("parameters")].dtype


@intrinsic
def _check_network(typingctx, net):
    _dtype(net)
    return types.void(net), _do_nothing


def _refuse_unless_array(net, array):
    dtype = _dtype(net)
    if not isinstance(array, types.Array) or array.dtype != dtype or array.layout != "C" or not array.ndim:
        raise TypingError(
            f"fastnn: arrays must be of the network's dtype, {dtype}, and in C order, got {array}; "
            "a view that is not contiguous has to be copied"
        )


@intrinsic
def _check_array(typingctx, net, array):
    _refuse_unless_array(net, array)
    return types.void(net, array), _do_nothing


@intrinsic
def _check_rows(typingctx, net, array):
    _refuse_unless_array(net, array)
    if array.ndim > 2:
        raise TypingError(f"fastnn: samples and targets must have one or two dimensions, got {array}")
    return types.void(net, array), _do_nothing


@intrinsic
def _check_written(typingctx, net, array):
    _refuse_unless_array(net, array)
    if not array.mutable:
        raise TypingError(f"fastnn: an array that is written must not be read-only, got {array}")
    return types.void(net, array), _do_nothing


def _do_nothing(context, builder, sig, args):
    return context.get_dummy_value()


@splice
def network_slots(net):
    """Descriptor of a network, which must be one."""
    _check_network(net)
    return net.descriptor


@inline
def array_address(net, array):
    """Address of an array, which must be of the dtype of the network and in C order."""
    _check_array(net, array)
    return address(array)


@inline
def rows_address(net, array):
    """Address of an array of samples or targets: as `array_address`, of one or two dimensions."""
    _check_rows(net, array)
    return address(array)


@inline
def written_address(net, array):
    """Address of an array that will be written: as `array_address`, not read-only."""
    _check_written(net, array)
    return address(array)


@inline
def rows_of(x):
    """How many samples `x`, of shape (n, n_in) or (n_in,), holds."""
    return x.shape[0] if x.ndim == 2 else 1


@inline
def targets_of(x, y):
    """How many numbers a row of the targets `y` of the samples `x` has."""
    return y.shape[1] if y.ndim == 2 else (1 if x.ndim == 2 else y.size)
