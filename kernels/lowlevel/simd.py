"""Raw memory, calls by address and single instructions: the intrinsics everything else stands on.

None of them has an error path, so the object code of a kernel that uses them names no helper of
Numba. Where a kernel is run as plain Python (``NUMBA_DISABLE_JIT=1``), the arithmetic ones have a
Python twin.
"""

import functools

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from . import target
from ._jit import INTERPRETED

_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
# By these bits of a CPU's word of control denormal numbers are zeros: FTZ, of results, and DAZ, of operands,
# in MXCSR; FZ, of both, in FPCR. Intel, *Software Developer's Manual*, 10.2.3; Arm, *Architecture Reference
# Manual*, DDI 0487, C5.2.8.
_MXCSR_FLUSH, _FPCR_FLUSH = 1 << 15 | 1 << 6, 1 << 24


@intrinsic
def view(typingctx, address, shape, dtype):
    """Array of `shape` (an int or a tuple of ints) and `dtype` over the memory at `address`."""
    dims = len(shape) if isinstance(shape, types.BaseTuple) else 1
    array_type = types.Array(dtype.dtype, dims, "C")

    def codegen(context, builder, sig, args):
        array = context.make_array(array_type)(context, builder)
        is_tuple = isinstance(sig.args[1], types.BaseTuple)
        sizes = cgutils.unpack_tuple(builder, args[1], dims) if is_tuple else [args[1]]
        element = context.get_data_type(array_type.dtype)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(element))
        strides = [itemsize]
        for size in sizes[:0:-1]:
            strides.insert(0, builder.mul(strides[0], size))
        data = builder.inttoptr(args[0], element.as_pointer())
        populate_array(array, data, sizes, strides, itemsize, None)
        return array._getvalue()

    return array_type(types.int64, shape, dtype), codegen


@intrinsic
def record(typingctx, address, dtype):
    """Record of a structured `dtype` at an address: its fields are read and written there."""
    record_type = dtype.dtype

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(record_type))

    return record_type(types.int64, dtype), codegen


@intrinsic
def record_at(typingctx, address, index, dtype):
    """Record `index` of an array of a structured `dtype` that begins at `address`."""
    record_type = dtype.dtype

    def codegen(context, builder, sig, args):
        place = builder.add(args[0], builder.mul(args[1], _I64(record_type.size)))
        return builder.inttoptr(place, context.get_value_type(record_type))

    return record_type(types.int64, types.int64, dtype), codegen


@intrinsic
def address(typingctx, array):
    """Address of the first element of `array`, or of a record, as an int64."""

    def codegen(context, builder, sig, args):
        data = args[0]
        if isinstance(sig.args[0], types.Array):
            data = context.make_array(sig.args[0])(context, builder, data).data
        return builder.ptrtoint(data, _I64)

    return types.int64(array), codegen


@intrinsic
def _element(typingctx, address, index, dtype):
    """Address of element `index` of an array of `dtype` that begins at `address`."""

    def codegen(context, builder, sig, args):
        itemsize = context.get_abi_sizeof(context.get_data_type(sig.args[2].dtype))
        return builder.add(args[0], builder.mul(args[1], _I64(itemsize)))

    return types.int64(types.int64, types.int64, dtype), codegen


@intrinsic
def _flat(typingctx, array):
    if not isinstance(array, types.Array):
        raise TypingError(f"fastnn: an array is needed, got {array}")
    flat_type = types.Array(array.dtype, 1, "C")

    def codegen(context, builder, sig, args):
        source = context.make_array(sig.args[0])(context, builder, args[0])
        result = context.make_array(flat_type)(context, builder)
        itemsize = source.itemsize
        populate_array(result, source.data, [source.nitems], [itemsize], itemsize, None)
        return result._getvalue()

    return flat_type(array), codegen


@intrinsic
def call(typingctx, function, op, net):
    """Call the entry at the address `function` with the addresses of an op row and a descriptor."""

    def codegen(context, builder, sig, args):
        signature = ir.FunctionType(ir.VoidType(), [_I64, _I64])
        builder.call(builder.inttoptr(args[0], signature.as_pointer()), [args[1], args[2]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def flush_denormals(typingctx):
    """Make the CPU treat denormal numbers as zero; return the control word to restore later.

    A denormal operand makes an instruction some ten times slower, and saturated sigmoids and second
    moments near zero produce them by the thousand. Does nothing on other CPUs than x86 and 64-bit ARM.
    """

    def codegen(context, builder, sig, args):
        if target.is_x86():
            before = _read_mxcsr(builder)
            _write_mxcsr(builder, builder.or_(before, _I32(_MXCSR_FLUSH)))
        elif target.is_arm64():
            before = builder.trunc(_call_intrinsic(builder, "llvm.aarch64.get.fpcr", _I64), _I32)
            _write_fpcr(builder, builder.or_(before, _I32(_FPCR_FLUSH)))
        else:
            before = _I32(0)
        return before

    return types.int32(), codegen


@intrinsic
def restore_denormals(typingctx, before):
    """Set the CPU's floating-point control word to what `flush_denormals` returned."""

    def codegen(context, builder, sig, args):
        if target.is_x86():
            _write_mxcsr(builder, args[0])
        elif target.is_arm64():
            _write_fpcr(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int32), codegen


def _read_mxcsr(builder):
    word = cgutils.alloca_once(builder, _I32)
    _call_intrinsic(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), _bytes_at(builder, word))
    return builder.load(word)


def _write_mxcsr(builder, value):
    word = cgutils.alloca_once_value(builder, value)
    _call_intrinsic(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), _bytes_at(builder, word))


def _bytes_at(builder, place):
    return builder.bitcast(place, ir.IntType(8).as_pointer())


def _write_fpcr(builder, value):
    _call_intrinsic(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), builder.zext(value, _I64))


def _call_intrinsic(builder, name, result, *args):
    """Call an intrinsic of LLVM's for one kind of CPU."""
    signature = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(builder.module.declare_intrinsic(name, (), signature), args)


@intrinsic
def atomic_add(typingctx, address, value):
    """Add `value` to the int64 at `address` as one step; return the sum."""

    def codegen(context, builder, sig, args):
        pointer = builder.inttoptr(args[0], _I64.as_pointer())
        before = builder.atomic_rmw("add", pointer, args[1], "seq_cst")
        return builder.add(before, args[1])

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def atomic_load(typingctx, address):
    """Value of the int64 at `address`, with all that was written before it."""

    def codegen(context, builder, sig, args):
        pointer = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(types.int64), codegen


@intrinsic
def spin_hint(typingctx):
    """Tell the CPU that this thread waits in a loop."""

    def codegen(context, builder, sig, args):
        if target.is_x86():
            _call_intrinsic(builder, "llvm.x86.sse2.pause", ir.VoidType())
        elif target.is_arm64():  # hint 1 is the instruction YIELD
            _call_intrinsic(builder, "llvm.aarch64.hint", ir.VoidType(), _I32(1))
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def yield_thread(typingctx):
    """Let the operating system run another thread."""

    def codegen(context, builder, sig, args):
        name = "SwitchToThread" if target.is_windows() else "sched_yield"
        signature = ir.FunctionType(_I32, [])
        builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _fma(typingctx, a, b, c):
    def codegen(context, builder, sig, args):
        return builder.fma(*args)

    return a(a, a, a), codegen


@intrinsic
def _bits(typingctx, x):
    as_integer = types.uint32 if x == types.float32 else types.uint64

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], context.get_data_type(as_integer))

    return as_integer(x), codegen


@intrinsic
def _from_bits(typingctx, n):
    as_float = types.float32 if n == types.uint32 else types.float64

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], context.get_data_type(as_float))

    return as_float(n), codegen


def _pairs(multiply_add, square, coefficients, x):
    """Polynomial by G. Estrin's scheme: pairs of terms first, which do not wait for each other."""
    terms = list(coefficients)[::-1]
    while len(terms) > 1:
        last = terms[len(terms) & ~1 :]
        terms = [multiply_add(b, x, a) for a, b in zip(terms[::2], terms[1::2], strict=False)] + last
        if len(terms) > 1:
            x = square(x)
    return terms[0]


@intrinsic
def _polynomial(typingctx, coefficients, x):
    def codegen(context, builder, sig, args):
        terms = cgutils.unpack_tuple(builder, args[0], len(coefficients))
        return _pairs(builder.fma, lambda x: builder.fmul(x, x), terms, args[1])

    return x(coefficients, x), codegen


def _one_by_one(multiply_add, coefficients, x):
    """Polynomial by W. Horner's scheme: no multiplications besides, but each term waits for the last."""
    return functools.reduce(lambda total, term: multiply_add(total, x, term), coefficients)


@intrinsic
def _horner(typingctx, coefficients, x):
    def codegen(context, builder, sig, args):
        terms = cgutils.unpack_tuple(builder, args[0], len(coefficients))
        return _one_by_one(builder.fma, terms, args[1])

    return x(coefficients, x), codegen


if INTERPRETED:

    def polynomial(coefficients, x):
        """Polynomial in `x`; `coefficients` is a tuple, the highest power's first."""
        return _pairs(fma, lambda x: x * x, coefficients, x)

    def horner(coefficients, x):
        """The same, in fewer instructions, for long loops: see `_one_by_one`."""
        return _one_by_one(fma, coefficients, x)

    def fma(a, b, c):
        """``a * b + c`` with one rounding; here of a longer number, or with two where there is none."""
        return type(a)(np.longdouble(a) * np.longdouble(b) + np.longdouble(c))

    def element(address, index, dtype):
        """Address of element `index` of an array of `dtype` that begins at `address`."""
        return address + index * np.dtype(dtype).itemsize

    def flat(array):
        """The elements of an array in C order, as an array of one dimension over the same memory."""
        return array.reshape(-1)

    def bits(x):
        """Unsigned integer with the same bits as the float `x`."""
        return x.view(np.uint32 if x.dtype == np.float32 else np.uint64)

    def from_bits(n):
        """Float with the same bits as the unsigned integer `n`."""
        return n.view(np.float32 if n.dtype == np.uint32 else np.float64)

else:
    fma, flat, bits, from_bits, polynomial = _fma, _flat, _bits, _from_bits, _polynomial
    element, horner = _element, _horner
