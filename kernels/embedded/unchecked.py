"""A network inside the user's compiled code.

All functions are for code compiled by Numba, which may be cached, and can be called from Python too.
None allocates, raises or prints. What can be told from types is refused when the caller is compiled:
arrays of another dtype than the network's, not in C order, or read-only where they are written, and networks
that are not arguments but globals, closure variables or default arguments. Of a network that is a copy, the
results are NaN. Sizes are not checked here, and other memory is read or written if they are wrong; nor is it
checked that what is written lies apart from what is read: `checked` holds the functions that look at both.
"""

import math

import numpy as np

from ..abi.descriptor import NOT_FINITE, OK
from ..abi.oprow import LOSS, OPTIMIZER, SIZE
from ..lowlevel._jit import force_inline, kernel
from ..lowlevel.simd import address, call, flat, record, view
from .arguments import (
    array_address,
    descriptor_of,
    is_own,
    is_state_of,
    rows_of,
    shows_results,
    targets_of,
    written_address,
)


@kernel
def _write_nan(out):
    """Write NaN into all of `out`."""
    numbers = flat(out)
    for i in range(numbers.size):
        numbers[i] = math.nan


@kernel
def forward(net, x, out):
    """Write the network's output for `x` into `out`.

    Parameters
    ----------
    net : Network
        Of `Model.network`; used by one thread at a time.
    x : array of shape (n, n_in) or (n, *input_shape), or (n_in,) for one sample
        Any number of samples. Of the model's dtype, C order, as all arrays here.
    out : array of shape (n, n_out), or (n_out,)
        Written. What `Model.predict` gives, to the bit.
    """
    descriptor, X, output = descriptor_of(net), array_address(net, x), written_address(net, out)
    if not is_own(net):
        _write_nan(out)
        return
    descriptor.pass_rows = 0
    descriptor.x, descriptor.output, descriptor.n_samples = X, output, rows_of(descriptor, x)
    call(descriptor.predict, 0, address(descriptor))


@kernel
def step(net, state, x, out):
    """Write the output of one more time step into `out`, and what the next one needs into `state`.

    After some steps, what `forward` gives for the sequence up to there, to the bit.

    Parameters
    ----------
    net : Network
        Of `Model.network`; used by one thread at a time.
    state : array of shape (n, numbers)
        Of ``net.new_state(n)``; written.
    x : array of shape (n, features), or (features,) for one sequence
        A time step of as many sequences as `state` has rows.
    out : array of shape (n, n_out), or (n_out,)
        Written.
    """
    descriptor, X, output = descriptor_of(net), array_address(net, x), written_address(net, out)
    own = written_address(net, state)
    if not (is_own(net) and net.step_ops.shape[0] > 0 and state.ndim == 2):
        _write_nan(out)
        return
    ops, features, outputs = descriptor.predict_ops, descriptor.n_features, descriptor.n_outputs
    descriptor.predict_ops, descriptor.n_features = descriptor.step_ops, descriptor.step_features
    descriptor.n_outputs = descriptor.step_outputs
    descriptor.pass_rows = 0
    n, at_once = rows_of(descriptor, x), descriptor.predict_batch
    for position in range(0, n, at_once):
        start = position * descriptor.itemsize
        descriptor.state = own + start * descriptor.state_width
        descriptor.x = X + start * descriptor.n_features
        descriptor.output = output + start * descriptor.n_outputs
        descriptor.n_samples = min(at_once, n - position)
        call(descriptor.predict, 0, address(descriptor))
    descriptor.predict_ops, descriptor.n_features, descriptor.n_outputs = ops, features, outputs
    descriptor.state = 0


@kernel
def input_gradient(net, x, dy, dx):
    """Write the product of `dy` and the outputs' derivatives by the inputs into `dx`.

    ``dx[i, k] = sum over j of dy[i, j] * d output[i, j] / d x[i, k]``, the vector-Jacobian product:
    with `dy` the derivatives of any function by the outputs, `dx` is its derivatives by the inputs.
    Dropout does not drop. `gradient` of the network holds nothing useful afterwards.

    Parameters
    ----------
    net : Network
    x : array of shape (n, n_in) or (n, *input_shape), or (n_in,) for one sample
        Any number of samples.
    dy : array of shape (n, n_out), or (n_out,)
    dx : array of shape (n, n_in), or (n_in,)
        Written.
    """
    descriptor, X, output = descriptor_of(net), array_address(net, x), written_address(net, dx)
    given = array_address(net, dy)
    if not is_own(net):
        _write_nan(dx)
        return
    descriptor.pass_rows = 0
    descriptor.x, descriptor.y, descriptor.output = X, given, output
    descriptor.n_samples = rows_of(descriptor, x)
    call(descriptor.input_gradient, 0, address(descriptor))


@kernel
def jacobian(net, x, jac):
    """Write the derivatives of all outputs by all inputs into `jac`.

    ``jac[i, j, k] = d output[i, j] / d x[i, k]``. Dropout does not drop. `gradient` of the network holds
    nothing useful afterwards.

    Parameters
    ----------
    net : Network
    x : array of shape (n, n_in) or (n, *input_shape), or (n_in,) for one sample
        Any number of samples.
    jac : array of shape (n, n_out, n_in), or (n_out, n_in)
        Written. In units of the outputs by units of the inputs.
    """
    descriptor, X, output = descriptor_of(net), array_address(net, x), written_address(net, jac)
    if not is_own(net):
        _write_nan(jac)
        return
    descriptor.pass_rows = 0
    descriptor.x, descriptor.output, descriptor.n_samples = X, output, rows_of(descriptor, x)
    call(descriptor.jacobian, 0, address(descriptor))


@kernel
def parameter_jacobian(net, x, jac):
    """Write the derivatives of all outputs by all parameters into `jac`.

    Row ``i * n_out + j`` is the derivatives of output j of sample i, in the order of `Model.parameters`.
    Neither loss nor penalties play a part, and dropout does not drop.

    Parameters
    ----------
    net : Network
    x : array of shape (n, n_in) or (n, *input_shape), or (n_in,) for one sample
        Any number of samples.
    jac : array of shape (n * n_out, n_parameters), or (n, n_out, n_parameters)
        Written.
    """
    descriptor, X, output = descriptor_of(net), array_address(net, x), written_address(net, jac)
    if not is_own(net):
        _write_nan(jac)
        return
    descriptor.pass_rows = 0
    descriptor.x, descriptor.output, descriptor.n_samples = X, output, rows_of(descriptor, x)
    call(descriptor.parameter_jacobian, 0, address(descriptor))


@kernel
def _place_batch(net, x, y):
    """Make all of `x` and `y` the batch of a network that is itself; whether that can be."""
    descriptor = descriptor_of(net)
    rows = rows_of(descriptor, x)
    descriptor.x, descriptor.y, descriptor.n_samples = array_address(net, x), array_address(net, y), rows
    descriptor.n_targets = targets_of(x, y)
    record(descriptor.loss, LOSS).n_targets = descriptor.n_targets
    net.loss[0] = math.nan
    descriptor.pass_rows = 0
    return descriptor.loss_and_gradient != 0 and 0 < rows <= descriptor.batch_size


@kernel
def loss_and_gradient(net, x, y):
    """The loss of all samples as one batch; its derivatives by the parameters are in `net.gradient`.

    As `Model.loss_and_gradient`, to the bit for a batch of `max_batch` samples: dropout does not drop, and
    the penalties on the weights are included.

    Parameters
    ----------
    net : Network
        Of a model with a loss. `gradient` and `loss` are written.
    x : array of shape (n, n_in) or (n, *input_shape), or (n_in,) for one sample
        1 to `max_batch` samples.
    y : array of shape (n, n_out), or (n_out,); for one output (n,) too
        For `cross_entropy` and `nll` also class numbers, of shape (n, 1), (n,) or (1,), in the model's
        dtype.

    Returns
    -------
    float
        NaN, and nothing done, if there are no samples or more than `max_batch`, the model has no loss, or
        the network is a copy.
    """
    descriptor = descriptor_of(net)
    if not (is_own(net) and shows_results(net)):
        return math.nan
    if _place_batch(net, x, y):
        call(descriptor.loss_and_gradient, 0, address(descriptor))
        descriptor.has_gradient = 1
        net.loss[0] = descriptor.loss_value
    return net.loss[0]


@force_inline
def _take_optimizer(net, optimizer_state):
    """Let the next step be that of an optimizer's state."""
    descriptor, rows = descriptor_of(net), optimizer_state.rows
    descriptor.optimizer, descriptor.schedule = address(rows), address(rows) + 8 * SIZE
    descriptor.optimizer_state = array_address(net, optimizer_state.vectors)
    descriptor.step = optimizer_state.counters[0]


@kernel
def train_step(net, optimizer_state, x, y):
    """Make one training step, with all samples as one batch, and return the loss before it.

    As `Model.partial_fit`, to the bit for a batch of `max_batch` samples, dropout and the learning-rate
    schedule included; only epochs are not counted.

    Parameters
    ----------
    net : Network
        Of a model with a loss. The model's parameters are changed; `gradient` and `loss` are written.
    optimizer_state : OptimizerState
        Of `Model.optimizer_state` of the same model; written.
    x, y
        As for `loss_and_gradient`.

    Returns
    -------
    float
        NaN, and no step made, if the loss is not finite, there are no samples or more than `max_batch`,
        the model has no loss, the network or the state is a copy, or the state that of another model.
    """
    descriptor = descriptor_of(net)
    if not (is_own(net) and shows_results(net) and is_state_of(net, optimizer_state)):
        return math.nan
    if _place_batch(net, x, y):
        _take_optimizer(net, optimizer_state)
        descriptor.epoch, descriptor.position = 0, 0
        descriptor.history, descriptor.training = address(net.loss), 1
        call(descriptor.train, 0, address(descriptor))
        descriptor.training = 0
        optimizer_state.counters[0] = descriptor.step
    return net.loss[0]


@force_inline
def _note_frozen(descriptor, optimizer_state):
    """Remember what is not trained: the state need not live until the backward pass."""
    own, row = record(descriptor.pass_optimizer, OPTIMIZER), record(address(optimizer_state.rows), OPTIMIZER)
    own.n_frozen, skip = row.n_frozen, 2 * 8 * SIZE
    source = view(address(optimizer_state.rows) + skip, 2 * row.n_frozen, np.int64)
    target = view(descriptor.pass_optimizer + skip, 2 * row.n_frozen, np.int64)
    for i in range(source.size):
        target[i] = source[i]
    descriptor.optimizer = descriptor.pass_optimizer


@force_inline
def _run_pass(descriptor, entry, ops):
    """Call an entry of `passes`, with the ops at an address, as in training; whether it ran."""
    kept = descriptor.ops
    descriptor.ops, descriptor.training, descriptor.status = ops, 1, NOT_FINITE
    call(entry, 0, address(descriptor))
    descriptor.ops, descriptor.training = kept, 0
    return descriptor.status == OK  # not if it could not be loaded


@kernel
def forward_train(net, optimizer_state, x, out):
    """Write the network's output for `x`, as in training, into `out`; `backward` may follow.

    All samples are one batch: dropout drops, and batch normalization takes the moments of the batch. The
    first pass of a step draws the numbers that `train_step` would draw, each further one others.

    Parameters
    ----------
    net : Network
    optimizer_state : OptimizerState
        Of `Model.optimizer_state` of the same model. It says which step it is, and what is not trained.
    x : array of shape (n, n_in) or (n, *input_shape), or (n_in,) for one sample
        1 to `max_batch` samples.
    out : array of shape (n, n_out), or (n_out,)
        Written; NaN, and nothing done, if there are no samples or more than `max_batch`, the network or the
        state is a copy, or the state that of another model.
    """
    descriptor, X, output = descriptor_of(net), array_address(net, x), written_address(net, out)
    rows = rows_of(descriptor, x)
    if not (is_own(net) and is_state_of(net, optimizer_state) and 0 < rows <= descriptor.batch_size):
        _write_nan(out)
        return
    descriptor.x, descriptor.output, descriptor.n_samples = X, output, rows
    _note_frozen(descriptor, optimizer_state)
    step = optimizer_state.counters[0]
    if descriptor.pass_step != step:
        descriptor.pass_step, descriptor.passes = step, 0
    descriptor.step = step | descriptor.passes << 40
    descriptor.passes += 1
    ran = _run_pass(descriptor, descriptor.forward_train, descriptor.output_ops)
    descriptor.pass_rows = rows if ran else 0


@kernel
def backward(net, x, dy, dx=None, accumulate=False):
    """Write into `net.gradient` the derivatives of a scalar with respect to all parameters.

    The scalar is any function of the outputs that `forward_train` wrote for the same `x`, and `dy` are its
    derivatives with respect to these. The penalties on the weights are included. The running statistics of
    batch normalization are updated. Each `backward` needs a `forward_train` before it, and no other function
    of the same network in between.

    Parameters
    ----------
    net : Network
        `gradient` is written; NaN if there was no such `forward_train`. Nothing is done if it is a copy.
    x : array of shape (n, n_in) or (n, *input_shape), or (n_in,) for one sample
        That of `forward_train`, unchanged.
    dy : array of shape (n, n_out), or (n_out,)
    dx : array of shape (n, n_in), or (n_in,), optional
        Written: the derivatives of the scalar with respect to `x`.
    accumulate : bool
        Whether they are added to what `net.gradient` holds, as of the second batch of several. The penalties,
        which were counted with the first, are then left out.
    """
    descriptor, X, given = descriptor_of(net), array_address(net, x), array_address(net, dy)
    output, ops = 0, descriptor.output_ops
    if dx is not None:
        output, ops = written_address(net, dx), descriptor.input_ops
    # One way through, without returns on the way: a caller of Numba's would otherwise count references to all
    # arrays of the network, which takes a quarter of a microsecond.
    own, ran = is_own(net) and shows_results(net), False
    if own and descriptor.pass_rows != 0 and descriptor.pass_rows == rows_of(descriptor, x):
        descriptor.x, descriptor.y, descriptor.output = X, given, output
        penalties, gradient = descriptor.n_penalties, descriptor.gradient
        if accumulate:
            descriptor.n_penalties, descriptor.accumulates = 0, 1
            descriptor.gradient += descriptor.n_parameters * descriptor.itemsize
        ran = _run_pass(descriptor, descriptor.backward, ops)
        descriptor.n_penalties, descriptor.gradient, descriptor.accumulates = penalties, gradient, 0
        descriptor.rows_gradient = gradient
        descriptor.pass_rows, descriptor.has_gradient = 0, 1
    if own and not ran:
        _write_nan(net.gradient)
    if dx is not None and not ran:
        _write_nan(dx)


@kernel
def apply_gradient(net, optimizer_state):
    """Make the optimizer's step with what `net.gradient` holds, and say whether it was made.

    As the last part of `train_step`: clipping, weight decay, the schedule and what is not trained are those
    of the optimizer's state. `net.gradient` may be changed before, for example to a mean over processes.

    Parameters
    ----------
    net : Network
        The model's parameters are changed. Of what is not trained the gradient becomes zero.
    optimizer_state : OptimizerState
        Of `Model.optimizer_state` of the same model; written.

    Returns
    -------
    bool
        False, and no step made, if a number of the gradient is not finite, as all are before the first
        `backward`; or if the network or the state is a copy, or the state that of another model.
    """
    descriptor = descriptor_of(net)
    if not (is_own(net) and shows_results(net) and is_state_of(net, optimizer_state)):
        return False
    _take_optimizer(net, optimizer_state)
    descriptor.pass_rows, descriptor.status = 0, NOT_FINITE
    call(descriptor.apply_gradient, 0, address(descriptor))
    if descriptor.status != OK:
        return False
    optimizer_state.counters[0] = descriptor.step
    return True
