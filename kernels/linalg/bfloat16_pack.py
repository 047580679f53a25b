"""Parts of a float32 matrix, rounded to bfloat16 and copied together, for the matrix product.

They are copied as *squares* of 16 rows of 16 pairs, 1 KB each. A pair is two numbers that follow each other
along k. In a square of A a row is part of a row of the matrix; in one of B the columns are part of its
columns. `vdpbf16ps` and AMX both read them as they lie.
"""

from numba import types
from numba.extending import intrinsic

from ..lowlevel._jit import kernel
from ..lowlevel.bfloat16_ir import pairs_across, pairs_along
from ..lowlevel.vector_ir import I64, Vectors
from .tile import emit_function

#: Rows or columns of a square, its numbers along k, and its bytes.
LANES, DEPTH, SQUARE_BYTES = 16, 32, 1024


def _square(reads, transposed):
    """An intrinsic that writes a square at the address `target`.

    It reads rows that begin `step` elements apart. There are `rows` of them, of `count` numbers, and no more
    is read. `reads` makes the 16 vectors of pairs out of them.
    """

    def append(builder, number, itemsize, source, step, rows, count, target):
        v = Vectors(builder, number, itemsize)
        source, target = v.pointer(source), v.pointer(target)
        height, width = (LANES, DEPTH) if reads is _along else (DEPTH, LANES)
        tall = builder.icmp_signed(">=", rows, I64(height))
        wide = builder.icmp_signed(">=", count, I64(width))
        with builder.if_else(builder.and_(tall, wide), likely=True) as branches:
            for branch, whole in zip(branches, (True, False), strict=True):
                with branch:
                    pairs = reads(v, source, step, rows, count, whole)
                    for r, vector in enumerate(v.transpose(pairs) if transposed else pairs):
                        v.store(vector, v.at(target, I64(r * LANES)))
        builder.ret_void()

    @intrinsic
    def square(typingctx, source, step, rows, count, target):
        def codegen(context, builder, sig, args):
            name = f"square{reads.__name__}{'_transposed' if transposed else ''}"
            return emit_function(context, builder, name, args, types.float32, append)

        return types.void(source, step, rows, count, target), codegen

    return square


def _along(v, source, step, rows, count, whole):
    """Pairs of neighbours in each of 16 rows. Numbers that are missing are zeros, rows the last one again."""
    builder = v.builder
    masks = [None if whole else v.first_lanes(builder.sub(count, I64(first))) for first in (0, LANES)]
    last, result = builder.sub(rows, I64(1)), []
    for r in range(LANES):
        number = I64(r) if whole else builder.select(builder.icmp_signed("<", I64(r), rows), I64(r), last)
        row = builder.gep(source, [builder.mul(step, number)])
        first, second = (v.load(v.at(row, I64(LANES * i)), mask) for i, mask in enumerate(masks))
        result.append(pairs_along(builder, first, second))
    return result


def _across(v, source, step, rows, count, whole):
    """Pairs of the numbers in two rows, of 32. Numbers that are missing are zeros."""
    builder, vectors = v.builder, []
    for r in range(DEPTH):
        exists = builder.icmp_signed("<", I64(r), rows)
        mask = None if whole else v.first_lanes(builder.select(exists, count, I64(0)))
        vectors.append(v.load(v.at(source, builder.mul(step, I64(r))), mask))
    return [pairs_across(builder, *pair) for pair in zip(vectors[::2], vectors[1::2], strict=True)]


_a_along, _b_along = _square(_along, transposed=False), _square(_along, transposed=True)
_a_across, _b_across = _square(_across, transposed=True), _square(_across, transposed=False)


@kernel
def pack_squares(of_a, source, step, k_step, count, depth, target, stride):
    """Write squares at `target`: those of 16 rows of A, or columns of B, side by side, the next `stride` on.

    Parameters
    ----------
    of_a : bool
        Whether they are of A.
    source : int
        Address of the first of `count` rows of A or columns of B.
    step, k_step : int
        Elements from one to the next, and from one number of it to the next; one of them is 1.
    depth : int
        Numbers of each. Those that a square has more are zeros.
    """
    if k_step == 1:
        for i in range(0, count, LANES):
            for k in range(0, depth, DEPTH):
                square = target + i // LANES * stride + k // DEPTH * SQUARE_BYTES
                place = source + 4 * (i * step + k)
                if of_a:
                    _a_along(place, step, count - i, depth - k, square)
                else:
                    _b_along(place, step, count - i, depth - k, square)
    else:
        for k in range(0, depth, DEPTH):
            for i in range(0, count, LANES):
                square = target + i // LANES * stride + k // DEPTH * SQUARE_BYTES
                place = source + 4 * (i + k * k_step)
                if of_a:
                    _a_across(place, k_step, depth - k, count - i, square)
                else:
                    _b_across(place, k_step, depth - k, count - i, square)
