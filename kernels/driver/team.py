"""The team: threads that make the same compiled call, each with a number of its own.

Between two barriers every thread does its part of a step. A barrier is one counter of arrivals that
is never set back: arrival k of a team of T opens the barrier when the counter reaches the next
multiple of T. A thread that waits spins for a moment, then lets the operating system run others, so
that more threads than CPUs are slow but not stuck.
"""

import numpy as np

from ..abi import descriptor as d
from ..lowlevel._jit import inline_ir, kernel
from ..lowlevel.simd import atomic_add, atomic_load, spin_hint, view, yield_thread
from .batch import block_size

_SPINS = 2000


@kernel
def wait_for_team(net):
    """Return True when all threads of the team have called this, False if the team gives up."""
    team = net[d.TEAM]
    if team == 1:
        return True
    counter = net[d.BARRIER]
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
def shard_slots(net, s):
    """Descriptor of shard `s`."""
    return view(net[d.SHARDS] + 8 * d.SIZE * s, d.SIZE, np.int64)


@kernel
def prepare_shards(net, thread):
    """Copy the shared slots to this thread's shards, and give it its part of the flat vector."""
    team, n = net[d.TEAM], net[d.N_PARAMETERS]
    start, end = 0, n
    if team > 1:  # otherwise without divisions, which small steps would feel
        block = block_size(net)
        start = min(thread * d.BLOCKS // team * block, n)
        end = min((thread + 1) * d.BLOCKS // team * block, n)
    s = thread
    while s < net[d.N_SHARDS]:  # `range` with a step divides, too
        shard = shard_slots(net, s)
        for i in range(d.SHARED):
            shard[i] = net[i]
        shard[d.PART_START], shard[d.PART_SIZE] = start, end - start
        s += team


@kernel
def place_batch(shard, s, step, position, rows):
    """Give shard `s` its part of the batch: `rows` rows of the data set from `position` on."""
    shards, first, end = shard[d.N_SHARDS], 0, rows
    if shards > 1:
        first, end = s * rows // shards, (s + 1) * rows // shards
    shard[d.STEP], shard[d.POSITION], shard[d.BATCH_ROWS] = step, position, rows
    shard[d.FIRST_ROW], shard[d.ROWS] = first, end - first
