"""Numbers that the processes of a data-parallel fit tell each other in the middle of a step.

Each has a message, which begins with how many rows its numbers are of. All processes make the same exchanges
in the same order; one that has no rows of a batch takes part with a message of none. What `net.exchange`
calls moves the messages, and adds nothing up.
"""

import numpy as np

from ..lowlevel._jit import force_inline, inline_ir
from ..lowlevel.simd import address, call, view

_HEAD = 8  # bytes


@force_inline
def speaks_for_team(net):
    """Whether this is the thread that exchanges messages, the first."""
    return net.team == 1 or address(net) == net.workers


@inline_ir
def rows_of(net, rank):
    """How many rows the message of a process is of: an array of shape (1,)."""
    return view(net.messages + rank * net.message_size, 1, np.float64)


@inline_ir
def numbers_of(net, rank, shape, T):
    """The numbers of its message."""
    return view(net.messages + rank * net.message_size + _HEAD, shape, T)


@force_inline
def exchange(net):
    """Let all processes have each other's messages. Only one thread of a team calls this."""
    call(net.exchange, 0, address(net))
