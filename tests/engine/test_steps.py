"""Recurrent networks that run one time step at a time."""

import numpy as np
import pytest
from numba import njit

import fastnn as fn

NETWORKS = {
    "of the page": lambda: [fn.GRU(5, return_sequences=True), fn.GRU(4), fn.Dense(2)],
    "gates of all kinds": lambda: [
        fn.Dense(6, "tanh"),
        fn.LSTM(17, return_sequences=True),
        fn.LayerNormalization(),
        fn.Dropout(0.2),
        fn.SimpleRNN(3, "relu"),
    ],
    "sequences to sequences": lambda: [
        fn.Residual([fn.Dense(3, "tanh"), fn.LSTM(3, return_sequences=True)]),
        fn.GRU(40, return_sequences=True),
        fn.Dense(1),
    ],
    "scaled": lambda: [fn.Standardize(columns=[0, 2]), fn.MinMax(-1, 1, columns=1), fn.GRU(4), fn.Dense(1)],
    "missing values": lambda: [
        fn.Impute(add_indicator=True),
        fn.Standardize(),
        fn.LSTM(4, return_sequences=True),
        fn.GRU(3),
    ],
    "categories": lambda: [
        fn.OneHot(1, [[0, 4, 9]], "ignore"),
        fn.EntityEmbedding(3, -1, [[-2, 0, 1, 7]], "ignore"),
        fn.GRU(4),
        fn.Dense(1),
    ],
    "masked": lambda: [fn.Masking(), fn.GRU(3, return_sequences=True), fn.LSTM(3), fn.Dense(1)],
}
STEPS, ROWS = 7, 50


def built(layers, dtype):
    model = fn.Model(layers, "mse", dtype=dtype, seed=0)
    X = np.random.default_rng(0).normal(size=(ROWS, STEPS, 3)).astype(dtype)
    X[::5, 2:4] = 0
    if isinstance(model.layers[0], fn.Impute):
        X[1::5, 2:4, 1] = np.nan
    if isinstance(model.layers[0], fn.OneHot):
        X[..., 1:] = np.random.default_rng(2).choice([0, 4, 9, 1, -2, 7], (ROWS, STEPS, 2))
    model.adapt(X).build((STEPS, 3))
    model.parameters[...] = np.random.default_rng(1).normal(0, 0.5, model.parameters.size)
    return model, X


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, ROWS])
def test_steps_have_the_bits_of_the_whole_sequence(name, dtype, rows):
    model, X = built(NETWORKS[name](), dtype)
    X, expected = X[:rows], model.predict(X[:rows])
    net = model.network(max_batch=16)
    state = net.new_state(rows)
    width = expected.shape[-1]
    found = np.full((STEPS, rows, width), np.nan, dtype)
    for t in range(STEPS):
        assert fn.step_checked(net, state, X[:, t].copy(), found[t]) is fn.Status.OK
    if expected.ndim == 3:
        assert found.transpose(1, 0, 2).tobytes() == expected.tobytes()
    else:
        assert found[-1].tobytes() == expected.tobytes()
    out = np.empty_like(expected)
    fn.forward(net, X, out)  # whole sequences, as before
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("last", [fn.GRU, fn.LSTM])
def test_integers_one_at_a_time(last):
    model = fn.Model([fn.Embedding(9, 3), last(4), fn.Dense(2)], "mse", seed=0).build(STEPS)
    X = np.random.default_rng(0).integers(0, 9, (20, STEPS)).astype(np.float32)
    net, out = model.network(max_batch=16), np.empty((20, 2), np.float32)
    state = net.new_state(20)
    for t in range(STEPS):
        assert fn.step_checked(net, state, X[:, t : t + 1].copy(), out) is fn.Status.OK
    assert np.array_equal(out, model.predict(X))


def test_numbers_of_preprocessing_layers_that_change():
    model, X = built(NETWORKS["scaled"](), "float32")
    net, out = model.network(), np.empty((ROWS, 1), np.float32)
    model.layers[0].set_statistics({"mean": [1.0, 0.0, 2.0], "scale": [2.0, 1.0, 0.5]})
    state = net.new_state(ROWS)
    for t in range(STEPS):
        fn.step(net, state, X[:, t].copy(), out)
    assert np.array_equal(out, model.predict(X))


def test_a_state_begins_again_and_is_copied():
    model, X = built(NETWORKS["of the page"](), "float32")
    net, out = model.network(), np.empty((2, 2), np.float32)
    state = net.new_state(2)
    assert state.shape == (2, 9) and state.dtype == np.float32 and not state.any()

    @njit
    def run(net, state, X, out):
        for t in range(X.shape[0]):
            fn.step(net, state, X[t], out)

    series = np.ascontiguousarray(X[:2].transpose(1, 0, 2))
    run(net, state, series[:3], out)
    kept = state.copy()
    run(net, state, series[3:], out)
    first = out.copy()
    run(net, kept, series[3:], out)
    assert np.array_equal(out, first)
    state[:] = 0
    run(net, state, series, out)
    assert np.array_equal(out, first) and np.array_equal(out, model.predict(X[:2]))


def test_one_sequence_without_an_axis_for_several():
    model, X = built(NETWORKS["masked"](), "float64")
    net, out = model.network(), np.empty(1)
    state = net.new_state(1)
    for x in X[0]:
        assert fn.step_checked(net, state, x, out) is fn.Status.OK
    assert np.array_equal(out, model.predict(X[0]))


REFUSED = {
    "both directions": lambda: [fn.Bidirectional(fn.GRU(3)), fn.Dense(1)],
    "backwards": lambda: [fn.GRU(3, go_backwards=True), fn.Dense(1)],
    "flat": lambda: [fn.GRU(3, return_sequences=True), fn.Flatten(), fn.Dense(1)],
    "a convolution": lambda: [fn.Conv1D(3, 2), fn.GRU(3), fn.Dense(1)],
    "no recurrent layer": lambda: [fn.Dense(3), fn.Dense(1)],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_the_whole_sequence_is_refused(name):
    model = fn.Model(REFUSED[name](), seed=0).build((4, 2))
    net = model.network()
    with pytest.raises(ValueError, match="cannot run one time step at a time"):
        net.new_state(1)
    state, x, out = np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32)
    assert fn.step_checked(net, state, x, out) is fn.Status.WRONG_NETWORK
    fn.step(net, state, x, out)
    assert np.isnan(out).all()


def test_layers_after_the_last_state_may_be_any():
    model = fn.Model([fn.GRU(4), fn.Reshape((2, 2)), fn.Flatten(), fn.Dense(1)], seed=0).build((3, 2))
    X = np.ones((1, 3, 2), np.float32)
    net, out = model.network(), np.empty((1, 1), np.float32)
    state = net.new_state(1)
    for t in range(3):
        fn.step(net, state, X[:, t].copy(), out)
    assert np.array_equal(out, model.predict(X))


def test_arrays_that_do_not_fit_are_refused():
    model, _ = built(NETWORKS["of the page"](), "float32")
    net = model.network()

    def answer(state=(4, 9), x=(4, 3), out=(4, 2)):
        arrays = [np.zeros(shape, np.float32) for shape in (state, x, out)]
        return fn.step_checked(net, *arrays)

    assert answer() is fn.Status.OK
    assert answer(x=(4, 4)) is answer(x=(4, 1, 3)) is fn.Status.WRONG_X
    assert answer(state=(3, 9)) is answer(state=(4, 8)) is answer(state=(36,)) is fn.Status.WRONG_STATE
    assert answer(out=(4, 1)) is answer(out=(3, 2)) is fn.Status.WRONG_OUT
    state, x = net.new_state(4), np.zeros((4, 3), np.float32)
    assert fn.step_checked(net, state, x, state.reshape(-1)[:8].reshape(4, 2)) is fn.Status.WRONG_OUT
    with pytest.raises(TypeError, match="n must be an integer"):
        net.new_state(1.5)
    with pytest.raises(ValueError, match="n must be"):
        net.new_state(0)


def test_a_clone_steps_by_itself():
    model, X = built(NETWORKS["of the page"](), "float32")
    net = model.network()
    clone = fn.clone_workspace(net)
    one, other = net.new_state(1), clone.new_state(1)
    a, b = np.empty((1, 2), np.float32), np.empty((1, 2), np.float32)
    for t in range(STEPS):
        fn.step(net, one, X[:1, t].copy(), a)
        fn.step(clone, other, X[:1, t].copy(), b)
    assert np.array_equal(a, b) and np.array_equal(a, model.predict(X[:1]))
