"""Back to the units of the target, y = x * scale + mean, and a loss in those of the network.

The loss of a network that ends so is computed from what goes into its last layer, and from the target
brought there: a target of any size then trains as one of mean 0 and variance 1 does. Metrics read the
output and the target as they are.
"""

from collections import namedtuple

from ..abi.entries import Op, entry
from ..abi.oprow import LOSS
from ..abi.tensors import constants, row_address, target_address, tensor
from ..lowlevel._jit import kernel
from ..lowlevel.simd import address, call, view

Loss = namedtuple("Loss", "forward_entry")


@kernel
def unscale_forward(x, mean, scale, y):
    """Write ``y = x * scale + mean``; x and y of shape (rows, n), mean and scale of shape (n,)."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] * scale[j] + mean[j]


@kernel
def unscale_backward(scale, dy, dx):
    """Write ``dx = dy * scale``; dx and dy of shape (rows, n), scale of shape (n,)."""
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = dy[i, j] * scale[j]


@kernel
def scale_target(target, mean, scale, scaled):
    """Write ``scaled = (target - mean) / scale``; target and scaled of shape (rows, n)."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            scaled[i, j] = (target[i, j] - mean[j]) / scale[j]


_op = Op(constants={"mean": "n_in", "scale": "n_in"})
forward_entry = _op.entry(unscale_forward, writes="y")
backward_input_entry = _op.entry(unscale_backward, writes="dx")


@entry(LOSS)
def _loss_entry(row, net, T):
    """The loss of the entry at `unscaled`, with the target scaled for as long, in `scaled_target`."""
    n = row.n_out
    mean, scale = constants(net, row, 0, n, T), constants(net, row, n, n, T)
    scaled = tensor(net, row.scaled_target, n, T)
    given = net.target
    scale_target(view(target_address(net, n, T), (net.rows, n), T), mean, scale, scaled)
    net.target = row_address(net, row.scaled_target, 0, n, T)
    call(row.unscaled, address(row), address(net))
    net.target = given


loss = Loss(_loss_entry)
