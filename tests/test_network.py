"""Networks inside compiled code: what is computed, what is shared, and that it is what `Model` does."""

import numpy as np
import pytest
from numba import njit, prange
from numba.core.errors import TypingError
from numba.typed import List

import fastnn as fn
from fastnn import calls, native
from fastnn.kernels import descriptor as d
from fastnn.threads import run_together
from tests.tolerances import CENTRAL_DIFFERENCE, PRODUCT

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
STACKS = {
    "tanh": lambda: [fn.Dense(7, "tanh"), fn.Dense(3)],
    "from the input": lambda: [fn.Dense(7, "gelu"), fn.Dense(5, "leaky_relu"), fn.Dense(3, "silu")],
    "dropout": lambda: [fn.Dropout(0.3), fn.Dense(7, "sigmoid"), fn.Dropout(0.5), fn.Dense(3)],
    "activations first": lambda: [fn.Activation("tanh"), fn.Activation("softplus"), fn.Dense(3)],
    "rows": lambda: [fn.Dense(6, "softmax"), fn.Dense(3, "log_softmax")],
    "one op": lambda: [fn.Dense(3, use_bias=False)],
    "no weights": lambda: [fn.Activation("softmax"), fn.Activation("gelu")],
}


def built(stack="tanh", loss="mse", dtype="float64", **options):
    layers = STACKS[stack]()
    return fn.Model(layers, loss=loss, dtype=dtype, seed=0, **options).build(5)


def data(n, dtype, n_out=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)).astype(dtype), rng.normal(size=(n, n_out)).astype(dtype)


@njit
def run(net, X, out):
    for i in range(X.shape[0]):
        fn.forward(net, X[i], out[i])


@njit
def train(net, state, X, y, batch, losses):
    step = 0
    for start in range(0, X.shape[0], batch):
        losses[step] = fn.train_step(net, state, X[start : start + batch], y[start : start + batch])
        step += 1


# ---- Forward -------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("stack", STACKS)
def test_forward_is_predict(stack, dtype):
    model = built(stack, dtype=dtype)
    X, _ = data(600, dtype)
    expected = model.predict(X)
    for net in (model.network(), model.network(1), model.network(1000)):
        single, batch = np.empty_like(expected), np.empty_like(expected)
        run(net, X, single)
        fn.forward(net, X, batch)
        assert np.array_equal(single, expected)
        assert np.array_equal(batch, expected)


def test_no_samples():
    net = built().network()
    empty = np.empty((0, 5))
    fn.forward(net, empty, np.empty((0, 3)))
    fn.jacobian(net, empty, np.empty((0, 3, 5)))
    fn.parameter_jacobian(net, empty, np.empty((0, net.parameters.size)))
    fn.input_gradient(net, empty, np.empty((0, 3)), empty)


def test_model_calls_the_same_entries(monkeypatch):
    """One path: what a user's compiled code calls by its address, `Model` calls through ctypes."""
    model, called, function = built(), [], native.function

    def noted(name, *arguments, **options):
        called.append(name)
        return function(name, *arguments, **options)

    monkeypatch.setattr(native, "function", noted)
    X, y = data(4, "float64")
    net, jac = model.network(4), np.empty((12, model.parameters.size))
    for call, slot in (
        (lambda: model.predict(X), d.PREDICT),
        (lambda: model.loss_and_gradient(X, y), d.LOSS_AND_GRADIENT),
        (lambda: model.partial_fit(X, y), d.TRAIN),
        (lambda: calls.parameter_jacobian(net, X, jac), d.PARAMETER_JACOBIAN),
    ):
        called.clear()
        call()
        entries = [name for name in called if name.startswith(("driver.", "jacobian."))]
        assert {native.address(name, "float64") for name in entries} == {net.descriptor[slot]}


# ---- Derivatives ---------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("stack", set(STACKS) - {"no weights"})
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


# ---- Training ------------------------------------------------------------------------------------------

OPTIMIZERS = [
    fn.SGD(0.1),
    fn.SGD(0.1, momentum=0.9, global_clipnorm=0.5),
    fn.Adam(fn.schedules.cosine(0.01, 20, warmup=3), weight_decay=0.1),
    fn.RMSprop(clipvalue=0.1),
]


@DTYPES
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_train_step_is_partial_fit(optimizer, dtype):
    one, two = (built("dropout", dtype=dtype, optimizer=optimizer) for _ in range(2))
    X, y = data(40, dtype)
    net, losses = one.network(8), np.empty(5)
    train(net, one.optimizer_state(), X, y, 8, losses)
    for step in range(5):
        part = slice(8 * step, 8 * step + 8)
        assert two.partial_fit(X[part], y[part]).history.history["loss"] == [losses[step]]
    assert np.array_equal(one.parameters, two.parameters)
    assert one.state.step == two.state.step == 5
    assert net.loss[0] == losses[-1]


def test_shards_and_penalties():
    """A batch that is cut into shards, and a loss that is more than that of the rows."""
    layers = [fn.Dense(300, "relu", l2=1e-3), fn.Dense(10, l1=1e-4)]
    one, two = (fn.Model([*map(copy_of, layers)], "cross_entropy", seed=0).build(50) for _ in range(2))
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(256, 50)).astype("float32"), rng.integers(0, 10, 256)
    net, state = one.network(256), one.optimizer_state()
    assert len(net.shards) > 1
    loss, gradient = two.loss_and_gradient(X, y)
    assert fn.loss_and_gradient(net, X, y.astype("float32")) == loss
    assert np.array_equal(net.gradient, gradient)
    for _ in range(3):
        fn.train_step(net, state, X, y.astype("float32"))
        two.partial_fit(X, y)
    assert np.array_equal(one.parameters, two.parameters)


def copy_of(layer):
    settings = layer.config()
    return type(layer)(**{name: value for name, value in settings.items() if name != "name"})


def test_fit_and_train_step_take_turns():
    one, two = built("dropout"), built("dropout")
    X, y = data(8, "float64")
    net, state = one.network(8), one.optimizer_state()
    for _ in range(3):
        fn.train_step(net, state, X, y)
        one.fit(X, y, batch_size=8, epochs=2)
        two.fit(X, y, batch_size=8, epochs=3)
    assert np.array_equal(one.parameters, two.parameters)
    assert np.array_equal(one.state.optimizer, two.state.optimizer)
    assert one.state.step == two.state.step == 9


def test_settings_that_change():
    one, two = built(optimizer=fn.SGD(0.1)), built(optimizer=fn.SGD(0.1))
    X, y = data(8, "float64")
    net, state = one.network(8), one.optimizer_state()
    one.optimizer.learning_rate = two.optimizer.learning_rate = 0.5
    assert one.optimizer_state().rows is state.rows
    fn.train_step(net, state, X, y)
    two.partial_fit(X, y)
    assert np.array_equal(one.parameters, two.parameters)
    # With more memory, or another optimizer, it is another state; the old one stays whole.
    one.optimizer.momentum = 0.9
    assert one.optimizer_state().vectors.size == one.parameters.size and state.vectors.size == 0
    one.optimizer = "adam"
    assert one.optimizer_state().vectors.size == 2 * one.parameters.size
    fn.train_step(net, state, X, y)
    two.partial_fit(X, y)
    assert np.array_equal(one.parameters, two.parameters)


@pytest.mark.parametrize("shapes", [((5,), (3,)), ((1, 5), (1, 3))])
def test_shapes_of_one_sample(shapes):
    X, y = data(1, "float64")
    model = built()
    expected, gradient = model.loss_and_gradient(X, y)
    net = model.network(4)
    assert fn.loss_and_gradient(net, X.reshape(shapes[0]), y.reshape(shapes[1])) == expected
    assert np.array_equal(net.gradient, gradient)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_shapes_of_one_target_a_sample(shape):
    X, labels = data(6, "float64")[0], np.array([0, 1, 2, 2, 1, 0])
    model = built(loss="cross_entropy")
    net = model.network(6)
    assert (
        fn.loss_and_gradient(net, X, labels.astype("float64").reshape(shape))
        == model.loss_and_gradient(X, labels)[0]
    )


def test_loss_that_is_not_finite():
    model = built()
    X, y = data(4, "float64")
    net, state, start = model.network(4), model.optimizer_state(), model.parameters.copy()
    X[2, 3] = np.nan
    out = np.empty((4, 3))
    fn.forward(net, X, out)
    assert np.isnan(out).any(axis=1).tolist() == [False, False, True, False]
    assert np.isnan(fn.loss_and_gradient(net, X, y))
    assert np.isnan(fn.train_step(net, state, X, y)) and np.isnan(net.loss[0])
    assert np.array_equal(model.parameters, start) and state.counters[0] == 0


@pytest.mark.parametrize("rows", [0, 5])
def test_a_batch_that_does_not_fit_is_left_alone(rows):
    model = built()
    net, state, start = model.network(4), model.optimizer_state(), model.parameters.copy()
    X, y = data(rows, "float64")
    assert np.isnan(fn.loss_and_gradient(net, X, y))
    assert np.isnan(fn.train_step(net, state, X, y))
    assert np.array_equal(model.parameters, start) and state.counters[0] == 0


def test_without_a_loss():
    model = built(loss=None)
    X, y = data(4, "float64")
    net, out = model.network(4), np.empty((4, 3))
    fn.forward(net, X, out)
    assert np.array_equal(out, model.predict(X))
    fn.jacobian(net, X, np.empty((4, 3, 5)))
    assert np.isnan(fn.loss_and_gradient(net, X, y))
    assert np.isnan(fn.train_step(net, model.optimizer_state(), X, y))


def test_weights_are_shared_both_ways():
    model = built(dtype="float32")
    net, x, out = model.network(), np.ones(5, np.float32), np.empty(3, np.float32)
    assert net.parameters is model.parameters
    model.parameters[...] = 0
    fn.forward(net, x, out)
    assert np.array_equal(out, np.zeros(3, np.float32))
    net.parameters[-3:] = [1, 2, 3]
    assert model.layers[-1].bias.tolist() == model.predict(x).tolist() == [1, 2, 3]


# ---- Threads -------------------------------------------------------------------------------------------


@njit(parallel=True)
def run_in_parallel(nets, X, out):
    n = len(nets)
    for t in prange(n):
        net = nets[np.int64(t)]
        for i in range(t, X.shape[0], n):
            fn.forward(net, X[i], out[i])


def test_prange():
    model = built(dtype="float32")
    X, _ = data(5000, "float32")
    net, out = model.network(1), np.empty((5000, 3), np.float32)
    run_in_parallel(List([net, *(fn.clone_workspace(net) for _ in range(3))]), X, out)
    assert np.array_equal(out, model.predict(X))


@njit(nogil=True)
def gradients(net, X, y, total):
    for start in range(0, X.shape[0], 8):
        fn.loss_and_gradient(net, X[start : start + 8], y[start : start + 8])
        total += net.gradient


def test_clones_in_python_threads():
    model = built("dropout", dtype="float32")
    X, y = data(4000, "float32")
    net = model.network(8)
    nets = [net, *(fn.clone_workspace(net) for _ in range(3))]
    totals = np.zeros((4, model.parameters.size), np.float32)
    expected = np.zeros_like(totals[0])
    gradients(net, X, y, expected)
    run_together([lambda i=i: gradients(nets[i], X, y, totals[i]) for i in range(4)])
    assert all(np.array_equal(total, expected) for total in totals)


def test_a_clone_shares_weights_only():
    model = built("dropout", optimizer=fn.SGD(0.1, momentum=0.9))
    X, y = data(4, "float64")
    net = model.network(4)
    clone = fn.clone_workspace(fn.clone_workspace(net))
    del net
    twin = built("dropout", optimizer=fn.SGD(0.1, momentum=0.9))
    assert fn.train_step(clone, model.optimizer_state(), X, y) == clone.loss[0]
    twin.partial_fit(X, y)
    assert np.array_equal(model.parameters, twin.parameters) and clone.parameters is model.parameters
    with pytest.raises(TypeError, match="must be a Network"):
        fn.clone_workspace(model)


# ---- Bad input -----------------------------------------------------------------------------------------


def test_a_model_that_is_not_built_has_no_network():
    model = fn.Model([fn.Dense(2)])
    for ask in (model.network, model.optimizer_state):
        with pytest.raises(ValueError, match="not built"):
            ask()


@pytest.mark.parametrize("max_batch", [0, -1, 2.5, "8", None, True])
def test_max_batch(max_batch):
    with pytest.raises((TypeError, ValueError), match=f"max_batch must be .* got {max_batch!r}"):
        built().network(max_batch=max_batch)


@pytest.mark.parametrize(
    "x",
    [np.ones(5), np.ones(5, int), np.ones((4, 5), np.float32, order="F"), np.ones(10, np.float32)[::2], 1.0],
    ids=["float64", "int", "F order", "strided", "number"],
)
def test_types_are_refused_when_compiled(x):
    net = built(dtype="float32").network()
    with pytest.raises(TypingError, match="arrays must be of the network's dtype, float32, and in C order"):
        fn.forward(net, x, np.empty(3, np.float32))
    with pytest.raises(TypingError, match="the first argument must be a Network"):
        fn.forward(net.parameters, np.ones(5, np.float32), np.empty(3, np.float32))


def read_only(x):
    x.setflags(write=False)
    return x


def test_what_is_written_must_not_be_read_only():
    net = built(dtype="float32").network()
    x, out = read_only(np.ones(5, np.float32)), np.empty(3, np.float32)
    fn.forward(net, x, out)
    with pytest.raises(TypingError, match="an array that is written must not be read-only"):
        fn.forward(net, x, read_only(out))


def test_samples_of_three_dimensions_are_refused():
    net = built(dtype="float32").network()
    with pytest.raises(TypingError, match="samples and targets must have one or two dimensions"):
        fn.forward(net, np.ones((2, 2, 5), np.float32), np.empty((2, 2, 3), np.float32))
