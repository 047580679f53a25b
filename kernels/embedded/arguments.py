"""Arguments of the functions that a user's compiled code calls: what can be told from their types.

And what can be told from a few addresses: whether a network and an optimizer's state are those that were
made, at the addresses that stand in them, or copies.
"""

from numba import types
from numba.core.errors import TypingError
from numba.core.typing.typeof import Purpose
from numba.extending import intrinsic, typeof_impl

from ..abi import descriptor as d
from ..abi import oprow
from ..lowlevel._jit import force_inline, inline_ir
from ..lowlevel.simd import address


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
def network_slots(net):
    """Descriptor of a network, which must be one."""
    _check_network(net)
    return net.descriptor


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
    slots = net.descriptor
    return slots[d.SELF] == address(slots) and slots[d.PARAMETERS] == address(net.parameters)


@force_inline
def shows_results(net):
    """Whether a network, which is itself, shows the loss and the gradient that a step leaves."""
    slots = net.descriptor
    return slots[d.OWN_LOSS] == address(net.loss) and slots[d.GRADIENT] == address(net.gradient)


@force_inline
def is_whole(net):
    """Whether all arrays of a network are those that its descriptor points to."""
    slots = net.descriptor
    return (
        slots.size == d.SIZE
        and is_own(net)
        and shows_results(net)
        and slots[d.WORKERS] == address(net.workers)
        and slots[d.OPS] == address(net.ops)
        and slots[d.PREDICT_OPS] == address(net.predict_ops)
        and slots[d.INPUT_OPS] == address(net.input_ops)
        and slots[d.LOSS] == address(net.extra)
        and (slots[d.STATISTICS] == address(net.statistics) or net.statistics.size == 0)
        and slots[d.CONSTANTS] == address(net.constants)
        and slots[d.LIMITS] == address(net.limits)
        and slots[d.GRADIENT] == address(net.gradients)
        and slots[d.WORKSPACE] == address(net.workspace)
        and slots[d.SCRATCH] == address(net.scratch)
        and slots[d.BLOCK_SQUARES] == address(net.sums)
        and slots[d.BARRIER] == address(net.team)
        and slots[d.N_PARAMETERS] == net.parameters.size
    )


@force_inline
def is_state_of(net, state):
    """Whether an optimizer's state is itself, and belongs to the model of a network."""
    row = state.rows[0]
    return (
        row[oprow.DX] == address(state.rows)
        and row[oprow.X] == address(state.vectors)
        and row[oprow.Y] == address(state.counters)
        and net.descriptor[d.PARAMETERS] == address(state.parameters)
    )


@force_inline
def are_apart(one, other):
    """Whether two arrays in C order have no memory in common."""
    first, second = address(one), address(other)
    return first + one.nbytes <= second or second + other.nbytes <= first


@force_inline
def rows_of(slots, x):
    """How many samples `x`, of shape (n, n_in), (n, *shape) or (n_in,), holds."""
    if x.ndim > 2:
        return x.size // slots[d.N_FEATURES]
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
