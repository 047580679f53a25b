"""Derivatives of the outputs, by the inputs and by the parameters, for a network in compiled code.

All go back through the ops as training does, with a gradient of the outputs that is given instead of
that of a loss. Dropout does not drop.
"""

from ..abi.descriptor import DESCRIPTOR
from ..abi.oprow import OP
from ..abi.tensors import tensor
from ..driver.rows import backward, forward
from ..lowlevel._jit import kernel
from ..lowlevel.simd import flush_denormals, record, record_at, restore_denormals, view


@kernel
def _place_rows(net, position):
    """Make so many rows from `position` on as the workspace holds the rows at hand."""
    net.rows = min(net.predict_batch, net.n_samples - position)
    net.input = net.x + position * net.n_features * net.itemsize


@kernel
def copy(source, target):
    """Write `target`, an array of the same shape (rows, n)."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@kernel
def _one_output(j, dy):
    """Write `dy`, of shape (rows, n_out): 1 for output j of each row, 0 for the others."""
    for i in range(dy.shape[0]):
        for k in range(dy.shape[1]):
            dy[i, k] = dy.dtype.type(1) if k == j else dy.dtype.type(0)


@kernel
def _copy_output(dx, j, jacobian):
    """Write ``jacobian[:, j]``, of an array (rows, n_out, n_in)."""
    for i in range(dx.shape[0]):
        for k in range(dx.shape[1]):
            jacobian[i, j, k] = dx[i, k]


def input_gradient_entry(T):
    """`x`, `y` (the gradient with respect to the outputs) -> `output`: that with respect to the inputs."""

    def input_gradient(_, net_address):
        net = record(net_address, DESCRIPTOR)
        n_in, n_out = net.n_features, net.n_outputs
        first = record(net.input_ops, OP)
        last = record_at(net.input_ops, net.n_ops - 1, OP)
        mode = flush_denormals()
        net.input_only = 1
        for position in range(0, net.n_samples, net.predict_batch):
            _place_rows(net, position)
            rows, itemsize = net.rows, net.itemsize
            forward(net.input_ops, net)
            given = view(net.y + position * n_out * itemsize, (rows, n_out), T)
            copy(given, tensor(net, last.dy, n_out, T))
            backward(net.input_ops, net)
            result = view(net.output + position * n_in * itemsize, (rows, n_in), T)
            copy(tensor(net, first.dx, n_in, T), result)
        net.input_only = 0
        restore_denormals(mode)

    return input_gradient


def jacobian_entry(T):
    """`x` -> `output`: derivatives of all outputs by all inputs, (n_samples, n_out, n_in)."""

    def jacobian(_, net_address):
        net = record(net_address, DESCRIPTOR)
        n_in, n_out = net.n_features, net.n_outputs
        first = record(net.input_ops, OP)
        last = record_at(net.input_ops, net.n_ops - 1, OP)
        mode = flush_denormals()
        net.input_only = 1
        for position in range(0, net.n_samples, net.predict_batch):
            _place_rows(net, position)
            forward(net.input_ops, net)
            place = net.output + position * n_out * n_in * net.itemsize
            result = view(place, (net.rows, n_out, n_in), T)
            for j in range(n_out):
                _one_output(j, tensor(net, last.dy, n_out, T))
                backward(net.input_ops, net)
                _copy_output(tensor(net, first.dx, n_in, T), j, result)
        net.input_only = 0
        restore_denormals(mode)

    return jacobian


def parameter_jacobian_entry(T):
    """`x` -> `output`: derivatives of all outputs by the parameters, (n_samples, n_out, n_parameters).

    Each sample is a batch of its own, whose gradient is written where it belongs.
    """

    def parameter_jacobian(_, net_address):
        net = record(net_address, DESCRIPTOR)
        n_out, kept = net.n_outputs, net.rows_gradient
        last = record_at(net.output_ops, net.n_ops - 1, OP)
        mode = flush_denormals()
        net.rows, net.input, net.rows_gradient = 1, net.x, net.output
        for _ in range(net.n_samples if net.n_parameters > 0 else 0):
            forward(net.output_ops, net)
            for j in range(n_out):
                _one_output(j, tensor(net, last.dy, n_out, T))
                backward(net.output_ops, net)
                net.rows_gradient += net.n_parameters * net.itemsize
            net.input += net.n_features * net.itemsize
        net.rows_gradient = kept
        restore_denormals(mode)

    return parameter_jacobian
