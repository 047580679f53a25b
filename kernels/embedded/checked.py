"""The functions of `unchecked`, which first check sizes and addresses of the arrays.

They answer with a `Status` and cost some nanoseconds more. Where it is neither `Status.OK` nor
`Status.NOT_FINITE` nothing was written: whatever the arrays' sizes, no other memory is read or written.
Values are not checked, except for class numbers, indices of an `Embedding`, and the loss.
"""

import math

from ..abi.descriptor import OK
from ..abi.oprow import OPTIMIZER
from ..abi.status import Status
from ..driver.batch import is_finite
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import address, call, flat, record
from . import unchecked
from .arguments import are_apart, descriptor_of, is_state_of, is_whole, row_width, rows_of, targets_of


@force_inline
def _rows_fit(array, x, width):
    """Whether `array` has `width` numbers a sample: (n, width), (n, *shape), or (width,) for x of (n_in,)."""
    if x.ndim >= 2:
        return array.ndim >= 2 and array.shape[0] == x.shape[0] and row_width(array) == width
    return array.ndim == 1 and array.size == width


@force_inline
def _are_samples(descriptor, x):
    """Whether `x` is of the shape of samples, and has indices where layers take them."""
    if not _rows_fit(x, x, descriptor.n_features):
        return False
    if descriptor.check_indices != 0:
        descriptor.input, descriptor.rows = address(x), rows_of(descriptor, x)
        call(descriptor.check_indices, 0, address(descriptor))
        return descriptor.status == OK
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
    descriptor = descriptor_of(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _are_samples(descriptor, x):
        return Status.WRONG_X
    if not (_rows_fit(out, x, descriptor.n_outputs) and _may_be_written(net, out, x)):
        return Status.WRONG_OUT
    unchecked.forward(net, x, out)
    return Status.OK


@kernel
def step_checked(net, state, x, out):
    """`fastnn.step`, if all shapes are right.

    Returns
    -------
    Status
        `OK`, `WRONG_NETWORK`, also if it cannot run step by step, `WRONG_X`, `WRONG_STATE` or `WRONG_OUT`.
    """
    descriptor = descriptor_of(net)
    if not (is_whole(net) and net.step_ops.shape[0] > 0):
        return Status.WRONG_NETWORK
    if x.ndim > 2 or not _rows_fit(x, x, descriptor.step_features):
        return Status.WRONG_X
    rows = x.shape[0] if x.ndim == 2 else 1
    fits = state.ndim == 2 and state.shape[0] == rows and row_width(state) == descriptor.state_width
    if not (fits and are_apart(state, x) and are_apart(state, net.parameters)):
        return Status.WRONG_STATE
    fits = _rows_fit(out, x, descriptor.step_outputs)
    if not (fits and _may_be_written(net, out, x) and are_apart(out, state)):
        return Status.WRONG_OUT
    unchecked.step(net, state, x, out)
    return Status.OK


@kernel
def input_gradient_checked(net, x, dy, dx):
    """`fastnn.input_gradient`, if all shapes are right.

    Returns
    -------
    Status
        `OK`, `WRONG_NETWORK`, `WRONG_X`, `WRONG_Y` for `dy`, or `WRONG_OUT` for `dx`.
    """
    descriptor = descriptor_of(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _are_samples(descriptor, x):
        return Status.WRONG_X
    if not _rows_fit(dy, x, descriptor.n_outputs):
        return Status.WRONG_Y
    if not (_rows_fit(dx, x, descriptor.n_features) and _may_be_written(net, dx, x) and are_apart(dx, dy)):
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
    descriptor = descriptor_of(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _are_samples(descriptor, x):
        return Status.WRONG_X
    fits = _matrices_fit(jac, x, descriptor.n_outputs, descriptor.n_features)
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
    descriptor = descriptor_of(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _are_samples(descriptor, x):
        return Status.WRONG_X
    rows = rows_of(descriptor, x) * descriptor.n_outputs
    one_below_the_other = jac.ndim == 2 and jac.shape[0] == rows and jac.shape[1] == descriptor.n_parameters
    fits = one_below_the_other or _matrices_fit(jac, x, descriptor.n_outputs, descriptor.n_parameters)
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
    descriptor, width = descriptor_of(net), targets_of(x, y)
    rows = rows_of(descriptor, x)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if descriptor.loss_and_gradient == 0:
        return Status.NO_LOSS
    if not (_are_samples(descriptor, x) and are_apart(x, net.gradients)):
        return Status.WRONG_X
    is_class = descriptor.class_targets > 0 and width == 1
    height = y.shape[0] if y.ndim >= 2 or x.ndim >= 2 else 1
    if (
        height != rows
        or not (width == descriptor.target_width or is_class)
        or not are_apart(y, net.gradients)
    ):
        return Status.WRONG_Y
    if not 0 < rows <= descriptor.batch_size:
        return Status.WRONG_BATCH
    if is_class and not _are_classes(y, descriptor.class_targets):
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


@force_inline
def _is_right_state(net, optimizer_state):
    """Whether an optimizer's state belongs to the model of a network, and has the memory that it needs."""
    row = record(address(optimizer_state.rows), OPTIMIZER)
    size = row.n_vectors * descriptor_of(net).n_parameters
    return is_state_of(net, optimizer_state) and optimizer_state.vectors.size == size


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
    if not _is_right_state(net, optimizer_state):
        return Status.WRONG_STATE
    if not math.isfinite(unchecked.train_step(net, optimizer_state, x, y)):
        return Status.NOT_FINITE
    return status


@kernel
def forward_train_checked(net, optimizer_state, x, out):
    """`fastnn.forward_train`, if all shapes are right.

    Returns
    -------
    Status
        `OK`, `WRONG_NETWORK`, `WRONG_X`, `WRONG_BATCH`, `WRONG_STATE` or `WRONG_OUT`.
    """
    descriptor = descriptor_of(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not (_are_samples(descriptor, x) and are_apart(x, net.gradients)):
        return Status.WRONG_X
    if not 0 < rows_of(descriptor, x) <= descriptor.batch_size:
        return Status.WRONG_BATCH
    if not _is_right_state(net, optimizer_state):
        return Status.WRONG_STATE
    if not (_rows_fit(out, x, descriptor.n_outputs) and _may_be_written(net, out, x)):
        return Status.WRONG_OUT
    unchecked.forward_train(net, optimizer_state, x, out)
    return Status.OK


@force_inline
def _backward_status(net, x, dy, dx, accumulate):
    """Whether there can be a backward pass."""
    descriptor = descriptor_of(net)
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if descriptor.pass_rows == 0:
        return Status.NO_FORWARD
    same = descriptor.x == address(x) and descriptor.pass_rows == rows_of(descriptor, x)
    if not (same and _rows_fit(x, x, descriptor.n_features)):
        return Status.WRONG_X
    if not (_rows_fit(dy, x, descriptor.n_outputs) and are_apart(dy, net.gradients)):
        return Status.WRONG_Y
    if dx is not None:
        fits = _rows_fit(dx, x, descriptor.n_features) and _may_be_written(net, dx, x)
        if not (fits and are_apart(dx, dy) and are_apart(dx, net.gradients)):
            return Status.WRONG_OUT
    if accumulate and descriptor.has_gradient == 0:
        return Status.NO_GRADIENT
    return Status.OK if is_finite(flat(dy)) else Status.NOT_FINITE


@kernel
def backward_checked(net, x, dy, dx=None, accumulate=False):
    """`fastnn.backward`, if all shapes are right, after a `forward_train` for these very samples.

    Returns
    -------
    Status
        `OK`, `NOT_FINITE` if a number of `dy` is not, `NO_FORWARD`, `NO_GRADIENT` if there is none to add to,
        `WRONG_NETWORK`, `WRONG_X`, also if it is another array than that of `forward_train`, `WRONG_Y` for
        `dy`, or `WRONG_OUT` for `dx`.
    """
    status = _backward_status(net, x, dy, dx, accumulate)
    if status == Status.OK:
        unchecked.backward(net, x, dy, dx, accumulate)
    return status


@kernel
def apply_gradient_checked(net, optimizer_state):
    """`fastnn.apply_gradient`, if there is a gradient, and the state is right.

    Returns
    -------
    Status
        `OK`, `NOT_FINITE` (no step was made), `NO_GRADIENT`, `WRONG_NETWORK` or `WRONG_STATE`.
    """
    if not is_whole(net):
        return Status.WRONG_NETWORK
    if not _is_right_state(net, optimizer_state):
        return Status.WRONG_STATE
    if not unchecked.apply_gradient(net, optimizer_state):
        return Status.NOT_FINITE if descriptor_of(net).has_gradient == 1 else Status.NO_GRADIENT
    return Status.OK
