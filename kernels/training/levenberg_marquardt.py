"""A step of Levenberg and Marquardt, for losses that are sums of squares.

The step p solves ``(J' J + damping D^2) p = -J' r``, where D holds the largest norms that the columns of J
have had: J. More, *The Levenberg-Marquardt algorithm: implementation and theory*, Lecture Notes in
Mathematics 630 (1978). The damping follows how well the linear model predicted the change: H. Nielsen,
*Damping parameter in Marquardt's method*, Technical University of Denmark (1999). J is never there as a
whole: its rows are computed some at a time, and their products added up.
"""

import math

import numpy as np

from ..abi.descriptor import DESCRIPTOR
from ..abi.least_squares import (
    COST_CONVERGED,
    FACTOR_BLOCK,
    GRADIENT_CONVERGED,
    LEAST_SQUARES,
    NO_PROGRESS,
    NOT_FINITE_COST,
    SEARCHING,
    STEP_CONVERGED,
)
from ..abi.oprow import OP, PACK_SIZE
from ..abi.tensors import tensor
from ..driver.rows import backward, forward
from ..linalg import cholesky
from ..lowlevel._jit import inline_ir, kernel, reduction
from ..lowlevel.simd import flush_denormals, record, record_at, restore_denormals, view

# A damping beyond which no step changes a parameter.
_MOST_DAMPING = 1e60


@reduction
def _squares(x):
    """Sum of the squares of `x`, of shape (n,). Writes nothing."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i]
    return total


@reduction
def _scaled_squares(scale, x):
    """Sum of the squares of ``scale * x``, arrays of shape (n,). Writes nothing."""
    total = 0.0
    for i in range(x.size):
        scaled = scale[i] * np.float64(x[i])
        total += scaled * scaled
    return total


@kernel
def residuals(outputs, target, weight, first, result):
    """Write ``result = sqrt(weight) * (outputs - target)`` in float64.

    Parameters
    ----------
    outputs, result : arrays of shape (rows, n_out)
    target : array of shape (n_samples, n_out)
    weight : array of shape (n_samples, n_out) or (n_samples, 1), or of no rows: all are one
    first : int
        Number of the first of the rows.
    """
    last = weight.shape[1] - 1
    for i in range(outputs.shape[0]):
        for j in range(outputs.shape[1]):
            error = np.float64(outputs[i, j]) - np.float64(target[first + i, j])
            if weight.shape[0] > 0:
                error *= math.sqrt(np.float64(weight[first + i, min(j, last)]))
            result[i, j] = error


@kernel
def _scaled_row(derivatives, scale, residual, row, gradient):
    """Write ``row = scale * derivatives``, and add ``residual * row`` to `gradient`; arrays of shape (n,)."""
    for i in range(row.size):
        row[i] = scale * np.float64(derivatives[i])
        gradient[i] += residual * row[i]


@kernel
def _clear_frozen(frozen, row):
    """Write zeros to the ranges of `row` that are in `frozen`, of shape (count, 2)."""
    for k in range(frozen.shape[0]):
        for i in range(frozen[k, 0], frozen[k, 1]):
            row[i] = 0.0


@kernel
def _place_block(block, first, add, matrix):
    """Write `block`, or add it, to the part of `matrix` from row and column `first` on."""
    for i in range(block.shape[0]):
        for j in range(block.shape[1]):
            before = matrix[first + i, first + j] if add else 0.0
            matrix[first + i, first + j] = before + block[i, j]


@kernel
def _add_product(search, n, n_rows, add):
    """Add the product of `n_rows` rows of the Jacobian to `normal`, or write it there."""
    rows, matrix = view(search.rows, (n_rows, n), np.float64), view(search.normal, (n, n), np.float64)
    pack = view(search.pack, PACK_SIZE, np.float64)
    for first in range(0, n, FACTOR_BLOCK):
        block = view(search.block, (n - first, min(FACTOR_BLOCK, n - first)), np.float64)
        cholesky.normal_block(search.product, rows, first, block, pack)
        _place_block(block, first, add, matrix)


@kernel
def _damped(normal, damping, scale, matrix):
    """Write ``matrix = normal + damping * diag(scale)**2``, the lower triangles of arrays of shape (n, n).

    A parameter of scale 0, which changes nothing, gets a 1 on the diagonal.
    """
    for i in range(normal.shape[0]):
        for j in range(i + 1):
            matrix[i, j] = normal[i, j]
        added = damping * scale[i] * scale[i]
        matrix[i, i] = matrix[i, i] + added if scale[i] > 0.0 else 1.0


@kernel
def _measure(normal, gradient, cost, scale):
    """Write `scale`: the largest norms that columns of J have had; return the largest of the cosines."""
    largest, norm = 0.0, math.sqrt(2.0 * cost)
    for i in range(scale.size):
        length = math.sqrt(normal[i, i])
        scale[i] = max(scale[i], length)
        if length > 0.0 and norm > 0.0:
            largest = max(largest, abs(gradient[i]) / (length * norm))
    return largest


@kernel
def _move(kept, change, parameters):
    """Write ``parameters = kept + change``, in their dtype; arrays of shape (n,)."""
    for i in range(parameters.size):
        parameters[i] = parameters.dtype.type(np.float64(kept[i]) + change[i])


@kernel
def _copy(source, target):
    """Write `target`, arrays of shape (n,)."""
    for i in range(target.size):
        target[i] = source[i]


@inline_ir
def _data(search, net, T):
    # Targets and weights.
    n_samples, n_out = net.n_samples, net.n_outputs
    weighted = n_samples if search.weight != 0 else 0
    return view(search.target, (n_samples, n_out), T), view(search.weight, (weighted, search.weight_width), T)


@inline_ir
def _linearize(search, net, T):
    # Writes `normal`, `gradient` and `scale` at the parameters, and the optimality.
    n, n_out, kept = net.n_parameters, net.n_outputs, net.rows_gradient
    last = record_at(net.output_ops, net.n_ops - 1, OP)
    target, weight = _data(search, net, T)
    gradient, derivatives = view(search.gradient, n, np.float64), view(search.gradient_row, n, T)
    frozen = view(search.frozen, (search.n_frozen, 2), np.int64)
    error = view(search.error, (1, n_out), np.float64)
    for i in range(n):
        gradient[i] = 0.0
    net.rows, net.rows_gradient = 1, search.gradient_row
    filled, add = 0, False
    for i in range(net.n_samples):
        net.input = net.x + i * net.n_features * net.itemsize
        forward(net.output_ops, net)
        residuals(tensor(net, last.y, n_out, T), target, weight, i, error)
        for j in range(n_out):
            dy = tensor(net, last.dy, n_out, T)
            for k in range(n_out):
                dy[0, k] = dy.dtype.type(1) if k == j else dy.dtype.type(0)
            backward(net.output_ops, net)
            factor = 1.0
            if weight.shape[0] > 0:
                factor = math.sqrt(np.float64(weight[i, min(j, weight.shape[1] - 1)]))
            row = view(search.rows + 8 * filled * n, n, np.float64)
            _scaled_row(derivatives, factor, error[0, j], row, gradient)
            _clear_frozen(frozen, row)
            filled += 1
            if filled == search.n_rows:
                _add_product(search, n, filled, add)
                filled, add = 0, True
    if filled > 0:
        _add_product(search, n, filled, add)
    net.rows_gradient = kept
    _clear_frozen(frozen, gradient)
    normal, scale = view(search.normal, (n, n), np.float64), view(search.scale, n, np.float64)
    search.optimality = _measure(normal, gradient, search.cost, scale)
    search.linearized = 1


@inline_ir
def _cost(search, net, T):
    # Half the sum of the squares of the residuals, at the parameters.
    n_out, total = net.n_outputs, 0.0
    last = record_at(net.output_ops, net.n_ops - 1, OP)
    target, weight = _data(search, net, T)
    for position in range(0, net.n_samples, net.predict_batch):
        net.rows = min(net.predict_batch, net.n_samples - position)
        net.input = net.x + position * net.n_features * net.itemsize
        forward(net.output_ops, net)
        error = view(search.error, (net.rows, n_out), np.float64)
        residuals(tensor(net, last.y, n_out, T), target, weight, position, error)
        total += _squares(view(search.error, net.rows * n_out, np.float64))
    return 0.5 * total


@kernel
def _find_change(search, n):
    """Write `change`: the step for a damping, which grows until there is one; False if there is none."""
    normal, matrix = view(search.normal, (n, n), np.float64), view(search.factor, (n, n), np.float64)
    gradient, change = view(search.gradient, n, np.float64), view(search.change, n, np.float64)
    block = view(search.block, n * FACTOR_BLOCK, np.float64)
    inverse = view(search.inverse, FACTOR_BLOCK * FACTOR_BLOCK, np.float64)
    pack = view(search.pack, PACK_SIZE, np.float64)
    scale = view(search.scale, n, np.float64)
    while search.damping < _MOST_DAMPING:
        _damped(normal, search.damping, scale, matrix)
        if cholesky.factor(search.product, matrix, block, inverse, pack):
            for i in range(n):
                change[i] = -gradient[i]
            cholesky.solve(matrix, change)
            return True
        _grow_damping(search)
    return False


@kernel
def _grow_damping(search):
    """Write the damping after a step that was worse, or that there was none."""
    search.damping *= search.growth
    search.growth *= 2.0


@kernel
def _judge(search, cost, n, size):
    """Write where the search stands after a trial of this cost; True if the step is accepted.

    `size` is the norm of the scaled parameters before it. `search.cost` becomes the cost if it is less.
    """
    change, gradient = view(search.change, n, np.float64), view(search.gradient, n, np.float64)
    length = _scaled_squares(view(search.scale, n, np.float64), change)
    expected = 0.5 * (search.damping * length - cholesky.dot(gradient, change))
    actual = search.cost - cost
    accepted = actual > 0.0 and expected > 0.0  # false for NaN, too
    ratio = actual / expected if accepted else 0.0
    if accepted:
        if actual <= search.ftol * search.cost and expected <= search.ftol * search.cost and ratio <= 2.0:
            search.status = COST_CONVERGED
        search.cost, search.linearized = cost, 0
        search.steps += 1
        search.damping *= max(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0) ** 3)
        search.growth = 2.0
    else:
        _grow_damping(search)
    if search.status == SEARCHING and math.sqrt(length) <= search.xtol * size:
        search.status = STEP_CONVERGED
    elif search.damping >= _MOST_DAMPING:
        search.status = NO_PROGRESS
    return accepted


@inline_ir
def _step(search, net, T):
    # Writes the parameters, if a step is better, and where the search stands.
    n = net.n_parameters
    parameters, kept = view(net.parameters, n, T), view(search.kept, n, T)
    if search.evaluations == 0:
        search.cost = _cost(search, net, T)
        search.evaluations = 1
        if not math.isfinite(search.cost):
            search.status = NOT_FINITE_COST
        return
    if search.status == SEARCHING and search.linearized == 0:
        _linearize(search, net, T)
        if search.optimality <= search.gtol:
            search.status = GRADIENT_CONVERGED
    if search.status == SEARCHING and not _find_change(search, n):
        search.status = NO_PROGRESS
    if search.status == SEARCHING:
        size = math.sqrt(_scaled_squares(view(search.scale, n, np.float64), parameters))
        _copy(parameters, kept)
        _move(kept, view(search.change, n, np.float64), parameters)
        cost = _cost(search, net, T)
        search.evaluations += 1
        if not _judge(search, cost, n, size):
            _copy(kept, parameters)


def step_entry(T):
    """Search, and descriptor with `x` -> the parameters and the search after one more evaluation."""

    def levenberg_marquardt(search_address, net_address):
        mode = flush_denormals()
        _step(record(search_address, LEAST_SQUARES), record(net_address, DESCRIPTOR), T)
        restore_denormals(mode)

    return levenberg_marquardt
