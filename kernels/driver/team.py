"""The team: threads that make the same compiled call, each with a number of its own.

Between two barriers every thread does its part of a step. A barrier is one counter of arrivals that
is never set back: arrival k of a team of T opens the barrier when the counter reaches the next
multiple of T. A thread that waits spins for a moment, then lets the operating system run others, so
that more threads than CPUs are slow but not stuck.
"""

from ..abi import descriptor as d
from ..abi.tensors import slots
from ..lowlevel._jit import force_inline, inline_ir, kernel
from ..lowlevel.simd import atomic_add, atomic_load, spin_hint, yield_thread

_SPINS = 2000


@force_inline
def wait_for_team(net):
    """Return True when all threads of the team have called this, False if the team gives up."""
    return net[d.TEAM] == 1 or _wait(net)


@kernel
def _wait(net):
    team, counter = net[d.TEAM], net[d.BARRIER]
    arrival = atomic_add(counter, 1)
    target = (arrival + team - 1) // team * team
    spins = 0
    while atomic_load(counter) < target and atomic_load(net[d.ABORT]) == 0:
        spins += 1
        if spins < _SPINS:
            spin_hint()
        else:
            yield_thread()
    # A barrier that is open counts, whatever came after: half a team must not make half an update.
    return atomic_load(counter) >= target


@inline_ir
def worker_slots(net, thread):
    """Descriptor of a thread: (int64 view, float64 view of the same memory)."""
    return slots(net[d.WORKERS] + 8 * d.SIZE * thread)


@kernel
def prepare_worker(net, thread):
    """Copy the slots that all threads share to this thread's descriptor."""
    own, _ = worker_slots(net, thread)
    for i in range(d.SHARED):
        own[i] = net[i]
    own[d.FIRST_WEIGHT], own[d.N_WEIGHTS], own[d.INPUT_ONLY] = 0, d.ALL, 0


@force_inline
def share(number, thread, team):
    """Where this thread's share of so many things begins."""
    return number if thread == team else (0 if thread == 0 else number * thread // team)
