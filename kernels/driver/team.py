"""The team: threads that make the same compiled call, each with a number of its own.

Between two barriers every thread does its part of a step. A barrier is one counter of arrivals that
is never set back: arrival k of a team of T opens the barrier when the counter reaches the next
multiple of T. A thread that waits spins for a moment, then lets the operating system run others, so
that more threads than CPUs are slow but not stuck.
"""

import numpy as np

from ..abi.descriptor import ALL, DESCRIPTOR, SHARED
from ..lowlevel._jit import force_inline, inline_ir, kernel
from ..lowlevel.simd import address, atomic_add, atomic_load, record_at, spin_hint, view, yield_thread

_SPINS = 2000


@force_inline
def wait_for_team(net):
    """Return True when all threads of the team have called this, False if the team gives up."""
    return net.team == 1 or _wait(net)


@kernel
def _wait(net):
    team, counter = net.team, net.barrier
    arrival = atomic_add(counter, 1)
    target = (arrival + team - 1) // team * team
    spins = 0
    while atomic_load(counter) < target and atomic_load(net.abort) == 0:
        spins += 1
        if spins < _SPINS:
            spin_hint()
        else:
            yield_thread()
    # A barrier that is open counts, whatever came after: half a team must not make half an update.
    return atomic_load(counter) >= target


@inline_ir
def worker(net, thread):
    """Descriptor of a thread; of one that is alone the call's own."""
    return net if net.team == 1 else record_at(net.workers, thread, DESCRIPTOR)


@kernel
def prepare_worker(net, thread):
    """Copy the fields that all threads share to this thread's descriptor."""
    if net.team == 1:
        return
    own = worker(net, thread)
    source, target = view(address(net), SHARED, np.int64), view(address(own), SHARED, np.int64)
    for i in range(SHARED):
        target[i] = source[i]
    own.first_weight, own.n_weights, own.input_only = 0, ALL, 0


@force_inline
def share(number, thread, team):
    """Where this thread's share of so many things begins."""
    return number if thread == team else (0 if thread == 0 else number * thread // team)
