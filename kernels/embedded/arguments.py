"""Arguments of the functions that a user's compiled code calls: what can be told from their types.

And what can be told from a few addresses: whether a network and an optimizer's state are those that were
made, at the addresses that stand in them, or copies.
"""

from numba import types
from numba.core.errors import TypingError
from numba.core.typing.typeof import Purpose
from numba.extending import intrinsic, typeof_impl

from ..abi.descriptor import DESCRIPTOR, SIZE
from ..abi.oprow import OPTIMIZER
from ..lowlevel._jit import force_inline, inline_ir
from ..lowlevel.simd import address, record


def refuse_constants(kind, message):
    """Let no compiled function take tuples of the class `kind` for constants: a TypingError with `message`.

    Numba makes constants of globals, closure variables and default arguments: copies of the arrays, which
    the addresses in them do not stand for.
    """
    typeof_tuple = typeof_impl.dispatch(tuple)

    @typeof_impl.register(kind)
    def typeof_arguments(value, context):
        if context.purpose is Purpose.constant:
            raise TypingError(message)
        return typeof_tuple(value, context)


def _dtype(net):
    """Dtype of a network's type, if it is one."""
    fields = getattr(net, "fields", ())
    if "descriptor" not in fields:
        raise TypingError(f"fastnn: the first argument must be a Network, of model.network(), got {net}")
    return net.types[fields.index("parameters")].dtype


@intrinsic
def _check_network(typingctx, net):
    _dtype(net)
    if not net.types[net.fields.index("descriptor")].mutable:
        raise TypingError(
            "fastnn: a network must be as model.network() gave it, but its descriptor is read-only"
        )
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
def _check_written(typingctx, net, array):
    _refuse_unless_array(net, array)
    if not array.mutable:
        raise TypingError(f"fastnn: an array that is written must not be read-only, got {array}")
    return types.void(net, array), _do_nothing


def _do_nothing(context, builder, sig, args):
    return context.get_dummy_value()


@inline_ir
def descriptor_of(net):
    """Descriptor of a network, which must be one."""
    _check_network(net)
    return record(address(net.descriptor), DESCRIPTOR)


@force_inline
def array_address(net, array):
    """Address of an array, which must be of the dtype of the network and in C order."""
    _check_array(net, array)
    return address(array)


@force_inline
def written_address(net, array):
    """Address of an array that will be written: as `array_address`, not read-only."""
    _check_written(net, array)
    return address(array)


@force_inline
def is_own(net):
    """Whether a network is itself: neither its descriptor nor the parameters that it shows are copies."""
    descriptor = descriptor_of(net)
    return descriptor.own_address == address(descriptor) and descriptor.parameters == address(net.parameters)


@force_inline
def shows_results(net):
    """Whether a network, which is itself, shows the loss and the gradient that a step leaves."""
    descriptor = descriptor_of(net)
    return descriptor.own_loss == address(net.loss) and descriptor.gradient == address(net.gradient)


@force_inline
def is_whole(net):
    """Whether all arrays of a network are those that its descriptor points to."""
    descriptor = descriptor_of(net)
    return (
        net.descriptor.size == SIZE
        and is_own(net)
        and shows_results(net)
        and descriptor.workers == address(net.workers)
        and descriptor.ops == address(net.ops)
        and descriptor.predict_ops == address(net.predict_ops)
        and descriptor.input_ops == address(net.input_ops)
        and descriptor.output_ops == address(net.output_ops)
        and descriptor.step_ops == address(net.step_ops)
        and descriptor.loss == address(net.extra)
        and (descriptor.statistics == address(net.statistics) or net.statistics.size == 0)
        and descriptor.constants == address(net.constants)
        and descriptor.limits == address(net.limits)
        and descriptor.gradient == address(net.gradients)
        and descriptor.workspace == address(net.workspace)
        and descriptor.scratch == address(net.scratch)
        and descriptor.block_squares == address(net.sums)
        and descriptor.barrier == address(net.team)
        and descriptor.n_parameters == net.parameters.size
    )


@force_inline
def is_state_of(net, state):
    """Whether an optimizer's state is itself, and belongs to the model of a network."""
    row = record(address(state.rows), OPTIMIZER)
    return (
        row.own_address == address(state.rows)
        and row.vectors == address(state.vectors)
        and row.counters == address(state.counters)
        and descriptor_of(net).parameters == address(state.parameters)
    )


@force_inline
def are_apart(one, other):
    """Whether two arrays in C order have no memory in common."""
    first, second = address(one), address(other)
    return first + one.nbytes <= second or second + other.nbytes <= first


@force_inline
def rows_of(descriptor, x):
    """How many samples `x`, of shape (n, n_in), (n, *shape) or (n_in,), holds."""
    if x.ndim > 2:
        return x.size // descriptor.n_features
    return x.shape[0] if x.ndim == 2 else 1


@force_inline
def row_width(array):
    """How many numbers a row of `array`, of at least two dimensions, has."""
    width = 1
    for i in range(1, array.ndim):
        width *= array.shape[i]
    return width


@force_inline
def targets_of(x, y):
    """How many numbers a row of the targets `y` of the samples `x` has."""
    return row_width(y) if y.ndim >= 2 else (1 if x.ndim >= 2 else y.size)
