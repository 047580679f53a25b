"""Networks in compiled code that are not what was made: constants of Numba's, copies, other arrays."""

import copy
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import cfunc, njit, prange
from numba.core.errors import TypingError

import fastnn as fn
from fastnn.kernels.abi import descriptor

pytestmark = pytest.mark.slow  # Numba compiles

ROOT = Path(__file__).parents[2]


def built(optimizer="adam", seed=0):
    layers = [fn.Dense(4, "tanh"), fn.BatchNormalization(), fn.Dense(2)]
    return fn.Model(layers, "mse", optimizer, dtype="float64", seed=seed).build(3)


MODEL = built()
NET, STATE = MODEL.network(8), MODEL.optimizer_state()
CLONE, BOTH = fn.clone_workspace(NET), (NET, STATE)
MODULE = types.ModuleType("module")
MODULE.net = NET
X, Y = np.ones((5, 3)), np.ones((5, 2))
#: Function -> what it is called with after the network and the optimizer's state, as shapes; the last may be
#: written.
FUNCTIONS = {
    "forward": [(5, 3), (5, 2)],
    "input_gradient": [(5, 3), (5, 2), (5, 3)],
    "jacobian": [(5, 3), (5, 2, 3)],
    "parameter_jacobian": [(5, 3), (5, 2, MODEL.parameters.size)],
    "loss_and_gradient": [(5, 3), (5, 2)],
    "train_step": [(5, 3), (5, 2)],
    "forward_train": [(5, 3), (5, 2)],
}
TRAINING = ("loss_and_gradient", "train_step")


def arguments(name, state=STATE):
    return [
        *([state] if name in ("train_step", "forward_train") else []),
        *(np.ones(shape) for shape in FUNCTIONS[name]),
    ]


def contents():
    return [array.tobytes() for array in (*NET[:-1], *STATE)]


# ---- Constants -----------------------------------------------------------------------------------------


def a_global(x, out):
    return fn.forward(NET, x, out)


def a_global_checked(x, out):
    return fn.forward_checked(NET, x, out)


def a_clone(x, out):
    return fn.forward(CLONE, x, out)


def one_of_a_tuple(x, out):
    return fn.forward(BOTH[0], x, out)


def one_of_a_module(x, out):
    return fn.forward_checked(MODULE.net, x, out)


def a_default(x, out, net=NET):
    return fn.forward(net, x, out)


def enclosed():
    net = MODEL.network()

    def a_variable(x, out):
        return fn.forward_checked(net, x, out)

    return a_variable


def in_prange(x, out):
    for i in prange(5):
        fn.forward(NET, x[i], out[i])


WAYS = [a_global, a_global_checked, a_clone, one_of_a_tuple, one_of_a_module, a_default, in_prange]
WAYS.append(enclosed())


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_network_is_no_constant(way):
    with pytest.raises(TypingError, match="a network must be an argument of the compiled function"):
        njit(way)(X, Y.copy())


def test_nor_in_a_callback_in_c():
    with pytest.raises(TypingError, match="a network must be an argument of the compiled function"):

        @cfunc(numba.types.void(numba.types.CPointer(numba.types.float64)))
        def callback(x):
            fn.forward(NET, numba.carray(x, (3,)), numba.carray(x, (2,)))


@pytest.mark.parametrize("function", [fn.train_step, fn.train_step_checked])
def test_an_optimizer_state_is_no_constant(function):
    @njit
    def learn(net, x, y):
        return function(net, STATE, x, y)

    with pytest.raises(TypingError, match="an optimizer's state must be an argument of the"):
        learn(NET, X, Y)


@njit
def with_default(x, out, net=NET):
    return fn.forward_checked(net, x, out)


def test_a_default_argument_may_be_given():
    out = Y.copy()
    assert with_default(X, out, NET) == fn.Status.OK
    assert np.array_equal(out, MODEL.predict(X))


PROGRAM = """
import numpy as np
from numba import njit
import fastnn as fn

net = fn.Model([fn.Dense(2)], seed=0).build(3).network()

@njit(cache=True)
def act(x):
    out = np.empty(2, np.float32)
    fn.forward_checked(net, x, out)
    return out

try:
    act(np.ones(3, np.float32))
except Exception as error:
    print("argument of the compiled function" in str(error))
"""


def test_nothing_of_it_is_kept_for_another_process(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, program], env=environment, capture_output=True, text=True, timeout=300
        )
        assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


# ---- Copies --------------------------------------------------------------------------------------------


def with_copy_of(name):
    """The network with a copy of one of its arrays."""
    return fn.Network(**NET._asdict() | {name: getattr(NET, name).copy()})


SEEN = [name for name in fn.Network._fields if name != "version"]
#: Whose copies the functions without a check notice: all that they go by, and what the user reads.
NOTICED = ("descriptor", "parameters")
NOTICED_IN_TRAINING = (*NOTICED, "loss", "gradient")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("array", SEEN)
def test_a_copied_array_is_noticed(array, name):
    net, given, before = with_copy_of(array), arguments(name), contents()
    copied = getattr(net, array).tobytes()
    assert getattr(fn, f"{name}_checked")(net, *given) is fn.Status.WRONG_NETWORK
    assert (given[-1] == 1).all()
    if array in (NOTICED_IN_TRAINING if name in TRAINING else NOTICED):
        result = getattr(fn, name)(net, *given)
        assert np.isnan(result if name in TRAINING else given[-1]).all()
        assert (given[-2] == 1).all()
    assert contents() == before and getattr(net, array).tobytes() == copied


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_whole_network_is_not_refused(name):
    model = built()
    net = model.network(8)
    for whole in (net, fn.clone_workspace(net), fn.Network(*net)):
        given = arguments(name, model.optimizer_state())
        assert getattr(fn, f"{name}_checked")(whole, *given) is fn.Status.OK
        result = getattr(fn, name)(whole, *given)
        assert np.isfinite(result if name in TRAINING else given[-1]).all()


def test_a_short_vector_of_parameters():
    net = fn.Network(**NET._asdict() | {"parameters": np.zeros(3)})
    before, out = contents(), Y.copy()
    assert fn.forward_checked(net, X, out) is fn.Status.WRONG_NETWORK
    fn.forward(net, X, out)
    assert np.isnan(out).all() and contents() == before


def test_a_short_descriptor():
    net = fn.Network(**NET._asdict() | {"descriptor": np.zeros(descriptor.SIZE - 1, np.int64)})
    assert fn.forward_checked(net, X, Y.copy()) is fn.Status.WRONG_NETWORK


SLOTS = NET.descriptor


@njit
def put_together(net, x, out):
    """With a descriptor that Numba made a constant of."""
    other = fn.Network(SLOTS, *net[1:])
    status = fn.forward_checked(other, x, out)
    assert (out == 1).all()
    return status


def test_a_network_put_together_in_compiled_code():
    with pytest.raises(TypingError):  # the descriptor cannot be written to
        put_together(NET, X, np.ones((5, 2)))


@pytest.mark.parametrize("array", fn.OptimizerState._fields)
def test_a_copy_in_an_optimizer_state_is_noticed(array):
    state = fn.OptimizerState(**STATE._asdict() | {array: getattr(STATE, array).copy()})
    before, copied = contents(), getattr(state, array).tobytes()
    assert fn.train_step_checked(NET, state, X, Y) is fn.Status.WRONG_STATE
    assert np.isnan(fn.train_step(NET, state, X, Y))
    assert contents() == before and getattr(state, array).tobytes() == copied


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_state_of_another_model(optimizer):
    one, other = built(optimizer), built(optimizer)
    net, state = one.network(8), other.optimizer_state()
    assert fn.train_step_checked(net, state, X, Y) is fn.Status.WRONG_STATE
    assert np.isnan(fn.train_step(net, state, X, Y))
    assert one.state.step == other.state.step == 0
    assert np.array_equal(one.parameters, other.parameters)


def test_the_state_of_another_size():
    other = fn.Model([fn.Dense(2)], "mse", dtype="float64").build(3)
    assert fn.train_step_checked(NET, other.optimizer_state(), X, Y) is fn.Status.WRONG_STATE


@pytest.mark.parametrize("whole", [NET, STATE], ids=["network", "state"])
@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy], ids=lambda way: way.__name__)
def test_no_copies_in_python(whole, way):
    with pytest.raises(TypeError, match=r"cannot be copied or pickled; copy the model and use its \w+\(\)"):
        way(whole)


@pytest.mark.parametrize("whole", [NET, STATE], ids=["network", "state"])
def test_no_other_arrays_in_python(whole):
    with pytest.raises(TypeError, match="cannot be replaced, got parameters; write into them"):
        whole._replace(parameters=whole.parameters.copy())
    with pytest.raises(TypeError, match="cannot be replaced"):
        whole.__replace__(parameters=whole.parameters.copy())


@pytest.mark.parametrize("array", ["descriptor", "parameters", "workspace", "loss"])
def test_no_clone_of_what_is_not_whole(array):
    with pytest.raises(ValueError, match="as model.network"):
        fn.clone_workspace(with_copy_of(array))


# ---- Overlap -------------------------------------------------------------------------------------------


def wide():
    return fn.Model([fn.Dense(20)], "mse", dtype="float64", seed=0).build(20)


def test_output_over_input():
    model = wide()
    net, memory = model.network(8), np.random.default_rng(0).normal(size=(9, 20))
    X, kept = memory[:8], memory.copy()
    for out in (X, memory[1:]):
        assert fn.forward_checked(net, X, out) is fn.Status.WRONG_OUT
        assert fn.input_gradient_checked(net, X, X.copy(), out) is fn.Status.WRONG_OUT
        assert fn.input_gradient_checked(net, X.copy(), X, out) is fn.Status.WRONG_OUT
    assert np.array_equal(memory, kept)
    assert fn.forward_checked(net, memory[0], memory[1]) is fn.Status.OK  # one beside the other
    assert np.array_equal(memory[1], model.predict(kept[0]))


def test_derivatives_over_input():
    model = wide()
    net, memory = model.network(8), np.ones(20 * model.parameters.size)
    one = memory[:20]
    assert fn.jacobian_checked(net, one, memory[:400].reshape(20, 20)) is fn.Status.WRONG_OUT
    assert fn.parameter_jacobian_checked(net, one, memory.reshape(20, -1)) is fn.Status.WRONG_OUT
    assert (memory == 1).all()


def test_output_over_weights():
    model = wide()
    net, start, x = model.network(8), model.parameters.copy(), np.ones(20)
    assert fn.forward_checked(net, x, model.parameters[:20]) is fn.Status.WRONG_OUT
    assert fn.input_gradient_checked(net, x, x, net.parameters[-20:]) is fn.Status.WRONG_OUT
    assert np.array_equal(model.parameters, start)


def test_samples_in_the_gradient():
    model = wide()
    net, state, start, x = model.network(8), model.optimizer_state(), model.parameters.copy(), np.ones(20)
    assert fn.train_step_checked(net, state, net.gradient[:20], x) is fn.Status.WRONG_X
    assert fn.loss_and_gradient_checked(net, x, net.gradient[:20]) is fn.Status.WRONG_Y
    assert np.array_equal(model.parameters, start)
