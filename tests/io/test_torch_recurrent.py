"""Weights of recurrent layers from and for PyTorch: another order of gates, and two biases."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn

UNITS, SHAPE = 4, (6, 3)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, *SHAPE))

LAYERS = {
    "rnn": lambda: [fn.SimpleRNN(UNITS)],
    "rnn of relu without bias": lambda: [fn.SimpleRNN(UNITS, "relu", use_bias=False)],
    "gru": lambda: [fn.GRU(UNITS)],
    "lstm": lambda: [fn.LSTM(UNITS)],
    "lstm without bias": lambda: [fn.LSTM(UNITS, use_bias=False)],
    "both ways": lambda: [fn.Bidirectional(fn.GRU(UNITS, return_sequences=True))],
    "several": lambda: [
        fn.Dense(3, "tanh"),
        fn.Bidirectional(fn.LSTM(UNITS, return_sequences=True)),
        fn.GRU(UNITS),
        fn.Dense(2),
    ],
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run(cell, x, state, suffix, activation=np.tanh):
    """The outputs of a module of PyTorch, by the formulas of its documentation."""
    kernel, recurrent = (state[f"weight_{name}{suffix}"] for name in ("ih", "hh"))
    b, c = (state.get(f"bias_{name}{suffix}", np.zeros(len(kernel))) for name in ("ih", "hh"))
    h = memory = np.zeros((len(x), recurrent.shape[1]))
    outputs = []
    for t in reversed(range(x.shape[1])) if suffix.endswith("reverse") else range(x.shape[1]):
        left, right = x[:, t] @ kernel.T + b, h @ recurrent.T + c
        if cell == "rnn":
            h = activation(left + right)
        elif cell == "gru":
            (r, z, n), (own_r, own_z, own_n) = np.split(left, 3, axis=1), np.split(right, 3, axis=1)
            z = sigmoid(z + own_z)
            h = (1 - z) * np.tanh(n + sigmoid(r + own_r) * own_n) + z * h
        else:
            i, f, g, o = np.split(left + right, 4, axis=1)
            memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(memory)
        outputs.append(h)
    return np.stack(outputs[::-1] if suffix.endswith("reverse") else outputs, axis=1)


def below(state, module):
    return {key.removeprefix(f"{module}."): v for key, v in state.items() if key.startswith(f"{module}.")}


def model_of(name, seed=1):
    model = fn.Model(LAYERS[name](), dtype="float64", seed=0).build(SHAPE)
    model.parameters[...] = np.random.default_rng(seed).normal(0, 0.5, model.parameters.size)
    return model


EXPECTED = {
    "rnn": lambda s: run("rnn", X, below(s, 0), "_l0")[:, -1],
    "rnn of relu without bias": lambda s: run("rnn", X, below(s, 0), "_l0", lambda x: np.maximum(x, 0))[
        :, -1
    ],
    "gru": lambda s: run("gru", X, below(s, 0), "_l0")[:, -1],
    "lstm": lambda s: run("lstm", X, below(s, 0), "_l0")[:, -1],
    "lstm without bias": lambda s: run("lstm", X, below(s, 0), "_l0")[:, -1],
    "both ways": lambda s: np.dstack([run("gru", X, below(s, 0), f"_l0{end}") for end in ("", "_reverse")]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_state_is_for_the_formulas_of_pytorch(name):
    model = model_of(name)
    state = model.to_torch_state(as_numpy=True)
    assert_allclose(model.predict(X), EXPECTED[name](state), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_there_and_back(name):
    model, other = model_of(name), model_of(name, seed=2)
    fn.load_torch(model.to_torch_state(as_numpy=True), other)
    assert np.array_equal(model.predict(X), other.predict(X))
    assert np.array_equal(model.parameters, other.parameters)


def test_a_bias_is_the_sum_of_the_two_of_pytorch():
    model = model_of("lstm")
    state = model.to_torch_state(as_numpy=True)
    assert not state["0.bias_hh_l0"].any()
    state["0.bias_hh_l0"] = RNG.normal(size=4 * UNITS)
    fn.load_torch(state, model)
    assert_allclose(model.layers[0].bias, state["0.bias_ih_l0"] + state["0.bias_hh_l0"], rtol=1e-14)
    assert_allclose(model.predict(X), EXPECTED["lstm"](state), rtol=1e-10, atol=1e-12)


def test_names_of_keys():
    keys = list(model_of("several").to_torch_state(as_numpy=True))
    assert keys[:2] == ["0.weight", "0.bias"] and keys[-2:] == ["4.weight", "4.bias"]
    assert keys[2:10] == [
        f"2.{name}_l0{end}"
        for end in ("", "_reverse")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    assert keys[10:14] == ["3.weight_ih_l0", "3.weight_hh_l0", "3.bias_ih_l0", "3.bias_hh_l0"]


def test_several_layers_in_one_module():
    """``GRU(num_layers=2, bidirectional=True)`` in a module with other names."""
    layers = [fn.Bidirectional(fn.GRU(UNITS, return_sequences=True)) for _ in range(2)]
    model = fn.Model([*layers, fn.Dense(1)], dtype="float64", seed=0).build(SHAPE)
    state = {}
    for key, value in model.to_torch_state(as_numpy=True).items():
        module, _, name = key.partition(".")
        state[f"head.{name}" if module == "2" else f"rnn.{name.replace('_l0', f'_l{module}')}"] = value
    other = fn.Model(
        [*(fn.Bidirectional(fn.GRU(UNITS, return_sequences=True)) for _ in range(2)), fn.Dense(1)],
        dtype="float64",
        seed=1,
    ).build(SHAPE)
    fn.load_torch(state, other)
    assert np.array_equal(model.parameters, other.parameters)


def changed(**entries):
    return {**model_of("gru").to_torch_state(as_numpy=True), **entries}


REFUSED = {
    r"'0.weight_hh_l0' has shape \(12, 5\), GRU\(4\) needs \(12, 4\)": changed(
        **{"0.weight_hh_l0": np.zeros((12, 5))}
    ),
    "the layer of '0.weight_ih_l0' has no bias_hh, unlike GRU": {
        key: value for key, value in changed().items() if "bias_hh" not in key
    },
    "has a weight, unlike GRU": changed(**{"0.weight": np.zeros((12, 3))}),
    "the state has 2 modules with weights": changed(**{"0.weight_ih_l0_reverse": np.zeros((12, 3))}),
    "is not a weight or bias of a module": changed(**{"0.weight_hr_l0": np.zeros((12, 3))}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_is_refused(message):
    model = model_of("gru")
    before = model.parameters.copy()
    with pytest.raises(ValueError, match=message):
        fn.load_torch(REFUSED[message], model)
    assert np.array_equal(model.parameters, before)


def test_layers_that_pytorch_does_not_have():
    added = fn.Model([fn.Bidirectional(fn.GRU(3), "sum")], seed=0).build(SHAPE)
    with pytest.raises(ValueError, match="PyTorch, which concatenates the outputs"):
        added.to_torch_state(as_numpy=True)
    backwards = fn.Model([fn.GRU(3, go_backwards=True)], seed=0).build(SHAPE)
    with pytest.raises(ValueError, match="goes backwards, which no layer of PyTorch does alone"):
        backwards.to_torch_state(as_numpy=True)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "both ways"])
def test_modules_of_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch computes the outputs")
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM}.get(name, torch.nn.GRU)
    module = kind(SHAPE[1], UNITS, batch_first=True, bidirectional=name == "both ways", dtype=torch.float64)
    with torch.no_grad():
        outputs = module(torch.from_numpy(X))[0].numpy()
    expected = outputs if name == "both ways" else outputs[:, -1]
    model = fn.load_torch(module.state_dict(), model_of(name))
    assert_allclose(model.predict(X), expected, rtol=1e-10, atol=1e-12)
    other = model_of(name, seed=3)
    module.load_state_dict(below(other.to_torch_state(), 0))
    with torch.no_grad():
        outputs = module(torch.from_numpy(X))[0].numpy()
    assert_allclose(
        other.predict(X), outputs if name == "both ways" else outputs[:, -1], rtol=1e-10, atol=1e-12
    )
