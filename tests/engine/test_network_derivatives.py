"""Derivatives of networks inside compiled code: by the input, by the parameters, all of a Jacobian."""

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.compiled import DTYPES, STACKS, built, data
from tests.helpers.tolerances import CENTRAL_DIFFERENCE, PRODUCT


def central_differences(function, x, step=1e-6):
    """Derivatives of the array that `function` gives by each number of `x`, in a last axis."""
    columns = []
    for i in range(x.size):
        high, low = x.copy(), x.copy()
        high.flat[i] += step
        low.flat[i] -= step
        columns.append((function(high) - function(low)) / (2 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("stack", STACKS)
def test_jacobian(stack):
    model = built(stack)
    X, _ = data(7, "float64")
    net, n_out = model.network(3), model.n_out
    jac = np.empty((7, n_out, 5))
    fn.jacobian(net, X, jac)
    for i in range(7):
        expected = central_differences(model.predict, X[i])
        np.testing.assert_allclose(jac[i], expected, **CENTRAL_DIFFERENCE["float64"])
        one = np.empty((n_out, 5))
        fn.jacobian(net, X[i], one)
        np.testing.assert_allclose(one, jac[i], **PRODUCT["float64"])


@DTYPES
@pytest.mark.parametrize("stack", STACKS)
def test_input_gradient_is_a_product_with_the_jacobian(stack, dtype):
    model = built(stack, dtype=dtype)
    X, dy = data(70, dtype, model.n_out)
    net = model.network(32)
    jac, dx, given = np.empty((70, model.n_out, 5), dtype), np.empty_like(X), dy.copy()
    fn.jacobian(net, X, jac)
    fn.input_gradient(net, X, dy, dx)
    np.testing.assert_allclose(dx, np.einsum("ij,ijk->ik", dy, jac), **PRODUCT[dtype])
    assert np.array_equal(dy, given)
    one = np.empty(5, dtype)
    fn.input_gradient(net, X[3], dy[3], one)
    np.testing.assert_allclose(one, dx[3], **PRODUCT[dtype])


@pytest.mark.parametrize("stack", [name for name in STACKS if name != "no weights"])
def test_parameter_jacobian(stack):
    model = built(stack)
    X, _ = data(7, "float64")
    net, size = model.network(3), model.parameters.size
    jac = np.full((7 * 3, size), np.nan)
    fn.parameter_jacobian(net, X, jac)
    start = model.parameters.copy()

    def outputs(parameters):
        model.parameters[...] = parameters
        return model.predict(X)

    expected = central_differences(outputs, start).reshape(jac.shape)
    np.testing.assert_allclose(jac, expected, **CENTRAL_DIFFERENCE["float64"])
    model.parameters[...] = start
    three = np.empty((7, 3, size))
    fn.parameter_jacobian(net, X, three)
    assert np.array_equal(three.reshape(jac.shape), jac)


def test_derivatives_leave_no_trace():
    """They share the workspace with training, and switch things in the descriptor."""
    one, two = built("dropout"), built("dropout")
    net, state = one.network(8), one.optimizer_state()
    X, y = data(8, "float64")
    for _ in range(3):
        fn.input_gradient(net, X, y, np.empty_like(X))
        fn.jacobian(net, X, np.empty((8, 3, 5)))
        fn.parameter_jacobian(net, X, np.empty((24, net.parameters.size)))
        fn.train_step(net, state, X, y)
        two.partial_fit(X, y)
    assert np.array_equal(one.parameters, two.parameters)
