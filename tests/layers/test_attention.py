"""Attention: dropout of its weights, what Keras draws, what it refuses, and PyTorch beside it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.reference import central_difference

RNG = np.random.default_rng(0)


def test_the_gradient_is_that_of_the_weights_that_are_left():
    """By central differences of the loss of a step, which draws the same weights each time."""
    layers = [fn.MultiHeadAttention(2, 2, dropout=0.4, use_causal_mask=True), fn.Flatten(), fn.Dense(1)]
    model = fn.Model(layers, "mse", fn.SGD(0.0), dtype="float64", seed=0).build((3, 2))
    model.parameters[...] = start = RNG.normal(size=model.parameters.size)
    x, y = RNG.normal(size=(6, 3, 2)), RNG.normal(size=(6, 1))

    def loss(parameters):
        model.parameters[...], model.state.step = parameters, 0
        return model.fit(x, y, batch_size=None, verbose=0).history["loss"][0]

    expected = central_difference(loss, start)
    model.parameters[...] = start
    assert loss(start) != model.evaluate(x, y)["loss"]
    model.state.step, model.optimizer.learning_rate = 0, 1.0
    model.fit(x, y, batch_size=None, verbose=0)
    assert_allclose(start - model.parameters, expected, rtol=1e-6, atol=1e-8)


def test_a_time_does_not_see_what_comes_later():
    model = fn.Model([fn.MultiHeadAttention(2, 3, use_causal_mask=True)], seed=0).build((5, 4))
    x = RNG.normal(size=(2, 5, 4))
    y = model.predict(x)
    x[:, 3:] = 7
    assert np.array_equal(model.predict(x)[:, :3], y[:, :3])
    assert not np.equal(model.predict(x)[:, 3:], y[:, 3:]).any()


def test_each_projection_is_drawn_by_itself():
    """As Keras draws weights of shape (features, heads, key_dim): from features * (heads + key_dim)."""
    layer = fn.MultiHeadAttention(4, 8, value_dim=2)
    fn.Model([layer], seed=0).build((3, 50))
    parts = np.split(layer.projection_weights, [32, 64], axis=1)
    for part, width in zip(parts, (8, 8, 2), strict=True):
        limit = np.sqrt(6 / (50 * (4 + width)))
        assert 0.9 * limit < abs(part).max() <= limit
    assert 0.9 * np.sqrt(6 / (4 * 52)) < abs(layer.output_weights).max() <= np.sqrt(6 / (4 * 52))


def test_a_block_of_a_transformer_learns():
    """To repeat the first number of a sequence at its end."""
    x = RNG.normal(size=(600, 6, 1)).astype("float32")
    place = fn.Concatenate([None, fn.Dense(7)])
    attention = [fn.LayerNormalization(), fn.MultiHeadAttention(2, 8)]
    layers = [fn.Flatten(), fn.Dense(48), fn.Reshape((6, 8)), place, fn.Residual(attention)]
    layers += [
        fn.Residual([fn.RMSNormalization(), fn.Dense(30, "gelu"), fn.Dense(15)]),
        fn.Flatten(),
        fn.Dense(1),
    ]
    model = fn.Model(layers, "mse", fn.Adam(0.003), seed=0)
    model.fit(x, x[:, 0], epochs=40, verbose=0)
    assert model.evaluate(x, x[:, 0])["loss"] < 0.05


@pytest.mark.parametrize(
    "make, shape, message",
    [
        (
            lambda: fn.MultiHeadAttention(2, 3),
            (5,),
            r"layer 0, MultiHeadAttention\(2, 3\) expects an input of shape \(time, features\), got \(5,\); "
            r"put fn.Reshape\(\(time, features\)\) before it",
        ),
        (
            lambda: fn.GroupNormalization(4),
            (5, 6),
            r"layer 0, GroupNormalization\(groups=4\): 4 groups do not divide the 6 channels of its input of "
            r"shape \(5, 6\); give groups=3",
        ),
    ],
)
def test_shapes_that_do_not_fit(make, shape, message):
    with pytest.raises(ValueError, match=message):
        fn.Model([make()]).build(shape)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: fn.MultiHeadAttention(0, 3), "num_heads must be >= 1, got 0"),
        (lambda: fn.MultiHeadAttention(2, 3, dropout=1), "dropout must be .* < 1, got 1"),
        (lambda: fn.MultiHeadAttention(2, 3, value_dim=0), "value_dim must be >= 1, got 0"),
        (lambda: fn.GroupNormalization(0), "groups must be >= 1, or -1 for as many as channels, got 0"),
        (lambda: fn.RMSNormalization(epsilon=-1), "epsilon must be > 0, got -1"),
        (lambda: fn.LayerNormalization(scale=0), "scale must be True or False, got 0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_it_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    layer = fn.MultiHeadAttention(2, 3, use_causal_mask=True)
    model = fn.Model([layer], dtype="float64", seed=0).build((5, 6))
    model.parameters[...] = RNG.normal(size=model.parameters.size)
    twin = torch.nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        twin.in_proj_weight.copy_(torch.tensor(layer.projection_weights.T))
        twin.in_proj_bias.copy_(torch.tensor(layer.projection_bias))
        twin.out_proj.weight.copy_(torch.tensor(layer.output_weights.T))
        twin.out_proj.bias.copy_(torch.tensor(layer.output_bias))
    x = torch.tensor(RNG.normal(size=(4, 5, 6)))
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    expected = twin(x, x, x, attn_mask=mask, need_weights=False)[0]
    assert_allclose(model.predict(x.numpy()), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
