"""Recurrent layers: what `check_layer` does not ask of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn

KINDS = (fn.SimpleRNN, fn.GRU, fn.LSTM)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "advice"),
    [((8,), r"fn.Reshape\(\(time, -1\)\)"), ((4, 5, 3), r"fn.Reshape\(\(time, features\)\)")],
)
def test_samples_of_other_shapes_are_refused(kind, shape, advice):
    layer = fn.Residual([fn.Activation("tanh"), kind(3)])
    model = fn.Model([layer, fn.Flatten(), fn.Dense(1)], "mse", seed=0)
    name = kind.__name__
    message = rf"layer 0.body.1, {name}\(3\) expects samples of shape \(time, features\).*{advice}"
    with pytest.raises(ValueError, match=message):
        model.build(shape)


def test_parameters_are_shaped_and_drawn_as_in_keras():
    model = fn.Model([fn.LSTM(4, return_sequences=True), fn.GRU(3), fn.Dense(1)], seed=0).build((5, 2))
    lstm, gru, _ = model.layers
    assert lstm.weights.shape == (2, 16) and lstm.recurrent_weights.shape == (4, 16)
    assert lstm.bias.tolist() == [0] * 4 + [1] * 4 + [0] * 8
    assert gru.weights.shape == (4, 9) and gru.recurrent_weights.shape == (3, 9)
    assert gru.bias.shape == (2, 9) and not gru.bias.any()
    assert_allclose(gru.recurrent_weights @ gru.recurrent_weights.T, np.eye(3), atol=1e-6)
    plain = fn.Model([fn.LSTM(4, unit_forget_bias=False)], seed=0).build((5, 2)).layers[0]
    assert not plain.bias.any()
    with pytest.raises(ValueError, match="use_bias=False"):
        fn.Model([fn.GRU(4, use_bias=False)]).build((5, 2)).layers[0].bias  # noqa: B018


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_batch_whose_parts_have_gradients(kind):
    """Its gradient is the mean of those of shorter ones."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4096, 5, 3)), rng.normal(size=(4096, 1))
    model = fn.Model([kind(4, return_sequences=True), kind(4), fn.Dense(1)], "mse", dtype="float64", seed=0)
    model.build((5, 3))
    gradient = model.loss_and_gradient(X, y)[1].copy()
    parts = [model.loss_and_gradient(X[i : i + 512], y[i : i + 512])[1].copy() for i in range(0, 4096, 512)]
    assert_allclose(gradient, np.mean(parts, axis=0), rtol=1e-10, atol=1e-15)


def to_torch(torch, layer):
    """The layer of PyTorch with the same weights; the gates of its GRU are in another order."""
    kind = {fn.SimpleRNN: torch.nn.RNN, fn.GRU: torch.nn.GRU, fn.LSTM: torch.nn.LSTM}[type(layer)]
    features, width = layer.weights.shape
    theirs = kind(features, layer.units, batch_first=True, dtype=torch.float64)
    order = [1, 0, 2] if isinstance(layer, fn.GRU) else range(layer.gates)
    columns = np.concatenate([np.arange(width).reshape(layer.gates, -1)[k] for k in order])
    bias = np.atleast_2d(layer.bias)[:, columns]
    bias = bias if len(bias) == 2 else np.vstack([bias, np.zeros_like(bias)])
    values = [layer.weights[:, columns].T, layer.recurrent_weights[:, columns].T, *bias]
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    return theirs


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradients_are_those_of_pytorch(kind):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    model = fn.Model([kind(7, return_sequences=True)], "mse", dtype="float64", seed=0).build((9, 3))
    model.parameters[...] = rng.normal(0, 0.5, model.parameters.size)
    X, dy = rng.normal(size=(6, 9, 3)), rng.normal(size=(6, 9, 7))
    x = torch.tensor(X, requires_grad=True)
    y, _ = to_torch(torch, model.layers[0])(x)
    y.backward(torch.from_numpy(dy))
    assert_allclose(model.predict(X), y.detach().numpy(), rtol=1e-10, atol=1e-12)
    dx = np.empty_like(X)
    fn.input_gradient(model.network(), X, dy.reshape(6, -1), dx)
    assert_allclose(dx, x.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_dropout_drops_a_feature_at_all_time_steps():
    model = fn.Model([fn.SimpleRNN(4, dropout=0.5), fn.Dense(1)], "mse", fn.SGD(0.1), seed=0).build((20, 30))
    before = model.layers[0].weights.copy()
    model.partial_fit(np.ones((1, 20, 30)), [[1.0]])
    unchanged = (model.layers[0].weights == before).all(axis=1)
    assert 5 < unchanged.sum() < 25


# ---- masks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backwards", [False, True])
def test_padding_changes_nothing(kind, backwards):
    """Sequences padded at either end have the output of those of their own length, to the bit."""
    rng = np.random.default_rng(0)
    masking = fn.Model([fn.Masking(-1), kind(5, go_backwards=backwards), fn.Dense(2)], seed=0).build((9, 3))
    plain = fn.Model([kind(5, go_backwards=backwards), fn.Dense(2)]).build((6, 3))
    plain.parameters[...] = masking.parameters
    X = rng.normal(size=(4, 6, 3)).astype("float32")
    expected = plain.predict(X)
    for before in (0, 2, 3):
        padding = [(0, 0), (before, 3 - before), (0, 0)]
        assert np.array_equal(masking.predict(np.pad(X, padding, constant_values=-1)), expected)


def test_a_sequence_of_which_all_is_masked_leaves_the_state_at_zero():
    model = fn.Model([fn.Masking(), fn.GRU(3, return_sequences=True)], seed=0).build((4, 2))
    model.parameters[...] = 1
    assert not model.predict(np.zeros((2, 4, 2))).any()


def test_masked_steps_repeat_the_output_before():
    model = fn.Model([fn.Masking(), fn.Dense(3), fn.LSTM(3, return_sequences=True)], seed=0).build((4, 2))
    X = np.ones((1, 4, 2))
    X[:, 2] = 0
    one, two, three, four = model.predict(X)[0]
    assert np.array_equal(two, three)
    assert not np.array_equal(one, two) and not np.array_equal(three, four)


def test_masking_alone_gives_zeros():
    X = np.array([[[1.0, 2.0], [7.0, 7.0], [7.0, 3.0]]])
    assert fn.Masking(7)(X).tolist() == [[[1, 2], [0, 0], [7, 3]]]


NOT_MASKED = {
    r"layer 1, Flatten\(\) cannot leave out": lambda: [fn.Masking(), fn.Flatten(), fn.Dense(1)],
    r"layer 1.1, Conv1D.* cannot leave out": lambda: [
        fn.Masking(),
        fn.Sequential([fn.Dense(3), fn.Conv1D(2, 3)]),
        fn.GRU(2),
    ],
    "'mse' cannot leave out the time steps": lambda: [fn.Masking(), fn.GRU(2, return_sequences=True)],
    "masked already": lambda: [fn.Masking(), fn.Dense(3), fn.Masking(1), fn.GRU(2)],
    "must come before branches": lambda: [fn.Add([None, fn.Masking()]), fn.GRU(2)],
    "use fn.Bidirectional": lambda: [
        fn.Masking(),
        fn.GRU(2, return_sequences=True, go_backwards=True),
        fn.GRU(2),
    ],
}


@pytest.mark.parametrize("message", NOT_MASKED)
def test_what_cannot_be_masked_is_refused(message):
    with pytest.raises(ValueError, match=message):
        fn.Model(NOT_MASKED[message](), "mse", seed=0).build((6, 2))


# ---- both directions ---------------------------------------------------------------------------


def test_what_cannot_go_both_ways_is_refused():
    for layer in (fn.Dense(3), fn.Sequential([fn.GRU(3)]), "gru"):
        with pytest.raises(TypeError, match=r"layer must be fn.SimpleRNN, fn.GRU or fn.LSTM"):
            fn.Bidirectional(layer)
    with pytest.raises(ValueError, match="layer must go forwards"):
        fn.Bidirectional(fn.GRU(3, go_backwards=True))
    with pytest.raises(ValueError, match="merge_mode must be 'concat' or 'sum', got 'mul'"):
        fn.Bidirectional(fn.GRU(3), "mul")


def test_names_of_parameters_in_both_directions():
    model = fn.Model([fn.Bidirectional(fn.GRU(3))], seed=0).build((4, 2))
    both = model.layers[0]
    assert [place.key for place in model.executor.graph.parameters][::3] == [
        "0.forward_layer.weights",
        "0.backward_layer.weights",
    ]
    assert both.forward_layer is both.layer and both.backward_layer.go_backwards
    assert not np.array_equal(both.forward_layer.weights, both.backward_layer.weights)
