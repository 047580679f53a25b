"""Layers that change the size of an image, and dropout of channels: settings, refusals, masks."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.kernels.abi import oprow

SETTINGS = {
    fn.UpSampling2D(): "UpSampling2D(2)",
    fn.UpSampling2D([2, 3]): "UpSampling2D((2, 3))",
    fn.UpSampling2D(2, "bilinear"): "UpSampling2D(2, interpolation='bilinear')",
    fn.UpSampling1D(3): "UpSampling1D(3)",
    fn.ZeroPadding2D(2): "ZeroPadding2D(2)",
    fn.ZeroPadding2D((1, 2)): "ZeroPadding2D((1, 2))",
    fn.ZeroPadding2D(((1, 2), 0)): "ZeroPadding2D(((1, 2), 0))",
    fn.ZeroPadding2D([[1, 2], [1, 2]]): "ZeroPadding2D(((1, 2), (1, 2)))",
    fn.ZeroPadding1D((1, 2)): "ZeroPadding1D((1, 2))",
    fn.Cropping1D(1): "Cropping1D(1)",
    fn.SpatialDropout2D(0.25): "SpatialDropout2D(0.25)",
}


@pytest.mark.parametrize("layer", SETTINGS, ids=SETTINGS.values())
def test_shown_and_kept(layer):
    assert repr(layer) == SETTINGS[layer]
    settings = layer.config()
    assert (
        type(layer)(**{name: value for name, value in settings.items() if name != "name"}).config()
        == settings
    )


WRONG = {
    "size": (lambda: fn.UpSampling2D(0), ValueError, "size must be >= 1, got 0"),
    "interpolation": (
        lambda: fn.UpSampling2D(2, "bicubic"),
        ValueError,
        "must be 'nearest' or 'bilinear', got 'bicubic'",
    ),
    "padding": (
        lambda: fn.ZeroPadding2D((1, 2, 3)),
        ValueError,
        "padding must be an integer, 2 integers or 2",
    ),
    "pair": (lambda: fn.ZeroPadding1D((1, 2, 3)), ValueError, "padding must be an integer or two integers"),
    "negative": (lambda: fn.Cropping2D(-1), ValueError, "cropping must be >= 0, got -1"),
    "fraction": (lambda: fn.ZeroPadding2D((1, 0.5)), TypeError, "padding must be an integer, got 0.5"),
    "rate": (lambda: fn.SpatialDropout1D(1), ValueError, "rate must be >= 0 and < 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings(name):
    make, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        make()


REFUSED = {
    "axes": (
        lambda: fn.UpSampling2D(),
        (4, 3),
        r"UpSampling2D\(2\) expects .* \(height, width, channels\), got",
    ),
    "all cut off": (
        lambda: fn.Cropping2D(2),
        (4, 9, 1),
        r"layer 0, Cropping2D\(2\) leaves nothing of .* \(4, 9\)",
    ),
    "dropout": (
        lambda: fn.SpatialDropout1D(0.5),
        (4,),
        r"expects .* \(time, channels\), got \(4,\); use fn.Dropout",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_shapes_that_do_not_fit(name):
    make, shape, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        fn.Model([make()]).build(shape)


def test_whole_channels_are_dropped():
    layers = [fn.Dense(5, use_bias=False), fn.SpatialDropout2D(0.4), fn.Flatten(), fn.Dense(1)]
    model = fn.Model(layers, "mse", fn.SGD(0.0), dtype="float64", seed=3).build((2, 3, 5))
    layers[0].weights = np.eye(5)
    net, state, masks = model.network(16), model.optimizer_state(), []
    x = np.random.default_rng(0).normal(size=(16, 2, 3, 5))
    for _ in range(2):
        fn.train_step(net, state, x, np.zeros((16, 1)))
        op = net.ops.view(oprow.OP)[1, 0]
        mask = net.workspace[op["scratch"] :][: 16 * 5].reshape(16, 1, 1, 5).copy()
        y = net.workspace[op["y"] :][: x.size].reshape(x.shape)
        np.testing.assert_allclose(y, x * mask, rtol=1e-12)
        assert set(mask.ravel()) == {0, 1 / 0.6} and 0.2 < (mask == 0).mean() < 0.6
        masks.append(mask)
    assert (masks[0] != masks[1]).any()
