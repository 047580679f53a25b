"""A user's own activations, losses and schedules, and the gradient check."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

import fastnn as fn
from fastnn import activations, losses, schedules
from fastnn.kernels.math.elementary import tanh as fast_tanh
from tests.helpers.tolerances import ELEMENTWISE, TRAINING

pytestmark = pytest.mark.slow  # Numba compiles

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
_NUMBER = itertools.count()
SLOPE = 0.5


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    """What a test makes is forgotten."""
    for room in (activations, losses, schedules):
        monkeypatch.setattr(room, "TABLE", dict(room.TABLE))


def new_name():
    return f"own_{next(_NUMBER)}"


def data(dtype="float32", n=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 5)).astype(dtype), rng.normal(size=(n, 3)).astype(dtype)


@njit
def own_tanh(x):
    return fast_tanh(x)


@njit
def own_tanh_derivative(x, y):
    return 1 - y * y


def own_leaky_relu(x):
    return x if x > 0 else SLOPE * x


def own_leaky_relu_derivative(x):
    return 1 if x > 0 else SLOPE


ACTIVATIONS = {
    "jitted": (own_tanh, own_tanh_derivative, activations.tanh()),
    "plain": (own_leaky_relu, own_leaky_relu_derivative, activations.leaky_relu(SLOPE)),
}
HUBER = (
    lambda y, t: 0.5 * (y - t) ** 2 if abs(y - t) <= 1 else abs(y - t) - 0.5,
    lambda y, t: max(-1, min(1, y - t)),
)


# ---- The same as the built-in twin ---------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_like_its_twin(name, dtype):
    forward, derivative, twin = ACTIVATIONS[name]
    own = fn.register_activation(forward, derivative, new_name())
    one, two = (
        fn.Model([fn.Dense(7, function), fn.Activation(function), fn.Dense(3)], "mse", dtype=dtype, seed=0)
        for function in (own, twin)
    )
    X, y = data(dtype)
    np.testing.assert_allclose(one(X), two(X), **ELEMENTWISE[dtype])
    assert one(X).dtype == dtype
    for model in (one, two):
        model.fit(X, y, epochs=5)
    np.testing.assert_allclose(one.parameters, two.parameters, **TRAINING[dtype])


@DTYPES
def test_a_loss_is_like_its_twin(dtype):
    own = fn.register_loss(*HUBER, new_name())
    one, two = (fn.Model([fn.Dense(7, "tanh"), fn.Dense(3)], f, dtype=dtype, seed=0) for f in (own, "huber"))
    X, y = data(dtype)
    weight = np.arange(40) / 40
    for model in (one, two):
        model.fit(X, 3 * y, epochs=5, sample_weight=weight)
    np.testing.assert_allclose(one.history.history["loss"], two.history.history["loss"], **TRAINING[dtype])
    np.testing.assert_allclose(one.parameters, two.parameters, **TRAINING[dtype])
    half = fn.Model([fn.Dense(3)], own.scaled(0.5), dtype=dtype, seed=0).evaluate(X, y)["loss"]
    whole = fn.Model([fn.Dense(3)], own, dtype=dtype, seed=0).evaluate(X, y)["loss"]
    assert half == pytest.approx(whole / 2, rel=1e-6)


def test_a_schedule_is_like_its_twin():
    own = fn.register_schedule(lambda step: 0.1 * 0.5 ** (step / 7), new_name())
    X, y = data("float64")
    one, two = (
        fn.Model([fn.Dense(3)], "mse", fn.SGD(rate), dtype="float64", seed=0)
        for rate in (own, schedules.exponential(0.1, 7, 0.5))
    )
    for model in (one, two):
        model.fit(X, y, epochs=4, batch_size=8)
    np.testing.assert_allclose(one.parameters, two.parameters, **TRAINING["float64"])


def test_own_pieces_inside_compiled_code():
    model = fn.Model(
        [fn.Dense(7, fn.register_activation(*ACTIVATIONS["jitted"][:2], new_name())), fn.Dense(3)],
        fn.register_loss(*HUBER, new_name()),
        fn.SGD(fn.register_schedule(lambda step: 0.1 / (1 + step), new_name())),
        seed=0,
    ).build(5)
    X, y = data(n=8)
    net, state = model.network(8), model.optimizer_state()
    values = [fn.train_step(net, state, X, y) for _ in range(20)]
    assert values[-1] < values[0]


# ---- Parameters with defaults --------------------------------------------------------------------------

WITH_DEFAULTS = {
    "of x": (lambda x, k=2.0: k * x, lambda x, k=2.0: k + 0 * x),
    "of x and y": (lambda x, k=3: k * x * x, lambda x, y, k=2.0: k * y / x),
    "several": (lambda x, k=0.5, j=4: j * k * x * x, lambda x, j=2, k=2.0: j * k * x),
    "any more": (lambda x, *more: 2 * x, lambda x, *more: 2 + 0 * x),
}


@pytest.mark.filterwarnings("error")  # in float32 a default is no float64 number
@pytest.mark.parametrize("name", WITH_DEFAULTS)
def test_defaults_are_not_parameters(name):
    own = fn.register_activation(*WITH_DEFAULTS[name], new_name())
    x = np.array([[1.5, -2.0, 0.25]])
    expected = WITH_DEFAULTS[name][0](x)
    np.testing.assert_allclose(fn.Activation(own)(x.astype(np.float32)), expected, rtol=1e-6)
    model = fn.Model([fn.Dense(4, own), fn.Dense(3)], "mse", dtype="float64", seed=0).build(5)
    assert fn.check_gradient(model, *data("float64")) < 1e-6


def test_defaults_of_losses_and_schedules():
    loss = fn.register_loss(lambda y, t, k=2.0: k * (y - t) ** 2, lambda y, t, k=4.0: k * (y - t), new_name())
    rate = fn.register_schedule(lambda step, k=0.01: k / (1 + step), new_name())
    one = fn.Model([fn.Dense(3)], loss, fn.SGD(rate), dtype="float64", seed=0)
    two = fn.Model([fn.Dense(3)], fn.losses.mse().scaled(2), fn.SGD(0.01), dtype="float64", seed=0)
    for model in (one, two):
        model.fit(*data("float64"), batch_size=40)
    np.testing.assert_allclose(one.parameters, two.parameters)


def test_keyword_only_parameters_are_refused():
    with pytest.raises(TypeError, match=r"derivative must have no keyword-only .* in \(x, \*, k=2.0\)"):
        fn.register_activation(lambda x: x, lambda x, *, k=2.0: k, new_name())


# ---- float32 stays float32 -----------------------------------------------------------------------------

STAY_FLOAT32 = {
    "literals": lambda x: 0.5 * x / (1 + abs(x)) - 2,
    "a global": lambda x: SLOPE * x,
    "a constant of a module": lambda x: 2 * math.pi * x,
    "branches": lambda x: 0.0 if x < 0 else min(1, max(x, -0.5)),
    "a power": lambda x: x**2,
    "of a result": lambda x: 1 + math.tanh(0.25 * x),
}


@pytest.mark.parametrize("name", STAY_FLOAT32)
def test_literals_leave_float32_alone(name):
    from fastnn.kernels.custom import scalar

    assert scalar.check(STAY_FLOAT32[name], 1, np.float32) is False


def sum_in_float64(x):
    total = 0.0
    for k in range(1, 5):
        total += math.sin(k * x)
    return total


def test_a_function_that_computes_in_float64_is_told():
    own = fn.register_activation(sum_in_float64, lambda x: 1, new_name())
    with pytest.warns(UserWarning, match=f"forward of the activation '{own.name}' computes in float64"):
        out = fn.Activation(own)([[1.0]])
    assert out.dtype == np.float32
    fn.Model([fn.Activation(own)], dtype="float64").build(1).predict([[1.0]])  # no warning


# ---- What cannot run -----------------------------------------------------------------------------------


def raises(x):
    if x > 5:
        raise ValueError("too large")
    return x


def prints(x):
    print(x)
    return x


REFUSED = {
    "raises": (raises, "may raise"),
    "prints": (prints, "allocates, prints"),
    "allocates": (lambda x: np.zeros(3)[0] + x, "does not compile"),
    "a list": (lambda x: [x, x][0], "does not compile: NRT required"),
    "gives a string": (lambda x: "x", "does not compile"),
    "gives nothing": (lambda x: None, "does not compile"),
    "gives a complex number": (lambda x: 1j * x, "does not compile"),
    "a name that is not there": (lambda x: nothing(x), "name 'nothing' is not defined"),  # noqa: F821
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_function_that_cannot_run_is_refused(name):
    function, reason = REFUSED[name]
    own = fn.register_activation(function, lambda x: 1, new_name())
    for _ in range(2):  # the failure is not taken for a success the second time
        with pytest.raises(fn.CompilationError, match=f"forward of the activation '{own.name}' .*{reason}"):
            fn.Activation(own)([[1.0]])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: fn.register_activation(1, own_leaky_relu, "new"), "forward must be a function, got 1"),
        (lambda: fn.register_activation(lambda: 1, abs, "new"), "forward must be a function of 1 numbers"),
        (
            lambda: fn.register_activation(abs, lambda x, y, z: 1, "new"),
            "derivative must be a function of 1 or 2",
        ),
        (
            lambda: fn.register_loss(lambda y: y, lambda y, t: y, "new"),
            "value must be a function of 2 numbers",
        ),
        (lambda: fn.register_schedule(lambda: 1, "new"), "function must be a function of 1 numbers"),
        (lambda: fn.register_schedule(abs, "not a name"), "name must be a string that is an identifier"),
        (lambda: fn.register_schedule(abs, 3), "name must be a string that is an identifier, got 3"),
    ],
)
def test_arguments(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_a_name_that_is_taken():
    with pytest.raises(ValueError, match="'relu' is the name of another activation; choose another one$"):
        fn.register_activation(abs, abs, "relu", replace=True)
    name = new_name()
    fn.register_activation(lambda x: 2 * x, lambda x: 2, name)
    assert fn.Activation(name)([[1.0]]) == 2
    with pytest.raises(ValueError, match=f"'{name}' is the name .*, or replace=True"):
        fn.register_activation(lambda x: 3 * x, lambda x: 3, name)
    fn.register_activation(lambda x: 3 * x, lambda x: 3, name, replace=True)
    assert fn.Activation(name)([[1.0]]) == 3


# ---- Files ---------------------------------------------------------------------------------------------

LOAD = """
import sys
import fastnn as fn

path, known = sys.argv[1:]
if known == "known":
    fn.register_activation(lambda x: 2 * x, lambda x: 2, "twice")
    fn.register_loss(lambda y, t: abs(y - t), lambda y, t: 1 if y > t else -1, "distance")
    fn.register_schedule(lambda step: 0.5, "half")
print(fn.load(path).predict([[3.0]]))
"""


def load(path, known):
    command = [sys.executable, "-W", "error", "-c", LOAD, str(path), known]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_file_needs_the_pieces_that_it_names(tmp_path):
    fn.register_activation(lambda x: 2 * x, lambda x: 2, "twice")
    fn.register_loss(lambda y, t: abs(y - t), lambda y, t: 1 if y > t else -1, "distance")
    half = fn.register_schedule(lambda step: 0.5, "half")
    model = fn.Model([fn.Dense(1, "twice")], "distance", fn.SGD(half), seed=0).build(1)
    model.layers[0].weights = [[2]]
    model.save(tmp_path / "own.safetensors")
    done = load(tmp_path / "own.safetensors", "known")
    assert done.stdout == "[[12.]]\n", done.stderr
    done = load(tmp_path / "own.safetensors", "unknown")
    assert "unknown activation 'twice'" in done.stderr
    assert (
        "a user-defined one must be registered by fn.register_activation before it is used or loaded"
        in done.stderr
    )


# ---- The gradient check --------------------------------------------------------------------------------


@DTYPES
def test_check_gradient(dtype):
    own = fn.register_activation(*ACTIVATIONS["jitted"][:2], new_name())
    layers = [fn.Standardize(), fn.Dense(5, own, l2=0.1), fn.Dropout(0.5), fn.Dense(3)]
    model = fn.Model(layers, "huber", dtype=dtype, seed=0)
    X, y = data(dtype, 9)
    model.fit(X, y)
    before = model.parameters.copy()
    assert 0 < fn.check_gradient(model, X, y, np.arange(9)) < 1e-6
    assert np.array_equal(model.parameters, before)


def test_check_gradient_finds_a_wrong_derivative():
    wrong = fn.register_activation(own_tanh, lambda x, y: 1 - 1.001 * y * y, new_name())
    model = fn.Model([fn.Dense(5, wrong), fn.Dense(3)], "mse", seed=0)
    X, y = data(n=9)
    with pytest.raises(
        fn.GradientError, match=r"gradient with respect to weights\[\d, \d\] of layer 0, Dense\(5"
    ):
        fn.check_gradient(model, X, y)
    assert issubclass(fn.GradientError, AssertionError)
    assert fn.check_gradient(model, X, y, tolerance=0.1) > 1e-5


def test_check_gradient_of_some_parameters():
    X, y = data(n=9)
    model = fn.Model([fn.Dense(50, "tanh"), fn.Dense(3)], "mse", seed=0)
    assert fn.check_gradient(model, X, y, most=10) < 1e-6
    with pytest.raises(ValueError, match="most must be >= 1"):
        fn.check_gradient(model, X, y, most=0)
    none = fn.Model([fn.Activation("tanh")], "mse")
    assert fn.check_gradient(none, X, X) == 0
