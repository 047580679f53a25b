"""A network inside the user's compiled code.

All functions are for code compiled by Numba, which may be cached, and can be called from Python too.
None allocates, raises or prints. What can be told from types is refused when the caller is compiled:
arrays of another dtype than the network's, not in C order, or read-only where they are written, and networks
that are not arguments but globals, closure variables or default arguments. Of a network that is a copy, the
results are NaN. Sizes are not checked here, and other memory is read or written if they are wrong; nor is it
checked that what is written lies apart from what is read: `checked` holds the functions that look at both.
"""

import math

from ..abi.oprow import LOSS, SIZE
from ..lowlevel._jit import kernel
from ..lowlevel.simd import address, call, flat, record
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
        net.loss[0] = descriptor.loss_value
    return net.loss[0]


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
        rows = optimizer_state.rows
        descriptor.optimizer, descriptor.schedule = address(rows), address(rows) + 8 * SIZE
        descriptor.optimizer_state = array_address(net, optimizer_state.vectors)
        descriptor.step, descriptor.epoch, descriptor.position = optimizer_state.counters[0], 0, 0
        descriptor.history, descriptor.training = address(net.loss), 1
        call(descriptor.train, 0, address(descriptor))
        descriptor.training = 0
        optimizer_state.counters[0] = descriptor.step
    return net.loss[0]
