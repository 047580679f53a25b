"""Options of training that scikit-learn's estimators stand on, each against plain NumPy."""

import numpy as np
import pytest

import fastnn as fn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))
Y = X @ RNG.normal(size=(3, 2))
WEIGHT = RNG.uniform(0.5, 2, 50)


def linear(loss="mse", **settings):
    layers = [fn.Dense(2, **settings)]
    return fn.Model(layers, loss=loss, optimizer=fn.SGD(0.1), dtype="float64", seed=0).build(3)


def gradient(w, x, t, weight):
    """Of the weighted mean over rows of the mean over outputs, by weights (3, 2) and bias (2,)."""
    error = (x @ w[:6].reshape(3, 2) + w[6:] - t) * weight[:, np.newaxis] / weight.sum()
    return np.concatenate([(x.T @ error).ravel(), error.sum(axis=0)])


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_alpha_is_divided_by_the_batch(weight):
    model = linear(alpha=0.7)
    w = model.parameters.copy()
    shares = np.ones(50) if weight is None else weight
    history = model.fit(X, Y, epochs=3, batch_size=20, shuffle=False, sample_weight=weight).history
    losses, total = [], 0.0
    for _ in range(3):
        for rows in (slice(0, 20), slice(20, 40), slice(40, 50)):
            x, t, own = X[rows], Y[rows], shares[rows]
            penalty = 0.7 / 2 * (w[:6] ** 2).sum() / own.sum()
            error = x @ w[:6].reshape(3, 2) + w[6:] - t
            total += (own @ (error**2).mean(axis=1)) / shares.sum() + penalty * len(x) / 50
            step = gradient(w, x, t, own)
            step[:6] += 0.7 * w[:6] / own.sum()
            w -= 0.1 * step
        losses.append(total)
        total = 0.0
    np.testing.assert_allclose(model.parameters, w, rtol=1e-12)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)


def test_alpha_belongs_to_the_gradient_and_not_to_evaluation():
    model, plain = linear(alpha=0.7), linear()
    squares = (model.layers[0].weights ** 2).sum()
    loss, slope = model.loss_and_gradient(X, Y)
    plain_loss, plain_slope = plain.loss_and_gradient(X, Y)
    assert loss == pytest.approx(plain_loss + 0.35 * squares / 50)
    np.testing.assert_allclose(slope[:6], plain_slope[:6] + 0.7 * model.parameters[:6] / 50)
    assert model.evaluate(X, Y) == plain.evaluate(X, Y)


LOSSES = [fn.losses.mse(), fn.losses.huber(0.3), fn.losses.sse()]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_scaled_loss(loss, tmp_path):
    model, plain = linear(loss.scaled(3.0)), linear(loss)
    value, slope = model.loss_and_gradient(X, Y, WEIGHT)
    plain_value, plain_slope = plain.loss_and_gradient(X, Y, WEIGHT)
    assert value == pytest.approx(3 * plain_value)
    np.testing.assert_allclose(slope, 3 * plain_slope)
    assert model.evaluate(X, Y)["loss"] == pytest.approx(3 * plain.evaluate(X, Y)["loss"])
    model.save(tmp_path / "m.safetensors")
    assert fn.load(tmp_path / "m.safetensors").loss == loss.scaled(3.0)


def test_a_loss_is_not_scaled_by_zero():
    with pytest.raises(ValueError, match="factor must be > 0"):
        fn.losses.mse().scaled(0)


@pytest.mark.parametrize("period", [1, 3, 20])
def test_orders_of_the_users_own(period):
    """With callbacks that look seldom, several orders are asked for before a compiled call."""
    drawn = np.random.default_rng(1).integers(0, 50, (7, 50), dtype=np.int32)
    look = fn.Callback()
    look.period = period
    model, single = linear(), linear()
    model.fit(X, Y, epochs=7, batch_size=20, shuffle=drawn.__getitem__, callbacks=[look])
    for order in drawn:
        single.fit(X[order], Y[order], batch_size=20, shuffle=False)
    np.testing.assert_array_equal(model.parameters, single.parameters)


@pytest.mark.parametrize(
    "order, message",
    [
        (np.arange(49), r"shape \(50,\), got int64 of shape \(49,\)"),
        (np.zeros(50), "integers of shape"),
        (np.arange(1, 51), r"0 \.\.\. 49, got 1 \.\.\. 50"),
        (np.arange(-1, 49), "got -1"),
    ],
)
def test_a_wrong_order_is_refused(order, message):
    model = linear()
    before = model.parameters.copy()
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, shuffle=lambda epoch: order)
    np.testing.assert_array_equal(model.parameters, before)


class Looks(fn.Callback):
    """Notes the epochs in which it is called."""

    def __init__(self, period, stop_at=None):
        self.period, self.stop_at, self.epochs = period, stop_at, []

    def on_epoch_end(self, epoch, logs):
        self.epochs.append(epoch)
        self.model.stop_training = epoch == self.stop_at


def test_callbacks_that_look_seldom():
    seldom, often = Looks(4), Looks(3)
    history = linear().fit(X, Y, epochs=10, callbacks=[seldom, often])
    assert seldom.epochs == [3, 7, 9] and often.epochs == [2, 5, 8, 9]
    assert len(history.history["loss"]) == 10


def test_a_seldom_look_stops_training():
    look = Looks(4, stop_at=7)
    assert linear().fit(X, Y, epochs=50, callbacks=[look]).epoch == list(range(8))
