"""Losses over a row: values by their formulas, gradients, training by them, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.row_losses import (
    CASES,
    ONE,
    RNG,
    SHARES,
    TWO,
    N,
    X,
    model_of,
)

by_case = pytest.mark.parametrize("name", CASES)


@by_case
def test_values(name):
    """In both dtypes, with weights of the samples, times a factor, and of one sample."""
    loss, n_out, y, rows_of = CASES[name]
    weight = RNG.uniform(0, 2, N)
    for dtype, tolerance in (("float64", 1e-11), ("float32", 2e-5)):
        model = model_of(loss, n_out, dtype)
        rows = rows_of(model.predict(X).astype(float), y)
        assert_allclose(model.evaluate(X, y)["loss"], rows.mean(), rtol=tolerance)
        found = model.evaluate(X, y, weight)["loss"]
        assert_allclose(found, np.average(rows, weights=weight), rtol=tolerance)
        assert_allclose(model.loss_and_gradient(X, y, weight)[0], found, rtol=tolerance)
        assert_allclose(model.evaluate(X[0], y[0])["loss"], rows[0], rtol=tolerance, atol=1e-7)
        scaled = model_of(fn.losses.get(loss).scaled(3.0), n_out, dtype)
        assert_allclose(scaled.evaluate(X, y)["loss"], 3 * rows.mean(), rtol=tolerance)


@by_case
def test_gradients(name):
    loss, n_out, y, _ = CASES[name]
    model = model_of(loss, n_out)
    weight = RNG.uniform(0.5, 2, N)
    assert fn.check_gradient(model, X, y, weight) < 1e-5
    single = model_of(loss, n_out, "float32")
    expected = model.loss_and_gradient(X, y, weight)[1]
    found = single.loss_and_gradient(X, y, weight)[1]
    assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())


@by_case
def test_training(name, tmp_path):
    """Batches, validation, early stopping, many at once; copies, pickles and files go on to the same bits."""
    loss, n_out, y, _ = CASES[name]
    options = {"epochs": 3, "batch_size": 32}
    model = model_of(loss, n_out, "float32")
    assert name.split()[0] in repr(model.loss) or name == "noncrossing"
    first = model.evaluate(X, y)["loss"]
    stopping = fn.EarlyStopping(patience=50, restore_best_weights=True)
    history = model.fit(X, y, validation_data=(X, y), epochs=60, callbacks=[stopping]).history
    assert history["val_loss"][-1] < first
    model.save(tmp_path / "m.safetensors", training=True)
    others = [
        fn.load(tmp_path / "m.safetensors"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ]
    twin = copy.deepcopy(model)
    model.fit(X, y, **options)
    for other in others:
        assert other.loss == model.loss and repr(other.loss) == repr(model.loss)
        other.fit(X, y, **options)
        assert np.array_equal(other.parameters, model.parameters)
    (record,) = fn.fit_many([twin], X, y, **options)
    assert record.error is None and np.array_equal(twin.parameters, model.parameters)
    model.partial_fit(X[0], y[0])
    for other in (others[0], twin):  # twice, since the second time samples are known
        other.partial_fit(X[:1], y[:1])
    assert_allclose(twin.parameters, model.parameters, rtol=1e-6)
    model.summary()


@njit
def step(net, state, x, y):
    return fn.train_step(net, state, x, y)


@by_case
def test_compiled_code(name):
    """Steps and gradients are those of the model, to the bit; targets of other widths are refused."""
    loss, n_out, y, _ = CASES[name]
    model, twin = (model_of(loss, n_out, "float32") for _ in range(2))
    net, state = model.network(max_batch=16), model.optimizer_state()
    x = X[:16].astype(np.float32)
    t = np.asarray(y[:16], np.float32).reshape(16, -1)
    value = fn.loss_and_gradient(net, x, t)
    expected, gradient = twin.loss_and_gradient(x, t)
    assert value == expected and np.array_equal(net.gradient, gradient)
    assert step(net, state, x, t) == value
    twin.partial_fit(x, t)
    assert np.array_equal(model.parameters, twin.parameters)
    wide = np.zeros((16, t.shape[1] + 1), np.float32)
    assert fn.train_step_checked(net, state, x, t) is fn.Status.OK
    assert fn.train_step_checked(net, state, x, wide) is fn.Status.WRONG_Y
    if t.shape[1] == 1 and np.issubdtype(y.dtype, np.integer):
        outside = np.full((16, 1), n_out + 1, np.float32)
        assert fn.train_step_checked(net, state, x, outside) is fn.Status.WRONG_CLASS


@pytest.mark.slow
def test_same_bits_at_any_number_of_threads():
    x = np.tile(X, (40, 1))
    for name in ("gaussian_nll of two", "mixture_density", "focal"):
        loss, n_out, y, _ = CASES[name]
        found = set()
        for threads in (1, 2, 3):
            model = fn.Model([fn.Dense(64, "relu"), fn.Dense(n_out)], loss, seed=0)
            model.fit(x, np.tile(y, (40, *[1] * (y.ndim - 1))), batch_size=700, threads=threads, epochs=2)
            found.add(model.parameters.tobytes())
        assert len(found) == 1


# ---- extreme numbers ---------------------------------------------------------------------------


def gradient_of(loss, outputs, target, dtype="float32"):
    """Loss and derivatives with respect to the outputs: of a model that has them as its bias."""
    layer = fn.Dense(len(outputs), kernel_initializer="zeros")
    model = fn.Model([layer], loss, dtype=dtype, seed=0).build(1)
    layer.bias = outputs
    loss, gradient = model.loss_and_gradient(np.zeros((1, 1)), np.reshape(target, (1, -1)))
    return loss, gradient[len(outputs) :]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_outputs_do_not_overflow(dtype):
    big = 3e4
    for loss, outputs, target in [
        ("gaussian_nll", [0.0, big], [1.0]),
        ("gaussian_nll", [0.0, -big], [1.0]),
        (fn.losses.quantiles(noncrossing=True), [big, big, -big], [1.0]),
        (fn.losses.mixture_density(2), [big, -big, big, -big, 0.0, 1.0], [1.0]),
        (fn.losses.mixture_density(2), [-big, big, -big, -big, 0.0, 100.0], [1.0]),
        ("corn", [big, -big, big], [1]),
        ("corn", [-big, big, -big], [3]),
        ("focal", [big, -big, 0.0], [0]),
        ("focal", [big, -big, 0.0], [1]),
        (fn.losses.focal(0.3), [big, -big, 0.0], [0]),
        ("kl_divergence", [big, -big, 0.0], [0.5, 0.5, 0.0]),
        ("cosine_similarity", [1e30, -1e30], [1e30, 1e-30]),
        ("cosine_similarity", [1e-30, 1e-30], [1e-30, 1e30]),
        ("cosine_similarity", [0.0, 0.0], [1.0, 1.0]),
        ("cosine_similarity", [1.0, 1.0], [0.0, 0.0]),
    ]:
        value, gradient = gradient_of(loss, outputs, target, dtype)
        assert np.isfinite(value) and np.isfinite(gradient).all(), (loss, outputs)
    assert gradient_of("cosine_similarity", [1e30, -1e30], [1e30, 1e-30])[0] == pytest.approx(-(0.5**0.5))


def test_a_variance_below_eps_counts_as_eps():
    """Its derivative then is none, or makes it larger."""
    loss = fn.losses.gaussian_nll(eps=0.01)
    value, gradient = gradient_of(loss, [0.0, -50.0], [0.05], "float64")
    assert value == pytest.approx((np.log(0.01) + 0.05**2 / 0.01) / 2)
    assert_allclose(gradient, [-5.0, 0.0], atol=1e-12)
    _, gradient = gradient_of(loss, [0.0, -50.0], [1.0], "float64")
    assert_allclose(gradient, [-100.0, (1 - 100) / 2])


def test_small_steps_of_focal_loss_near_certainty():
    """``(1 - p)**gamma`` keeps its digits where p is nearly 1."""
    value, _ = gradient_of("focal", [20.0, 0.0], [0], "float64")
    p = -np.expm1(-np.log1p(np.exp(-20.0)))
    assert value == pytest.approx(0.25 * p**2 * np.log1p(np.exp(-20.0)), rel=1e-12)


# ---- what is refused ---------------------------------------------------------------------------

REFUSED = {
    r"'gaussian_nll' needs 2 \* n_targets outputs, as for one target fn.Dense\(2\), .* gives 3": (
        lambda: model_of("gaussian_nll", 3)
    ),
    r"'mixture_density' needs 3 \* \(2 \+ n_targets\) outputs, as for one target fn.Dense\(9\)": (
        lambda: model_of("mixture_density", 6)
    ),
    r"y must have shape \(90, 1\), for 'gaussian_nll' of 2 outputs, got \(90, 2\)": (
        lambda: model_of("gaussian_nll", 2).fit(X, TWO)
    ),
    r"y must have shape \(90, 2\), for 'quantiles' of 6 outputs, got \(90, 1\)": (
        lambda: model_of("quantiles", 6).fit(X, ONE)
    ),
    "levels must be in ascending order": lambda: fn.losses.quantiles([0.5, 0.1]),
    r"levels must be in ascending order, each once, got \(0.5, 0.5\)": lambda: fn.losses.quantiles([0.5] * 2),
    "a level must be > 0 and < 1": lambda: fn.losses.quantiles([0.5, 1.0]),
    "levels must be 1 to 32 numbers, got 33": lambda: fn.losses.quantiles(np.linspace(0.1, 0.9, 33)),
    "levels must be 1 to 32 numbers, got 0": lambda: fn.losses.quantiles([]),
    "row 1 sums to 1.5, not 1": lambda: model_of("kl_divergence", 2).fit(X[:2], [[0.5, 0.5], [0.5, 1.0]]),
    "y must be in 0 ... 1": lambda: model_of("kl_divergence", 2).fit(X[:1], [[-0.5, 1.5]]),
    r"y must be class numbers 0 \.\.\. 3 for 3 outputs, got 4": (
        lambda: model_of("corn", 3).fit(X[:2], [0, 4])
    ),
    "y must be class numbers, got 0.5": lambda: model_of("corn", 3).fit(X[:2], [0, 0.5]),
    r"y must have shape \(90, 1\), for 'corn' of 3 outputs": lambda: model_of("corn", 3).fit(
        X, SHARES[:, :3]
    ),
    "y must be class numbers, got 0.25": lambda: model_of("hinge", 1).fit(X[:2], [0.25, 1]),
    "y must be class numbers -1 ... 1 for 1 outputs, got 2": lambda: model_of("hinge", 1).fit(X[:2], [2, 1]),
    "metric 'mae' compares each output with a target, and 'gaussian_nll' has none for each": (
        lambda: model_of("gaussian_nll", 2, metrics=["mae"])
    ),
    "'gaussian_nll' needs an output of shape": (
        lambda: fn.Model([fn.Dense(2)], "gaussian_nll").build((4, 3))
    ),
    r"sample_weight must have 1 dimensions, got shape \(90, 2\)": (
        lambda: model_of("cosine_similarity", 2).fit(X, TWO, sample_weight=np.ones((N, 2)))
    ),
    "Unscale.* needs a loss of values": (
        lambda: fn.Model([fn.Dense(2), fn.Unscale()], "cosine_similarity").fit(X, TWO)
    ),
    "class_weight needs classes": (lambda: model_of("gaussian_nll", 2).fit(X, ONE, class_weight={0: 1.0})),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_is_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_levels_must_be_a_sequence():
    for levels in (0.5, "half", None):
        with pytest.raises(TypeError, match="levels must be a sequence of numbers"):
            fn.losses.quantiles(levels)


def test_limits_of_the_last_activation_are_told():
    for loss in ("gaussian_nll", "mixture_density", "corn", "hinge"):
        with pytest.warns(UserWarning, match="which 'relu' limits"):
            fn.Model([fn.Dense(6, "relu")], loss)


# ---- beside PyTorch ----------------------------------------------------------------------------


@pytest.mark.slow
def test_beside_pytorch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    y = torch.tensor(RNG.normal(size=(N, 4)))
    t, shares = torch.tensor(TWO), torch.tensor(SHARES)
    expected = {
        ("gaussian_nll", 0): functional.gaussian_nll_loss(y[:, :2], t, torch.exp(y[:, 2:])),
        ("kl_divergence", 1): functional.kl_div(torch.log_softmax(y, 1), shares, reduction="batchmean"),
        ("cosine_similarity", 1): -functional.cosine_similarity(y, shares).mean(),
    }
    for (loss, which), value in expected.items():
        model = fn.Model([fn.Activation("identity")], loss, dtype="float64").build(4)
        found = model.evaluate(y.numpy(), (t, shares)[which].numpy())["loss"]
        assert_allclose(found, float(value), rtol=1e-10)
    weights = torch.distributions.Categorical(logits=y[:, :1])
    normal = torch.distributions.Independent(
        torch.distributions.Normal(y[:, np.newaxis, 2:], torch.exp(y[:, 1] / 2)[:, np.newaxis, np.newaxis]), 1
    )
    density = torch.distributions.MixtureSameFamily(weights, normal).log_prob(t)
    model = fn.Model([fn.Activation("identity")], fn.losses.mixture_density(1), dtype="float64").build(4)
    assert_allclose(model.evaluate(y.numpy(), TWO)["loss"], -float(density.mean()), rtol=1e-10)
