"""A batch that is cut into parts has the gradient, and the dropped numbers, of the whole batch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from fastnn.engine import threads
from fastnn.kernels.layers import dropout
from tests.helpers.networks import draw_point, plain_loss_and_gradient
from tests.helpers.rows import op_rows
from tests.helpers.tolerances import PRODUCT

N_IN, N_OUT = 31, 7
#: By the rows: how many parts, and whether each has a gradient of its own.
PARTS = {120: (7, False), 128: (8, False), 131: (8, False), 259: (16, False), 2100: (4, True)}


def network(loss="mse", rate=0.0, **options):
    layers = [fn.Dense(67, "tanh", l2=1e-3), fn.Dropout(rate), fn.Dense(43, "sigmoid"), fn.Dense(N_OUT)]
    return fn.Model(layers, loss, dtype="float64", seed=1, **options)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["mse", "sse", "cross_entropy"])
@pytest.mark.parametrize("rows", PARTS)
def test_gradient_of_all_parts(rows, loss, weighted):
    rng = np.random.default_rng(0)
    model = network(loss)
    X, y = draw_point(model, rows, N_IN, rng)
    weight = rng.uniform(0, 2, rows) if weighted else None
    assert threads.parts(rows, model.parameters.size, model.parameters.size) == PARTS[rows]
    found, gradient = model.loss_and_gradient(X, y, weight)
    expected, expected_gradient = plain_loss_and_gradient(model, X, y, weight)
    scale = max(1.0, abs(expected), np.abs(expected_gradient).max())
    tolerance = PRODUCT["float64"]
    assert_allclose(found, expected, rtol=tolerance["rtol"])
    assert_allclose(gradient, expected_gradient, tolerance["rtol"], tolerance["atol"] * scale)


@pytest.mark.parametrize("rows", PARTS)
def test_numbers_dropped_in_all_parts(rows):
    """The mask is that of the whole batch, and the step is that of its gradient."""
    model = network(rate=0.4, optimizer=fn.SGD(1.0))
    X, y = draw_point(model, rows, N_IN, np.random.default_rng(0))
    start = model.parameters.copy()
    model.partial_fit(X, y)
    step = start - model.parameters
    model.parameters[...] = start

    mask = np.empty(rows * 67)
    dropout.dropout_mask(0.4, model.seed, 2, 0, 0, mask)
    mask = mask.reshape(rows, 67)
    _, net = model.executor._networks["train"]
    ops = op_rows(net.ops)
    (op,) = ops[ops["stream"] == 2]
    assert (net.fields.n_parts, net.fields.part_gradients) == PARTS[rows]
    assert np.array_equal(net.workspace[op["scratch"] :][: rows * 67].reshape(-1, 67), mask)
    _, expected = plain_loss_and_gradient(model, X, y, masks={model.layers[1]: mask})
    tolerance = PRODUCT["float64"]
    assert_allclose(step, expected, tolerance["rtol"], 10 * tolerance["atol"])
