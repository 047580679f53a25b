"""Adding short runs of numbers to others, by whole vectors and one in part."""

from numba import types
from numba.extending import intrinsic

from ..lowlevel._jit import force_inline
from ..lowlevel.vector_ir import I64, VECTOR_BYTES, Vectors


@intrinsic
def _add_vector(typingctx, source, target, count, dtype):
    """Add the first `count` lanes of the vector at the address `source` to those at `target`."""

    def codegen(context, builder, sig, args):
        source, target, count, _ = args
        number = context.get_data_type(dtype.dtype)
        v = Vectors(builder, number, context.get_abi_sizeof(number))
        mask = v.first_lanes(count)
        source, target = (v.at(v.pointer(x), I64(0)) for x in (source, target))
        v.store(builder.fadd(v.load(source, mask), v.load(target, mask)), target, mask)
        return context.get_dummy_value()

    return types.void(source, target, count, dtype), codegen


@force_inline
def add_run(source, target, count, dtype, itemsize):
    """Add `count` numbers at the address `source` to those at the address `target`."""
    lanes = VECTOR_BYTES // itemsize
    for i in range(0, count, lanes):
        _add_vector(source + i * itemsize, target + i * itemsize, min(count - i, lanes), dtype)
