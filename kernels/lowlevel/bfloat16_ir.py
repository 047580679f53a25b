"""Building LLVM IR with bfloat16 numbers: instructions of AVX512-BF16 and of AMX.

bfloat16 is the upper half of float32: its range, with 8 significant bits. A float is rounded to the
nearest, ties to even; NaN stays NaN, and denormal numbers become zeros, whatever the CPU is told otherwise.
Intel, *Architecture Instruction Set Extensions and Future Features Programming Reference*, 319433.
"""

from llvmlite import ir

_I8, _I16, _I32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
_LANES = 16


class _Bfloat16(ir.Type):
    """LLVM's ``bfloat``, which llvmlite has no class for."""

    def __str__(self):
        return "bfloat"

    def __eq__(self, other):
        return isinstance(other, _Bfloat16)

    def __hash__(self):
        return hash(_Bfloat16)


_NUMBERS = ir.VectorType(_Bfloat16(), 2 * _LANES)
_WORDS = ir.VectorType(_I16, 2 * _LANES)
#: Sixteen floats, or as many pairs of bfloat16 numbers.
_FLOATS = ir.VectorType(ir.FloatType(), _LANES)


def _call(builder, name, result, args):
    module = builder.module
    signature = ir.FunctionType(result, [arg.type for arg in args])
    function = module.globals.get(name) or ir.Function(module, signature, name)
    return builder.call(function, args)


def pairs_along(builder, first, second):
    """Pairs of neighbours among 32 floats, rounded."""
    numbers = _call(builder, "llvm.x86.avx512bf16.cvtne2ps2bf16.512", _NUMBERS, [second, first])
    return builder.bitcast(numbers, _FLOATS)


def pairs_across(builder, first, second):
    """Pairs of a float of `first` and the one of `second` in the same lane, rounded."""
    words = builder.bitcast(pairs_along(builder, first, second), _WORDS)
    lanes = [i // 2 + _LANES * (i % 2) for i in range(2 * _LANES)]
    mixed = builder.shuffle_vector(words, words, ir.Constant(ir.VectorType(_I32, 2 * _LANES), lanes))
    return builder.bitcast(mixed, _FLOATS)


def dot_pairs(builder, total, a, b):
    """`total`, and the products of both numbers of each pair: ``vdpbf16ps``."""
    a, b = builder.bitcast(a, _NUMBERS), builder.bitcast(b, _NUMBERS)
    return _call(builder, "llvm.x86.avx512bf16.dpbf16ps.512", _FLOATS, [total, a, b])


def byte_pointer(builder, address):
    """Pointer to bytes, out of an int64."""
    return builder.inttoptr(address, _I8.as_pointer())


def amx(builder, instruction, *args):
    """An instruction of AMX; Python integers are numbers of tile registers."""
    values = [ir.Constant(_I8, arg) if isinstance(arg, int) else arg for arg in args]
    _call(builder, f"llvm.x86.{instruction}", ir.VoidType(), values)


def configure_tiles(builder, memory, shapes):
    """Tell the CPU the shapes of its tile registers, by 64 bytes that are written at the pointer `memory`.

    `shapes` are pairs of int64 values, rows and columns of 4 bytes, of register 0, 1, ...
    """
    whole = ir.ArrayType(_I8, 64)
    builder.store(ir.Constant(whole, [1] + [0] * 63), builder.bitcast(memory, whole.as_pointer()))
    for tile, (rows, columns) in enumerate(shapes):
        row_bytes = builder.trunc(builder.shl(columns, columns.type(2)), _I16)
        place = builder.gep(memory, [ir.Constant(_I32, 16 + 2 * tile)])
        builder.store(row_bytes, builder.bitcast(place, _I16.as_pointer()))
        builder.store(builder.trunc(rows, _I8), builder.gep(memory, [ir.Constant(_I32, 48 + tile)]))
    amx(builder, "ldtilecfg", memory)
