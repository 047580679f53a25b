"""Every layer: a row of a table, which says what it is called with and what it computes in plain NumPy."""

import contextlib
from unittest import mock

import numpy as np
import pytest

import fastnn as fn
from fastnn.compiler import loader
from fastnn.layers import registry
from tests.helpers.check_layer import COMPUTATION, PROMISES, check_layer
from tests.helpers.layer_rows import LAYERS


def check_row(name, checks):
    layer, input_shape, reference, *options = LAYERS[name]
    check_layer(layer, input_shape, reference, checks=checks, **dict(*options))


@pytest.mark.parametrize("name", LAYERS)
def test_what_a_layer_computes(name):
    check_row(name, COMPUTATION)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_promised_of_a_layer(name):
    check_row(name, PROMISES)


def test_every_layer_has_a_row():
    behind_others = {fn.Masking}  # of whose output alone there is no loss
    assert {type(layer()) for layer, *_ in LAYERS.values()} | behind_others == set(registry.TABLE.values())


# --- what is wrong is noticed


def other_gradient(kernel, dtype=None, address=loader.address):
    return address(
        "layers.activation.sigmoid.backward_input" if kernel.endswith(".tanh.backward_input") else kernel,
        dtype,
    )


def tanh(x, p):
    return np.tanh(x)


FAULTS = {
    "check_values": (lambda x, p: np.tanh(x) * (1 + 1e-4), contextlib.nullcontext),
    "check_gradients": (tanh, lambda: mock.patch.object(loader, "address", other_gradient)),
    "check_copies": (
        tanh,
        lambda: mock.patch.object(
            fn.Activation, "config", lambda layer: {"name": "activation", "activation": "elu"}
        ),
    ),
}


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_noticed(check):
    reference, fault = FAULTS[check]
    with fault(), pytest.raises(AssertionError) as failed:
        check_layer(lambda: fn.Activation("tanh"), (4,), reference)
    assert failed.value.__notes__ == [f"{check} of Activation('tanh')"]
