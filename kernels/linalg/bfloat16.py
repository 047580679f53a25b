"""Matrix products C = start + A B of float32 matrices that are rounded to bfloat16; the sums are float32.

P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018. The entries take the arguments of
`gemm.product_entry`, so that an op row with the address of one of them computes in bfloat16.

Parts of B and of A are rounded and copied together (`bfloat16_pack`), as in `gemm`. Each element of C is
summed up in an order that follows from k alone, so that a row of C does not depend on the rows around it.
The two entries do not give the same bits: AMX sums up the even and the odd numbers of each 32 by themselves.
"""

import numpy as np

from ..abi.oprow import PACK_SIZE
from ..lowlevel._jit import inline_ir
from ..lowlevel.simd import view
from .bfloat16_pack import DEPTH, LANES, SQUARE_BYTES, pack_squares
from .bfloat16_tile import PART, configure, multiply_pairs, multiply_tiles, release

# So many squares fit into `pack`. Those of a part, at most so many along k, stay in the first cache.
_SQUARES, _LONGEST = 4 * PACK_SIZE // SQUARE_BYTES, 8
# Of `gemm.product_entry`.
_ARGUMENTS = 12


@inline_ir
def _product(by_tiles, m, n, k, a, a_row, a_step, b, b_row, b_step, start, c, pack):
    # Writes C and `pack`. Of B as many columns are copied as leave half of `pack` to A.
    squares = max(min((k + DEPTH - 1) // DEPTH, _LONGEST), 1)
    stride, deep, most = squares * SQUARE_BYTES, squares * DEPTH, _SQUARES // squares
    b_squares = min((n + LANES - 1) // LANES, most // 2)
    width, height = b_squares * LANES, (most - b_squares) * LANES
    a_pack = pack + b_squares * stride
    for i in range(0, max(k, 1), deep):  # an empty sum still writes its start
        depth = min(deep, k - i)
        along = (depth + DEPTH - 1) // DEPTH
        for j in range(0, n, width):
            columns = min(width, n - j)
            pack_squares(False, b + 4 * (i * b_row + j * b_step), b_step, b_row, columns, depth, pack, stride)
            for r in range(0, m, height):
                rows = min(height, m - r)
                if j == 0 or m > height:
                    source = a + 4 * (r * a_row + i * a_step)
                    pack_squares(True, source, a_row, a_step, rows, depth, a_pack, stride)
                tall, wide = 0, 0
                for y in range(0, columns, PART):
                    for x in range(0, rows, PART):
                        if by_tiles and (tall != min(PART, rows - x) or wide != min(PART, columns - y)):
                            configure(min(PART, rows - x), min(PART, columns - y))
                        tall, wide = min(PART, rows - x), min(PART, columns - y)
                        to = c + 4 * ((r + x) * n + j + y)
                        begin, begin_row = start + 4 * (j + y) if start != 0 else 0, 0
                        if i > 0:
                            begin, begin_row = to, 4 * n
                        of_a, of_b = a_pack + x // LANES * stride, pack + y // LANES * stride
                        if by_tiles:
                            multiply_tiles(tall, wide, along, of_a, of_b, stride, begin, begin_row, to, 4 * n)
                        else:
                            multiply_pairs(tall, wide, along, of_a, of_b, stride, begin, begin_row, to, 4 * n)
    if by_tiles:
        release()


def _entry(by_tiles):
    def factory(T):
        def product_op(arguments, _):
            x = view(arguments, _ARGUMENTS, np.int64)
            _product(
                by_tiles, x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11]
            )  # fmt: skip

        return product_op

    return factory


#: By AMX, and by AVX512-BF16 alone.
tiles_entry, pairs_entry = _entry(True), _entry(False)
