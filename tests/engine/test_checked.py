"""The checked functions for compiled code: what they answer, and that they write to their own memory only."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

import fastnn as fn
from fastnn.engine import network
from fastnn.engine.state import State
from fastnn.kernels.embedded.arguments import are_apart, targets_of
from tests.helpers.guarded import Guarded
from tests.helpers.sweeps import sampled

N_IN, N_OUT, MOST = 5, 3, 4
LOSSES = ["mse", "cross_entropy", None]


class Setting:
    """A model's network and optimizer state, whose writable memory is surrounded by NaN."""

    def __init__(self, loss):
        layers = [fn.Dense(6, "tanh"), fn.Dropout(0.5), fn.Dense(N_OUT)]
        model = fn.Model(layers, loss, fn.Adam(0.1), dtype="float64", seed=0).build(N_IN)
        state = model.state
        self.guards = [Guarded.of(state.parameters), Guarded.of(np.zeros(2 * state.parameters.size))]
        model.executor._state = State(*(g.inside for g in self.guards), state.constants, state.seed)
        net, owned = model.network(MOST), {}
        for name in ("gradients", "workspace", "sums", "loss"):
            self.guards.append(Guarded.of(getattr(net, name)))
            owned[name] = self.guards[-1].inside
        owned["gradient"] = owned["gradients"][:1].reshape(-1)
        self.net = fn.Network(**net._asdict() | owned)
        network._point_to_arrays(self.net)
        self.state, self.size = model.optimizer_state(), state.parameters.size
        self.has_loss, self.classes = loss is not None, loss == "cross_entropy"

    def contents(self):
        return [array.tobytes() for array in (*self.net, *self.state)]


setting_of = functools.cache(Setting)


def rows(x):
    return x[0] if len(x) == 2 else 1


def samples_fit(x):
    return x in [(N_IN,), (rows(x), N_IN)]


def outputs_fit(x, out, width):
    return samples_fit(x) and out == (*x[:-1], width)


def batch_fits(setting, x, y):
    one = [(rows(x), 1), (rows(x),) if len(x) == 2 else (1,)] if setting.classes else []
    targets = [(rows(x), N_OUT), *([(N_OUT,)] if len(x) == 1 else []), *one]
    return setting.has_loss and samples_fit(x) and y in targets and 0 < rows(x) <= MOST


# Function -> how many arrays it takes after x, and whether shapes are as its documentation says.
FUNCTIONS = {
    "forward": (1, lambda s, x, out: outputs_fit(x, out, N_OUT)),
    "input_gradient": (2, lambda s, x, dy, dx: outputs_fit(x, dy, N_OUT) and outputs_fit(x, dx, N_IN)),
    "jacobian": (1, lambda s, x, jac: samples_fit(x) and jac == (*x[:-1], N_OUT, N_IN)),
    "parameter_jacobian": (
        1,
        lambda s, x, jac: samples_fit(x) and jac in [(rows(x) * N_OUT, s.size), (*x[:-1], N_OUT, s.size)],
    ),
    "loss_and_gradient": (1, batch_fits),
    "train_step": (1, batch_fits),
}


def shapes(name, setting):
    """Shapes that are right, nearly right, or anything."""
    sizes = st.sampled_from([0, 1, 2, N_OUT, MOST, N_IN, MOST + 2, 2 * N_OUT, setting.size])
    right = st.one_of(st.just((N_IN,)), st.tuples(sizes, st.just(N_IN)))
    samples = st.one_of(right, right, st.tuples(sizes, sizes), st.tuples(sizes))

    def others(x):
        n = x[0]
        near = [
            (n, N_OUT),
            (n, N_IN),
            (n, 1),
            (n + 1, N_OUT),
            (N_OUT, n),
            (N_OUT,),
            (N_IN,),
            (n,),
            (0,),
            (1,),
        ]
        if "jacobian" in name:
            near = [(n, N_OUT, N_IN), (N_OUT, N_IN), (n * N_OUT, setting.size), (n, N_OUT, setting.size)]
            near += [(N_OUT, setting.size), (N_IN, N_OUT), (n, N_IN, N_OUT), (n + 1, N_OUT, N_IN), (n, 0, 9)]
        return st.tuples(st.just(x), *[st.sampled_from(near)] * FUNCTIONS[name][0])

    return samples.flatmap(others)


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(FUNCTIONS, every=3))
@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_no_size_writes_elsewhere(name, data):
    setting = setting_of(data.draw(st.sampled_from(LOSSES)))
    drawn = data.draw(shapes(name, setting))
    arrays = [Guarded.of(np.ones(shape)) for shape in drawn]
    before = setting.contents()
    extra = [setting.state] if name == "train_step" else []
    status = getattr(fn, f"{name}_checked")(setting.net, *extra, *(array.inside for array in arrays))
    assert (status == fn.Status.OK) == FUNCTIONS[name][1](setting, *drawn)
    if status != fn.Status.OK:
        assert all((array.inside == 1).all() for array in arrays)
        assert setting.contents() == before
    for memory in [*setting.guards, *arrays]:
        memory.check()


def built(loss="mse", **options):
    last = "log_softmax" if loss == "nll" else None
    return fn.Model([fn.Dense(N_OUT, last)], loss, dtype="float64", seed=0, **options).build(N_IN)


@pytest.mark.slow
def test_they_are_the_functions_without_a_check():
    one, two = built(), built()
    net, state = one.network(8), one.optimizer_state()
    other, other_state = two.network(8), two.optimizer_state()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, N_IN)), rng.normal(size=(6, N_OUT))
    for name, arrays in {
        "forward": (X, np.empty((6, N_OUT))),
        "input_gradient": (X, y, np.empty((6, N_IN))),
        "jacobian": (X, np.empty((6, N_OUT, N_IN))),
        "parameter_jacobian": (X, np.empty((6 * N_OUT, one.parameters.size))),
    }.items():
        again = [array.copy() for array in arrays]
        getattr(fn, name)(net, *arrays)
        assert getattr(fn, f"{name}_checked")(other, *again) is fn.Status.OK
        assert np.array_equal(arrays[-1], again[-1])
    fn.loss_and_gradient(net, X, y)
    assert fn.loss_and_gradient_checked(other, X, y) is fn.Status.OK
    assert np.array_equal(net.gradient, other.gradient) and net.loss[0] == other.loss[0]
    loss = fn.train_step(net, state, X, y)
    assert fn.train_step_checked(other, other_state, X, y) is fn.Status.OK
    assert np.array_equal(one.parameters, two.parameters) and other.loss[0] == loss


X, Y = np.ones((4, N_IN)), np.ones((4, N_OUT))
CASES = {
    "x": ("train_step", "mse", X[:, :2].copy(), Y, fn.Status.WRONG_X),
    "targets of other samples": ("train_step", "mse", X, Y[:2], fn.Status.WRONG_Y),
    "class numbers for values": ("loss_and_gradient", "mse", X, Y[:, :1].copy(), fn.Status.WRONG_Y),
    "too many": ("train_step", "mse", np.ones((9, N_IN)), np.ones((9, N_OUT)), fn.Status.WRONG_BATCH),
    "none": ("loss_and_gradient", "mse", X[:0], Y[:0], fn.Status.WRONG_BATCH),
    "no loss": ("train_step", None, X, Y, fn.Status.NO_LOSS),
    "not finite": ("train_step", "mse", X * np.nan, Y, fn.Status.NOT_FINITE),
    "infinite": ("loss_and_gradient", "mse", X, Y * 1e200, fn.Status.NOT_FINITE),
    "a class": ("train_step", "cross_entropy", X, np.array([0.0, 1, 2, 1]), fn.Status.OK),
    "a class too many": ("train_step", "cross_entropy", X, np.array([0.0, 1, 3, 1]), fn.Status.WRONG_CLASS),
    "a class below": ("train_step", "cross_entropy", X, np.array([0.0, 1, -1, 1]), fn.Status.WRONG_CLASS),
    "half a class": ("loss_and_gradient", "nll", X, np.array([[0.5]] * 4), fn.Status.WRONG_CLASS),
    "NaN for a class": ("loss_and_gradient", "nll", X, np.full((4, 1), np.nan), fn.Status.WRONG_CLASS),
    "shares": ("loss_and_gradient", "cross_entropy", X, Y / N_OUT, fn.Status.OK),
}


@pytest.mark.parametrize("case", CASES)
def test_status(case):
    name, loss, x, y, expected = CASES[case]
    model = built(loss)
    net, state, start = model.network(8), model.optimizer_state(), model.parameters.copy()
    extra = [state] if name == "train_step" else []
    assert getattr(fn, f"{name}_checked")(net, *extra, x, y) is expected
    moved = name == "train_step" and expected is fn.Status.OK
    assert np.array_equal(model.parameters, start) != moved


@njit
def train_until_it_fails(net, state, X, y, sizes):
    for i in range(sizes.size):
        status = fn.train_step_checked(net, state, X[: sizes[i]], y[: sizes[i]])
        if status != fn.Status.OK:
            return i, status
    return sizes.size, status


def test_in_compiled_code():
    model = built()
    rows = np.array([4, 1, 3, 5, 2])
    answer = train_until_it_fails(model.network(4), model.optimizer_state(), np.ones((5, N_IN)), Y, rows)
    assert answer == (3, fn.Status.WRONG_Y)
    assert model.state.step == 3


@njit
def apart(one, other):
    return are_apart(one, other)


@njit
def targets(x, y):
    return targets_of(x, y)


def test_arrays_may_lie_side_by_side_and_not_overlap():
    memory = np.zeros(30)
    found = [i for i in range(24) if apart(memory[10:20], memory[i : i + 6])]
    assert found == [0, 1, 2, 3, 4, 20, 21, 22, 23]


def test_how_many_targets_a_row_has():
    x, several, one = np.zeros((4, N_IN)), np.zeros((4, N_OUT)), np.zeros(4)
    assert [targets(x, several), targets(x, one), targets(x[0], several[0])] == [N_OUT, 1, N_OUT]
