"""Counter-based random numbers: a function of (seed, stream, step, index), with no state of its own.

Philox4x32-10 of J. Salmon, M. Moraes, R. Dror and D. Shaw, *Parallel random numbers: as easy as
1, 2, 3*, SC'11. A number does not depend on which were drawn before it, so that a mask is the same
however the batch is divided, and training resumes where it stopped.
"""

import numpy as np

from ..abi.entries import entry
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import view

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)

#: Streams: the shuffle's, then one a layer from `LAYERS` on.
SHUFFLE = 0
LAYERS = 1


@force_inline
def philox(seed, stream, step, block):
    """Four random uint32 numbers (each in a uint64) of the given counter; all arguments uint64."""
    c0, c1 = block & _LOW, stream & _LOW
    c2, c3 = step & _LOW, step >> _32
    k0, k1 = seed & _LOW, seed >> _32
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@force_inline
def number(seed, stream, step, index):
    """Random uint32 number (in a uint64) at a position of a stream; all arguments uint64."""
    a, b, c, d = philox(seed, stream, step, index >> _TWO)
    lane = index & _THREE
    low = b if lane == _ONE else a
    high = d if lane == _THREE else c
    return high if lane >= _TWO else low


@kernel
def shuffle(seed, epoch, order):
    """Write a random permutation of ``range(order.size)`` into `order`, an int64 array.

    Fisher and Yates' shuffle (D. Knuth, *The Art of Computer Programming* 2, algorithm P).
    """
    for i in range(order.size):
        order[i] = i
    seed, epoch, stream = np.uint64(seed), np.uint64(epoch), np.uint64(SHUFFLE)
    for i in range(order.size - 1, 0, -1):
        position = np.uint64(i)
        # A random 32-bit number times (i + 1), divided by 2**32, lies in 0 ... i.
        j = np.int64((number(seed, stream, epoch, position) * (position + _ONE)) >> _32)
        order[i], order[j] = order[j], order[i]


@entry()
def shuffle_entry(net, T):
    """`order` is written as in the training loop, for an epoch that is resumed."""
    shuffle(net.seed, net.epoch, view(net.order, net.n_samples, np.int64))
