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
