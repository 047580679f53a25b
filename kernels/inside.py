"""A network inside the user's compiled code."""

from . import descriptor as d
from ._jit import kernel
from .simd import address, call


@kernel
def forward(net, x, out):
    """Write the network's output for `x` into `out`; nothing is checked or allocated.

    For functions compiled by Numba, which may be cached; it can be called from Python too. Shapes,
    dtype and C order must be right: other memory is read or written otherwise.

    Parameters
    ----------
    net : Network
        Of `Model.network`; used by one thread at a time.
    x : array of shape (n, n_in), or (n_in,) for one sample
        Of the model's dtype, C order.
    out : array of shape (n, n_out) or (n_out,)
        Written. Of the model's dtype, C order.
    """
    slots = net.descriptor
    slots[d.X], slots[d.OUTPUT] = address(x), address(out)
    slots[d.N_SAMPLES] = x.size // slots[d.N_FEATURES]
    call(slots[d.PREDICT], 0, address(slots))
