"""Seeded faults in the products in bfloat16, where the CPU has these: see `mutants`."""

from tests.guarantees.seeded_faults import compiled
from tests.helpers.bfloat16 import ENTRIES


def of(file, before, after):
    """A fault that the tests of the products notice."""
    return compiled(file, before, after, "kernels/test_bfloat16.py")


_ALWAYS = {
    "pairs the wrong way round": of("bfloat16_ir", "[second, first])\n", "[first, second])\n"),
    "what is missing along k is not zero": of(
        "bfloat16_pack",
        "builder.select(exists, count, I64(0))",
        "builder.select(exists, count, builder.sub(count, I64(1)))",
    ),
    "numbers behind the end of a row are read": of(
        "bfloat16_pack", "builder.sub(count, I64(first))", "builder.sub(count, I64(0))"
    ),
    "sums begin again behind the first squares": of("bfloat16", "if i > 0:", "if i > deep:"),
    "rows of A of the first columns alone": of("bfloat16", "if j == 0 or m > height:", "if j == 0:"),
    "next pair in the same square": of(
        "bfloat16_tile", "I64(SQUARE_BYTES - 4 * (LANES - 1))", "I64(4 * LANES - 4 * (LANES - 1))"
    ),
}
_OF_TILES = {
    "tiles of the shape of whole ones": of("bfloat16_tile", "second, I64(1))\n", "I64(LANES), I64(1))\n"),
    "start of the first rows of a tile alone": of(
        "bfloat16_tile", "place(start, start_row, i, j)", "place(start, start_row, 0, j)"
    ),
}
#: None where the tests are skipped.
BFLOAT16 = {**(_ALWAYS if ENTRIES else {}), **(_OF_TILES if "tiles" in ENTRIES else {})}
