"""Losses over a row: values by their formulas, gradients, what is predicted by them, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

import fastnn as fn

RNG = np.random.default_rng(0)
N = 90
X = RNG.normal(size=(N, 3))
LABELS = RNG.integers(0, 4, N)
SHARES = RNG.dirichlet(np.ones(4), N)
ONE, TWO = RNG.normal(size=(N, 1)), RNG.normal(size=(N, 2))
SIGNS = RNG.choice([-1.0, 1.0], (N, 2))


def log_softmax(y):
    y = y - y.max(axis=1, keepdims=True)
    return y - np.log(np.exp(y).sum(axis=1, keepdims=True))


def softplus(y):
    return np.maximum(y, 0) + np.log1p(np.exp(-abs(y)))


def gaussian(y, t, full=False):
    mean, log_variance = np.split(y, 2, axis=1)
    constant = np.log(2 * np.pi) if full else 0.0
    return ((constant + log_variance + (t - mean) ** 2 * np.exp(-log_variance)) / 2).mean(axis=1)


def pinball(y, t, levels, noncrossing=False):
    found = y.reshape(len(y), len(levels), -1)
    if noncrossing:
        found = np.cumsum(np.concatenate([found[:, :1], softplus(found[:, 1:])], axis=1), axis=1)
    q, error = np.reshape(levels, (-1, 1)), t[:, np.newaxis] - found
    return np.maximum(q * error, (q - 1) * error).mean(axis=(1, 2))


def mixture(y, t, count):
    log_weights, log_variance = log_softmax(y[:, :count]), y[:, count : 2 * count]
    means = y[:, 2 * count :].reshape(len(y), -1, count)
    squares = ((t[:, :, np.newaxis] - means) ** 2).sum(axis=1)
    n = t.shape[1]
    densities = log_weights - (n * (log_variance + np.log(2 * np.pi)) + squares / np.exp(log_variance)) / 2
    return -np.log(np.exp(densities).sum(axis=1))


def ranked(y, t):
    above = np.cumprod(1 / (1 + np.exp(-y)), axis=1)
    ones, zeros = np.ones((len(y), 1)), np.zeros((len(y), 1))
    return -np.log((np.hstack([ones, above]) - np.hstack([above, zeros]))[np.arange(len(y)), t])


def shares_of(t):
    return np.eye(4)[t] if t.ndim == 1 else t


def focal(y, t, gamma, alpha):
    log_p = log_softmax(y)
    return -alpha * (shares_of(t) * (1 - np.exp(log_p)) ** gamma * log_p).sum(axis=1)


def divergence(y, t):
    t = shares_of(t)
    return (t * (np.log(np.where(t > 0, t, 1)) - log_softmax(y))).sum(axis=1)


def cosine(y, t):
    return -(y * t).sum(axis=1) / np.linalg.norm(y, axis=1) / np.linalg.norm(t, axis=1)


LEVELS = (0.1, 0.5, 0.9)
#: Name: the loss, how many outputs, targets, and the losses of the rows.
CASES = {
    "gaussian_nll": ("gaussian_nll", 2, ONE, gaussian),
    "gaussian_nll of two": (
        fn.losses.gaussian_nll(full=True),
        4,
        TWO,
        lambda y, t: gaussian(y, t, full=True),
    ),
    "quantiles": ("quantiles", 3, ONE, lambda y, t: pinball(y, t, LEVELS)),
    "quantiles of two": (
        fn.losses.quantiles([0.2, 0.7], noncrossing=True),
        4,
        TWO,
        lambda y, t: pinball(y, t, [0.2, 0.7], noncrossing=True),
    ),
    "noncrossing": (
        fn.losses.quantiles(LEVELS, noncrossing=True),
        3,
        ONE,
        lambda y, t: pinball(y, t, LEVELS, noncrossing=True),
    ),
    "mixture_density": ("mixture_density", 9, ONE, lambda y, t: mixture(y, t, 3)),
    "mixture_density of two": (
        fn.losses.mixture_density(2),
        8,
        TWO,
        lambda y, t: mixture(y, t, 2),
    ),
    "corn": ("corn", 3, LABELS, ranked),
    "focal": ("focal", 4, LABELS, lambda y, t: focal(y, t, 2.0, 0.25)),
    "focal of shares": (fn.losses.focal(0.5, 1.5), 4, SHARES, lambda y, t: focal(y, t, 0.5, 1.5)),
    "focal as cross-entropy": (fn.losses.focal(0.0, 1.0), 4, LABELS, lambda y, t: focal(y, t, 0.0, 1.0)),
    "kl_divergence": ("kl_divergence", 4, SHARES, divergence),
    "kl_divergence of labels": ("kl_divergence", 4, LABELS, divergence),
    "cosine_similarity": ("cosine_similarity", 2, TWO, cosine),
    "hinge": ("hinge", 2, SIGNS, lambda y, t: np.maximum(0, 1 - t * y).mean(axis=1)),
    "squared_hinge": (
        "squared_hinge",
        2,
        (SIGNS + 1) / 2,
        lambda y, t: (np.maximum(0, 1 - (2 * t - 1) * y) ** 2).mean(axis=1),
    ),
}
by_case = pytest.mark.parametrize("name", CASES)


def model_of(loss, n_out, dtype="float64", seed=0, **settings):
    model = fn.Model(
        [fn.Dense(5, "tanh"), fn.Dense(n_out)], loss, fn.Adam(0.01), dtype=dtype, seed=seed, **settings
    ).build(3)
    model.parameters[...] = np.random.default_rng(1).normal(0, 0.7, model.parameters.size)
    return model


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


# ---- what outputs mean -------------------------------------------------------------------------


def test_distributions():
    def predicted(name, x=X):
        loss, n_out, *_ = CASES[name]
        model = model_of(loss, n_out)
        return model.predict(x), model.predict_distribution(x)

    y, found = predicted("gaussian_nll")
    assert list(found) == ["mean", "std"] and found["mean"].shape == (N,)
    assert_allclose(found["mean"], y[:, 0])
    assert_allclose(found["std"], np.exp(y[:, 1] / 2))
    y, found = predicted("gaussian_nll of two")
    assert_allclose(np.hstack([found["mean"], 2 * np.log(found["std"])]), y, atol=1e-12)
    y, found = predicted("gaussian_nll of two", X[0])
    assert found["mean"].shape == (2,)

    y, found = predicted("quantiles")
    assert list(found) == ["quantiles"] and np.array_equal(found["quantiles"], y)
    y, found = predicted("quantiles of two")
    assert found["quantiles"].shape == (N, 2, 2)
    assert_allclose(found["quantiles"][:, 1], y[:, :2] + softplus(y[:, 2:]))
    y, found = predicted("noncrossing", X[0])
    assert found["quantiles"].shape == (3,) and (np.diff(found["quantiles"]) > 0).all()

    y, found = predicted("mixture_density of two")
    shapes = {name: values.shape for name, values in found.items()}
    assert shapes == {
        "mean": (N, 2),
        "std": (N, 2),
        "weights": (N, 2),
        "means": (N, 2, 2),
        "stds": (N, 2),
    }
    drawn = RNG.normal(size=(400_000, 2))
    component = (RNG.uniform(size=len(drawn)) > found["weights"][0, 0]).astype(int)
    drawn = found["means"][0, component] + found["stds"][0, component, np.newaxis] * drawn
    assert_allclose(drawn.mean(axis=0), found["mean"][0], atol=0.05)
    assert_allclose(drawn.std(axis=0), found["std"][0], rtol=0.02)

    y, found = predicted("corn")
    rows = -np.log(found["probabilities"][np.arange(N), LABELS])
    assert_allclose(found["probabilities"].sum(axis=1), 1)
    assert_allclose(rows, ranked(y, LABELS))
    model = model_of("corn", 3)
    assert np.array_equal(model.predict_proba(X), found["probabilities"])
    above = 1 - np.cumsum(found["probabilities"], axis=1)[:, :-1]
    assert np.array_equal(model.predict_class(X), (above > 0.5).sum(axis=1))
    assert model.predict_class(X[0]) == model.predict_class(X)[0]

    for name in ("focal", "kl_divergence"):
        y, found = predicted(name)
        assert_allclose(np.log(found["probabilities"]), log_softmax(y))
    model = model_of("poisson", 1)
    assert_allclose(model.predict_distribution(X)["std"] ** 2, np.exp(model.predict(X))[:, 0])
    model = model_of(fn.losses.quantile(0.9), 1)
    assert_allclose(model.predict_distribution(X)["quantiles"], model.predict(X))
    for loss in ("mse", "hinge", "cosine_similarity", None):
        with pytest.raises(ValueError, match="predict_distribution needs a model with one of the losses"):
            model_of(loss, 2).predict_distribution(X)


def test_hinge_tells_classes_but_no_probabilities():
    model = model_of("hinge", 1)
    assert np.array_equal(model.predict_class(X), (model.predict(X)[:, 0] > 0).astype(int))
    both = [model.evaluate(X, y) for y in (SIGNS[:, 0], (SIGNS[:, 0] > 0).astype(int))]
    assert both[0] == both[1] and "accuracy" in both[0]
    with pytest.raises(ValueError, match="'hinge' gives scores, not probabilities"):
        model.predict_proba(X)


@pytest.mark.slow
def test_noise_that_is_known_is_found():
    """The standard deviation, and the share of targets below each quantile."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4000, 1))
    y = np.sin(3 * x) + rng.normal(size=x.shape) * (0.1 + 0.3 * (x > 0))
    layers = lambda n: [fn.Dense(32, "tanh"), fn.Dense(32, "tanh"), fn.Dense(n)]  # noqa: E731
    model = fn.Model(layers(2), "gaussian_nll", fn.Adam(0.01), seed=0)
    model.fit(x, y, epochs=40, batch_size=128)
    std = model.predict_distribution([[-0.5], [0.5]])["std"]
    assert_allclose(std, [0.1, 0.4], rtol=0.2)
    levels = [0.1, 0.5, 0.9]
    optimizer = fn.Adam(fn.schedules.cosine(0.01, steps=1280))
    model = fn.Model(layers(3), fn.losses.quantiles(levels, noncrossing=True), optimizer, seed=0)
    model.fit(x, y, epochs=40, batch_size=128)
    found = model.predict_distribution(x)["quantiles"]
    assert_allclose((y <= found).mean(axis=0), levels, atol=0.03)
    assert (np.diff(found, axis=1) >= 0).all()


def test_missing_targets_and_weights_of_classes():
    y = TWO.copy()
    y[3, 1], y[5] = np.nan, np.nan  # a row of which one target is missing does not count
    model = model_of("gaussian_nll", 4, missing_targets="ignore")
    there = np.delete(np.arange(N), [3, 5])
    assert_allclose(model.evaluate(X, y)["loss"], model.evaluate(X[there], y[there])["loss"], rtol=1e-12)
    weighted, twin = (model_of("corn", 3) for _ in range(2))
    weighted.fit(X, LABELS, class_weight={3: 5.0}, shuffle=False, epochs=2)
    twin.fit(X, LABELS, sample_weight=np.where(LABELS == 3, 5.0, 1.0), shuffle=False, epochs=2)
    assert np.array_equal(weighted.parameters, twin.parameters)


# ---- user-defined ------------------------------------------------------------------------------


def distance(y, t):
    return np.sqrt((y[0] - t[0]) ** 2 + (y[1] - t[1]) ** 2)


def away(y, t, out):
    length = np.sqrt((y[0] - t[0]) ** 2 + (y[1] - t[1]) ** 2)
    for j in range(2):
        out[j] = (y[j] - t[j]) / length


def towards(y, t, out):
    length = np.sqrt((y[0] - t[0]) ** 2 + (y[1] - t[1]) ** 2)
    for j in range(2):
        out[j] = (t[j] - y[j]) / length


@pytest.fixture
def forget():
    yield
    for name in [name for name in fn.losses.TABLE if name.startswith("row_loss_of_tests")]:
        del fn.losses.TABLE[name]


def registered(value, derivative, **options):
    return fn.register_loss(value, derivative, "row_loss_of_tests", rowwise=True, replace=True, **options)


@pytest.mark.usefixtures("forget")
def test_user_defined(tmp_path):
    loss = registered(distance, away)
    for dtype in ("float32", "float64"):
        model = model_of(loss, 2, dtype)
        expected = np.linalg.norm(model.predict(X) - TWO, axis=1).mean()
        assert_allclose(model.evaluate(X, TWO)["loss"], expected, rtol=1e-5)
    assert fn.check_gradient(model, X, TWO) < 1e-6
    again = pickle.loads(pickle.dumps(model))
    assert again.loss.rowwise and again.evaluate(X, TWO) == model.evaluate(X, TWO)
    model.save(tmp_path / "m.safetensors")
    assert fn.load(tmp_path / "m.safetensors").loss is loss
    model.fit(X, TWO, epochs=50)
    assert model.evaluate(X, TWO)["loss"] < expected
    wrong = registered(distance, towards)
    with pytest.raises(fn.GradientError):
        fn.check_gradient(model_of(wrong, 2), X, TWO)


def censored(y, t):
    """Of a time: whether it was observed, and when."""
    return np.exp(y[0]) * t[1] - t[0] * y[0]


def censored_slope(y, t, out):
    out[0] = np.exp(y[0]) * t[1] - t[0]


@pytest.mark.usefixtures("forget")
@pytest.mark.parametrize("shuffle", [True, False])
def test_targets_of_another_width(shuffle):
    """More targets than outputs: there is memory for them in batches that are gathered, too."""
    y = np.column_stack([RNG.integers(0, 2, N), RNG.uniform(0.1, 3, N)])
    model = model_of(registered(censored, censored_slope, n_targets=2), 1)
    assert fn.check_gradient(model, X, y) < 1e-6
    first = model.evaluate(X, y)["loss"]
    model.fit(X, y, epochs=30, shuffle=shuffle)
    assert model.evaluate(X, y)["loss"] < first
    with pytest.raises(ValueError, match=r"must have shape \(90, 2\), for 'row_loss_of_tests' of 1 outputs"):
        model.fit(X, y[:, :1])


@pytest.mark.slow
@pytest.mark.usefixtures("forget")
def test_functions_that_do_not_fit_are_refused():
    def beyond(y, t):
        return y[2] - t[0]

    def not_all(y, t, out):
        out[0] = 1.0

    def writes(y, t):
        y[0] = 1.0
        return y[0]

    def allocates(y, t):
        return (y - t).sum()

    def raises(y, t):
        if y[0] > 1:
            raise ValueError
        return y[0]

    with pytest.raises(ValueError, match="value of the loss .* does not fit rows of 2 outputs and 2 targets"):
        model_of(registered(beyond, away), 2)
    with pytest.raises(ValueError, match=r"must write all of out, .* it does not write out\[1\]"):
        model_of(registered(distance, not_all), 2)
    for value in (writes, allocates, raises):
        with pytest.raises(fn.CompilationError, match="cannot run in the compiled loop"):
            model_of(registered(value, away), 2).evaluate(X, TWO)
    with pytest.raises(TypeError, match="derivative must be a function of 3 numbers"):
        registered(distance, distance)
    with pytest.raises(ValueError, match="n_targets is for losses with rowwise=True"):
        fn.register_loss(lambda y, t: y, lambda y, t: 1.0, "row_loss_of_tests", n_targets=2)


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
