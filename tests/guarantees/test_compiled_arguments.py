"""The functions for compiled code: arrays that their kernels cannot take are refused by their types.

Numba's types say neither that an array is masked nor that it is not aligned: that cannot be refused.
"""

import functools

import numpy as np
import pytest
from numba.core.errors import NumbaError

import fastnn as fn
from tests.helpers.array_likes import read_only
from tests.helpers.sweeps import sampled

pytestmark = pytest.mark.slow  # each call is typed by Numba

MODEL = fn.Model([fn.Dense(4, "tanh"), fn.Dense(2)], "mse", seed=0).build(3)
ARRAYS = {
    "x": np.ones((5, 3), np.float32),
    "y": np.ones((5, 2), np.float32),
    "dy": np.ones((5, 2), np.float32),
    "out": np.zeros((5, 2), np.float32),
    "dx": np.zeros((5, 3), np.float32),
    "jac": np.zeros((5, 2, 3), np.float32),
    "parameter_jac": np.zeros((5, 2, MODEL.parameters.size), np.float32),
}
WRITTEN = ("out", "dx", "jac", "parameter_jac")
#: Function -> its arrays after the network, and after the optimizer's state.
FUNCTIONS = {
    "forward": ("x", "out"),
    "input_gradient": ("x", "dy", "dx"),
    "jacobian": ("x", "jac"),
    "parameter_jacobian": ("x", "parameter_jac"),
    "loss_and_gradient": ("x", "y"),
    "train_step": ("x", "y"),
    "forward_train": ("x", "out"),
    "backward": ("x", "dy", "dx"),
}
#: Those that take the optimizer's state behind the network.
WITH_STATE = ("train_step", "forward_train")
KINDS = {
    "float64": lambda a: a.astype("float64"),
    "float16": lambda a: a.astype("float16"),
    "big-endian": lambda a: a.astype(">f4"),
    "Fortran order": np.asfortranarray,
    "negative strides": lambda a: a[::-1],
    "objects": lambda a: a.astype(object),
    "a list": lambda a: a.tolist(),
    "None": lambda a: None,
}
#: The functions that also look at sizes ask the others: a few kinds are enough.
OF_CHECKED = ["float64"]
CASES = [
    (f"{name}{checked}", array, kind)
    for name, arrays in FUNCTIONS.items()
    for checked in ("", "_checked")
    for array in arrays
    for kind in [*(OF_CHECKED if checked else KINDS), *(["read-only"] if array in WRITTEN else [])]
    if (name, array, kind) != ("backward", "dx", "None")  # which is its default
]


@functools.cache
def compiled():
    """The network and the optimizer's state."""
    return MODEL.network(max_batch=5), MODEL.optimizer_state()


def call(name, **changed):
    net, state = compiled()
    base = name.removesuffix("_checked")
    arrays = [changed.get(array, ARRAYS[array]) for array in FUNCTIONS[base]]
    return getattr(fn, name)(net, *([state] if base in WITH_STATE else []), *arrays)


@pytest.mark.parametrize(("name", "array", "kind"), sampled(CASES, every=5))
def test_wrong_types_are_refused_before_anything_is_written(name, array, kind):
    value = {**KINDS, "read-only": read_only}[kind](ARRAYS[array])
    state = compiled()[1]
    before = MODEL.parameters.tobytes(), state.vectors.tobytes(), [a.tobytes() for a in ARRAYS.values()]
    with pytest.raises((NumbaError, TypeError, ValueError, NotImplementedError)):
        call(name, **{array: value})
    assert before == (
        MODEL.parameters.tobytes(),
        state.vectors.tobytes(),
        [a.tobytes() for a in ARRAYS.values()],
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_network_is_asked_for(name):
    arrays = [ARRAYS[array] for array in FUNCTIONS[name]]
    for net in (None, MODEL, ARRAYS["x"]):
        with pytest.raises((NumbaError, TypeError)):
            getattr(fn, name)(net, *([compiled()[1]] if name in WITH_STATE else []), *arrays)


def test_the_table_is_whole():
    compiled = {name for name in fn.__all__ if hasattr(getattr(fn, name), "py_func")}
    # `step` has an argument more, the state, `apply_gradient` no array: see tests/engine/test_steps.py and
    # tests/engine/test_passes.py
    named = [*FUNCTIONS, "step", "apply_gradient"]
    assert compiled - {"sample_categorical"} == {
        f"{name}{checked}" for name in named for checked in ("", "_checked")
    }
