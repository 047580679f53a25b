"""Derivatives of the outputs, by the inputs and by the parameters, for a network in compiled code.

All go back through the ops as training does, with a gradient of the outputs that is given instead of
that of a loss. Dropout does not drop.
"""

from ..abi import descriptor as d
from ..abi import oprow
from ..abi.tensors import op_row, slots, tensor
from ..driver.rows import backward, forward
from ..lowlevel._jit import kernel
from ..lowlevel.simd import flush_denormals, restore_denormals, view


@kernel
def _place_rows(net, position):
    """Make so many rows from `position` on as the workspace holds the rows at hand."""
    net[d.ROWS] = min(net[d.PREDICT_BATCH], net[d.N_SAMPLES] - position)
    net[d.INPUT] = net[d.X] + position * net[d.N_FEATURES] * net[d.ITEMSIZE]


@kernel
def _copy(source, target):
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
    """Op: X, Y (the gradient by the outputs) -> OUTPUT holds that by the inputs; for all samples."""

    def input_gradient(_, net_address):
        net, _ = slots(net_address)
        n_in, n_out = net[d.N_FEATURES], net[d.N_OUTPUTS]
        first, _ = op_row(net[d.INPUT_OPS])
        last, _ = op_row(net[d.INPUT_OPS] + 8 * oprow.SIZE * (net[d.N_OPS] - 1))
        mode = flush_denormals()
        net[d.INPUT_ONLY] = 1
        for position in range(0, net[d.N_SAMPLES], net[d.PREDICT_BATCH]):
            _place_rows(net, position)
            rows, itemsize = net[d.ROWS], net[d.ITEMSIZE]
            forward(net[d.INPUT_OPS], net)
            given = view(net[d.Y] + position * n_out * itemsize, (rows, n_out), T)
            _copy(given, tensor(net, last[oprow.DY], n_out, T))
            backward(net[d.INPUT_OPS], net)
            result = view(net[d.OUTPUT] + position * n_in * itemsize, (rows, n_in), T)
            _copy(tensor(net, first[oprow.DX], n_in, T), result)
        net[d.INPUT_ONLY] = 0
        restore_denormals(mode)

    return input_gradient


def jacobian_entry(T):
    """Op: X -> OUTPUT holds the derivatives of all outputs by all inputs, (n_samples, n_out, n_in)."""

    def jacobian(_, net_address):
        net, _ = slots(net_address)
        n_in, n_out = net[d.N_FEATURES], net[d.N_OUTPUTS]
        first, _ = op_row(net[d.INPUT_OPS])
        last, _ = op_row(net[d.INPUT_OPS] + 8 * oprow.SIZE * (net[d.N_OPS] - 1))
        mode = flush_denormals()
        net[d.INPUT_ONLY] = 1
        for position in range(0, net[d.N_SAMPLES], net[d.PREDICT_BATCH]):
            _place_rows(net, position)
            forward(net[d.INPUT_OPS], net)
            place = net[d.OUTPUT] + position * n_out * n_in * net[d.ITEMSIZE]
            result = view(place, (net[d.ROWS], n_out, n_in), T)
            for j in range(n_out):
                _one_output(j, tensor(net, last[oprow.DY], n_out, T))
                backward(net[d.INPUT_OPS], net)
                _copy_output(tensor(net, first[oprow.DX], n_in, T), j, result)
        net[d.INPUT_ONLY] = 0
        restore_denormals(mode)

    return jacobian


def parameter_jacobian_entry(T):
    """Op: X -> OUTPUT: derivatives of all outputs by the parameters, (n_samples, n_out, n_parameters).

    Each sample is a batch of its own, whose gradient is written where it belongs.
    """

    def parameter_jacobian(_, net_address):
        net, _ = slots(net_address)
        n_out, kept = net[d.N_OUTPUTS], net[d.ROWS_GRADIENT]
        last, _ = op_row(net[d.OUTPUT_OPS] + 8 * oprow.SIZE * (net[d.N_OPS] - 1))
        mode = flush_denormals()
        net[d.ROWS], net[d.INPUT], net[d.ROWS_GRADIENT] = 1, net[d.X], net[d.OUTPUT]
        for _ in range(net[d.N_SAMPLES] if net[d.N_PARAMETERS] > 0 else 0):
            forward(net[d.OUTPUT_OPS], net)
            for j in range(n_out):
                _one_output(j, tensor(net, last[oprow.DY], n_out, T))
                backward(net[d.OUTPUT_OPS], net)
                net[d.ROWS_GRADIENT] += net[d.N_PARAMETERS] * net[d.ITEMSIZE]
            net[d.INPUT] += net[d.N_FEATURES] * net[d.ITEMSIZE]
        net[d.ROWS_GRADIENT] = kept
        restore_denormals(mode)

    return parameter_jacobian
