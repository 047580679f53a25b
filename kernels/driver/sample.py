"""Prediction by many samples of a network whose dropout drops: see `layers.dropout`."""

from ..abi.descriptor import DESCRIPTOR
from ..abi.oprow import OP
from ..lowlevel._jit import kernel
from ..lowlevel.simd import flush_denormals, record, record_at, restore_denormals
from .rows import call_kernel


@kernel
def _forward_some(first, end, net):
    """Compute the outputs of some of the ops, for the rows at hand."""
    for i in range(first, end):
        op = record_at(net.predict_ops, i, OP)
        call_kernel(op.forward, op, net)


def sample_entry(T):
    """`output` is written: `n_draws` outputs for all rows, those of draw number `step` first.

    What comes before the first op that drops is computed once for `predict_batch` rows. The number of the
    thread is not used.
    """

    def sample(thread, net_address):
        net = record(net_address, DESCRIPTOR)
        mode = flush_denormals()
        first, output, n = net.step, net.output, net.n_samples
        for position in range(0, n, net.predict_batch):
            net.position, net.rows = position, min(net.predict_batch, n - position)
            net.input = net.x + position * net.n_features * net.itemsize
            _forward_some(0, net.common_ops, net)
            place = output + position * net.n_outputs * net.itemsize
            for k in range(net.n_draws):
                net.step, net.output = first + k, place + k * net.draw_bytes
                _forward_some(net.common_ops, net.n_ops, net)
        restore_denormals(mode)

    return sample
