"""Memory by first and last use: values whose lives do not meet lie in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Life(NamedTuple):
    """When memory is first written and last read, and how many numbers for each sample it holds."""

    width: int
    first: int
    last: int


def share(lives: Sequence[Life], *, same_width: bool) -> tuple[list[int], list[int]]:
    """Divide lives among blocks of memory so that no two in one block meet.

    Parameters
    ----------
    lives : sequence of Life
    same_width : bool
        Whether only lives of one width may share a block. It must be so where threads compute the rows of one
        memory without waiting for each other: with one width, a row is always in the same place, and no
        thread writes where another still reads.

    Returns
    -------
    blocks : list of int
        The number of each life's block.
    widths : list of int
        Numbers for each sample that a block has.
    """
    blocks = [0] * len(lives)
    widths: list[int] = []
    ends: list[int] = []  # the last use of each block so far
    for i in sorted(range(len(lives)), key=lambda i: lives[i].first):
        life = lives[i]
        free = [b for b, end in enumerate(ends) if end < life.first]
        fitting = [b for b in free if (widths[b] == life.width if same_width else widths[b] >= life.width)]
        if fitting:
            block = min(fitting, key=widths.__getitem__)
        elif free and not same_width:  # the widest grows
            block = max(free, key=widths.__getitem__)
            widths[block] = life.width
        else:
            block = len(widths)
            widths.append(life.width)
            ends.append(0)
        ends[block] = life.last
        blocks[i] = block
    return blocks, widths
