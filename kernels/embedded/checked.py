"""The functions of `unchecked`, which first check sizes and addresses of the arrays.

They answer with a `Status` and cost some nanoseconds more. Where it is neither `Status.OK` nor
`Status.NOT_FINITE` nothing was written: whatever the arrays' sizes, no other memory is read or written.
Values are not checked, except for class numbers, indices of an `Embedding`, and the loss.
"""

import math

from ..abi import descriptor as d
from ..abi import oprow
from ..abi.status import Status
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import address, call
from . import unchecked
from .arguments import are_apart, is_state_of, is_whole, network_slots, row_width, rows_of, targets_of


@force_inline
def _rows_fit(array, x, width):
    """Whether `array` has `width` numbers a sample: (n, width), (n, *shape), or (width,) for x of (n_in,)."""
    if x.ndim >= 2:
        return array.ndim >= 2 and array.shape[0] == x.shape[0] and row_width(array) == width
    return array.ndim == 1 and array.size == width


@force_inline
def _are_samples(slots, x):
    """Whether `x` is of the shape of samples, and has indices where layers take them; writes `slots`."""
    if not _rows_fit(x, x, slots[d.N_FEATURES]):
        return False
    if slots[d.CHECK_INDICES] != 0:
        slots[d.INPUT], slots[d.ROWS] = address(x), rows_of(slots, x)
        call(slots[d.CHECK_INDICES], 0, address(slots))
        return slots[d.STATUS] == d.OK
    return True


@force_inline
def _matrices_fit(array, x, height, width):
    """The same for a matrix a sample: (n, height, width), or (height, width)."""
    if x.ndim >= 2:
        return (
            array.ndim == 3
            and array.shape[0] == x.shape[0]
            and array.shape[1] == height
            and array.shape[2] == width
        )
    return array.ndim == 2 and array.shape[0] == height and array.shape[1] == width


@force_inline
def _may_be_written(net, out, x):
    """Whether `out` has no memory in common with the samples and the weights."""
    return are_apart(out, x) and are_apart(out, net.parameters)


@kernel
def forward_checked(net, x, out):
    """`fastnn.forward`, if all shapes are right.

    Returns
    -------
    Status
        `OK`, `WRONG_NETWORK`, `WRONG_X` or `WRONG_OUT`.
    """
    slots = network_slots(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _are_samples(slots, x):
        return Status.WRONG_X
    if not (_rows_fit(out, x, slots[d.N_OUTPUTS]) and _may_be_written(net, out, x)):
        return Status.WRONG_OUT
    unchecked.forward(net, x, out)
    return Status.OK


@kernel
def input_gradient_checked(net, x, dy, dx):
    """`fastnn.input_gradient`, if all shapes are right.

    Returns
    -------
    Status
        `OK`, `WRONG_NETWORK`, `WRONG_X`, `WRONG_Y` for `dy`, or `WRONG_OUT` for `dx`.
    """
    slots = network_slots(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _are_samples(slots, x):
        return Status.WRONG_X
    if not _rows_fit(dy, x, slots[d.N_OUTPUTS]):
        return Status.WRONG_Y
    if not (_rows_fit(dx, x, slots[d.N_FEATURES]) and _may_be_written(net, dx, x) and are_apart(dx, dy)):
        return Status.WRONG_OUT
    unchecked.input_gradient(net, x, dy, dx)
    return Status.OK


@kernel
def jacobian_checked(net, x, jac):
    """`fastnn.jacobian`, if all shapes are right.

    Returns
    -------
    Status
        `OK`, `WRONG_NETWORK`, `WRONG_X`, or `WRONG_OUT` for `jac`.
    """
    slots = network_slots(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _are_samples(slots, x):
        return Status.WRONG_X
    fits = _matrices_fit(jac, x, slots[d.N_OUTPUTS], slots[d.N_FEATURES])
    if not (fits and _may_be_written(net, jac, x)):
        return Status.WRONG_OUT
    unchecked.jacobian(net, x, jac)
    return Status.OK


@kernel
def parameter_jacobian_checked(net, x, jac):
    """`fastnn.parameter_jacobian`, if all shapes are right.

    Returns
    -------
    Status
        `OK`, `WRONG_NETWORK`, `WRONG_X`, or `WRONG_OUT` for `jac`.
    """
    slots = network_slots(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _are_samples(slots, x):
        return Status.WRONG_X
    rows = rows_of(slots, x) * slots[d.N_OUTPUTS]
    one_below_the_other = jac.ndim == 2 and jac.shape[0] == rows and jac.shape[1] == slots[d.N_PARAMETERS]
    fits = one_below_the_other or _matrices_fit(jac, x, slots[d.N_OUTPUTS], slots[d.N_PARAMETERS])
    if not (fits and _may_be_written(net, jac, x)):
        return Status.WRONG_OUT
    unchecked.parameter_jacobian(net, x, jac)
    return Status.OK


@force_inline
def _are_classes(y, n_out):
    """Whether all numbers of `y`, of shape (n, 1) or (n,), are classes."""
    for i in range(y.shape[0]):
        c = y[i, 0] if y.ndim == 2 else y[i]
        if not (0 <= c < n_out and c == math.floor(c)):
            return False
    return True


@force_inline
def _batch_status(net, x, y):
    """Whether all of `x` and `y` can be the batch."""
    slots, width = network_slots(net), targets_of(x, y)
    rows = rows_of(slots, x)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if slots[d.LOSS_AND_GRADIENT] == 0:
        return Status.NO_LOSS
    if not (_are_samples(slots, x) and are_apart(x, net.gradients)):
        return Status.WRONG_X
    n_out = slots[d.N_OUTPUTS]
    is_class = slots[d.CLASS_TARGETS] == 1 and width == 1
    height = y.shape[0] if y.ndim >= 2 or x.ndim >= 2 else 1
    if height != rows or not (width == n_out or is_class) or not are_apart(y, net.gradients):
        return Status.WRONG_Y
    if not 0 < rows <= slots[d.BATCH_SIZE]:
        return Status.WRONG_BATCH
    if is_class and not _are_classes(y, n_out):
        return Status.WRONG_CLASS
    return Status.OK


@kernel
def loss_and_gradient_checked(net, x, y):
    """`fastnn.loss_and_gradient`, if the batch is right; the loss is in `net.loss[0]`.

    Returns
    -------
    Status
        `OK`, `NOT_FINITE`, `WRONG_NETWORK`, `WRONG_X`, `WRONG_Y`, `WRONG_BATCH`, `WRONG_CLASS` or
        `NO_LOSS`.
    """
    status = _batch_status(net, x, y)
    if status == Status.OK and not math.isfinite(unchecked.loss_and_gradient(net, x, y)):
        return Status.NOT_FINITE
    return status


@kernel
def train_step_checked(net, optimizer_state, x, y):
    """`fastnn.train_step`, if the batch is right; the loss before the step is in `net.loss[0]`.

    Returns
    -------
    Status
        `OK`, `NOT_FINITE` (no step was made), `WRONG_NETWORK`, `WRONG_X`, `WRONG_Y`, `WRONG_BATCH`,
        `WRONG_CLASS`, `WRONG_STATE` or `NO_LOSS`.
    """
    status = _batch_status(net, x, y)
    if status != Status.OK:
        return status
    size = optimizer_state.rows[0, oprow.STATE] * network_slots(net)[d.N_PARAMETERS]
    if not is_state_of(net, optimizer_state) or optimizer_state.vectors.size != size:
        return Status.WRONG_STATE
    if not math.isfinite(unchecked.train_step(net, optimizer_state, x, y)):
        return Status.NOT_FINITE
    return status
