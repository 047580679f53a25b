"""Loss, gradient and training steps inside compiled code are those of `Model`."""

import numpy as np
import pytest
from numba import njit

import fastnn as fn
from tests.helpers.compiled import DTYPES, built, data

pytestmark = pytest.mark.slow  # Numba compiles


@njit
def train(net, state, X, y, batch, losses):
    step = 0
    for start in range(0, X.shape[0], batch):
        losses[step] = fn.train_step(net, state, X[start : start + batch], y[start : start + batch])
        step += 1


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


def test_parts_and_penalties():
    """A batch that is cut into parts, and a loss that is more than that of the rows."""
    layers = [fn.Dense(300, "relu", l2=1e-3), fn.Dense(10, l1=1e-4)]
    one, two = (fn.Model([*map(copy_of, layers)], "cross_entropy", seed=0).build(50) for _ in range(2))
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(256, 50)).astype("float32"), rng.integers(0, 10, 256)
    net, state = one.network(256), one.optimizer_state()
    assert net.fields.n_parts > 1
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
