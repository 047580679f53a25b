"""Weights out of whole checkpoints of PyTorch's, one network of several, and files of torch.save."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import fastnn as fn
from tests.helpers.rejections import refused

DATA = Path(__file__).parents[1] / "fixtures"
RNG = np.random.default_rng(0)


def state(start=""):
    shapes = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}
    return {f"{start}{key}": RNG.normal(size=shape) for key, shape in shapes.items()}


def model():
    return fn.Model([fn.Dense(4, "tanh"), fn.Dense(2)], "mse", dtype="float64", seed=0)


def is_of(taken, given, start=""):
    return np.array_equal(taken.layers[0].weights, given[f"{start}0.weight"].T) and np.array_equal(
        taken.layers[1].bias, given[f"{start}2.bias"]
    )


GIVEN, OTHER = state(), state()
REST = {"optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "epoch": 7, "rng": None}
CHECKPOINTS = {
    "state_dict": {"state_dict": GIVEN, **REST},
    "model_state_dict": {**REST, "model_state_dict": GIVEN},
    "model": {"epoch": 1, "model": GIVEN},
}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_the_state_in_a_checkpoint_is_taken(checkpoint):
    assert is_of(fn.load_torch(checkpoint, model()), GIVEN)


TWO = {f"actor.{key}": value for key, value in GIVEN.items()} | {
    f"critic.{key}": value for key, value in OTHER.items()
}
TWO |= {"log_std": np.zeros(2), "actor_target.0.weight": np.zeros((9, 9)), "steps": np.array(3)}
SEVERAL = {
    "keys": TWO,
    "keys of a checkpoint": {"state_dict": TWO, **REST},
    "dicts": {"actor": GIVEN, "critic": OTHER, "steps": 3},
    "dicts in a checkpoint": {"model": {"actor": GIVEN, "critic": OTHER}, **REST},
}


@pytest.mark.parametrize("dot", ["", "."], ids=["without dot", "with dot"])
@pytest.mark.parametrize("several", SEVERAL.values(), ids=SEVERAL)
def test_one_network_of_several_is_taken_by_its_prefix(several, dot):
    assert is_of(fn.load_torch(several, model(), prefix=f"actor{dot}"), GIVEN)
    assert is_of(fn.load_torch(several, model(), prefix=f"critic{dot}"), OTHER)


def test_a_prefix_of_a_file(tmp_path):
    save_file(TWO, tmp_path / "m.safetensors")
    assert is_of(fn.load_torch(tmp_path / "m.safetensors", model(), prefix="critic."), OTHER)
    deep = {f"net.pi.{key}": value for key, value in GIVEN.items()}
    save_file(deep | {f"net.vf.{key}": value for key, value in OTHER.items()}, tmp_path / "m.safetensors")
    assert is_of(fn.load_torch(tmp_path / "m.safetensors", model(), prefix="net.pi"), GIVEN)


REFUSED = {
    "unknown prefix": (TWO, "player.", ValueError, "prefix='player.'; they begin with actor, critic"),
    "no prefix": (
        {k: v for k, v in TWO.items() if k[:6] in ("actor.", "critic")},
        "",
        ValueError,
        "prefix='actor'",
    ),
    "a dict of states": (
        {"actor": GIVEN, "critic": OTHER},
        "",
        TypeError,
        "prefix='actor' takes the state in it",
    ),
    "a number as prefix": (TWO, 3, TypeError, "prefix must be a string"),
    "other sizes": ({"state_dict": state() | {"0.bias": np.zeros(5)}}, "", ValueError, "'0.bias' has shape"),
}


@pytest.mark.parametrize(("given", "prefix", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(given, prefix, error, message):
    taking = model().build(3)
    refused(taking, lambda: fn.load_torch(given, taking, prefix=prefix), error, message)


def test_a_module_is_not_its_state():
    module = types.SimpleNamespace(state_dict=lambda: GIVEN)
    with pytest.raises(TypeError, match=r"give module.state_dict\(\)"):
        fn.load_torch(module, model())


# --- files of torch.save


def pytorch(version="2.6.0+cpu", load=lambda path, map_location, weights_only: None):
    return types.SimpleNamespace(__version__=version, load=load)


def test_a_file_of_pytorch_is_read_by_pytorch_and_runs_nothing(monkeypatch):
    calls = []

    def load(path, map_location, weights_only):
        calls.append((path, map_location, weights_only))
        return {"state_dict": GIVEN, "epoch": 3}

    monkeypatch.setitem(sys.modules, "torch", pytorch(load=load))
    assert is_of(fn.load_torch(DATA / "torch_save.pt", model()), GIVEN)
    assert calls == [(str(DATA / "torch_save.pt"), "cpu", True)]


def fails(path, map_location, weights_only):
    raise RuntimeError("cannot be read so\nand more")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (pytorch("2.5.1"), "PyTorch 2.6 or later is needed, found 2.5.1"),
        (pytorch("1.13.0+cu117"), "PyTorch 2.6 or later"),
        (pytorch("2.10.0a0", fails), "what can be read: cannot be read so"),
        (pytorch("3.0", lambda *_, **__: [1]), "holds a list"),
    ],
    ids=["too old", "older", "not only weights", "a list"],
)
def test_a_file_of_pytorch_that_cannot_be_read(module, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", module)
    taking = model().build(3)
    refused(taking, lambda: fn.load_torch(DATA / "torch_save.pt", taking), ValueError, message)


def test_without_pytorch_the_error_says_how_to_convert(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ImportError, match=r"safetensors.torch.save_file\(torch.load\(path, weights_only=True"
    ):
        fn.load_torch(DATA / "torch_save.pt", model())


def test_with_pytorch():
    pytest.importorskip("torch", reason="PyTorch is no part of the development tools")
    for name in ("torch_save.pt", "torch_save_legacy.pt"):
        taken = fn.load_torch(DATA / name, fn.Model([fn.Dense(1)]))
        assert taken.n_in == 2 and taken.parameters.all()
    for name in ("torch_save_module.pt", "torch_script.pt"):
        with pytest.raises(ValueError, match="holds more than tensors"):
            fn.load_torch(DATA / name, fn.Model([fn.Dense(1)]))
