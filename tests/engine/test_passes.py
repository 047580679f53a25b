"""A training step in its parts, in compiled code and from Python: forward, backward, the optimizer's step."""

import threading

import numpy as np
import pytest
from numba import njit

import fastnn as fn
from tests.helpers.tolerances import PRODUCT

pytestmark = pytest.mark.slow  # Numba compiles
ROWS, N_OUT = 8, 4  # 2 / (8 * 4) is a power of two: the derivatives of mse are then exact


def dense():
    return [fn.Dense(7, "tanh", l2=0.01), fn.Dropout(0.3), fn.Dense(N_OUT, l1=0.02)]


#: Shape of a sample, and layers of every kind of backward pass.
STACKS = {
    "dense": ((5,), dense),
    "batch normalization": (
        (5,),
        lambda: [fn.BatchNormalization(), fn.Dense(6), fn.BatchNormalization(), fn.Dense(N_OUT)],
    ),
    "residual": (
        (5,),
        lambda: [fn.Residual([fn.LayerNormalization(), fn.Dense(5, "gelu")]), fn.Dense(N_OUT)],
    ),
    "recurrent": (
        (6, 3),
        lambda: [fn.Masking(), fn.GRU(5, return_sequences=True), fn.LSTM(4), fn.Dense(N_OUT)],
    ),
    "convolution": (
        (6, 6, 2),
        lambda: [
            fn.Conv2D(3, 3, activation="relu"),
            fn.BatchNormalization(),
            fn.MaxPooling2D(2),
            fn.Flatten(),
            fn.Dense(N_OUT),
        ],
    ),
    "two inputs": (
        (5,),
        lambda: [
            fn.Concatenate([[fn.Select([0, 1]), fn.Dense(3)], [fn.Select([2, 3, 4])]]),
            fn.Dense(N_OUT, "sigmoid"),
        ],
    ),
}
OPTIMIZERS = {
    "sgd": lambda: fn.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: fn.Adam(fn.schedules.cosine(0.01, 20, warmup=3), weight_decay=0.1),
    "clipped": lambda: fn.RMSprop(0.01, clipvalue=0.05),
    "clipped by norm": lambda: fn.Adam(0.01, global_clipnorm=0.1),
    "adagrad": lambda: fn.Adagrad(0.1),
}


def built(stack="dense", dtype="float64", optimizer="adam", loss="mse"):
    shape, layers = STACKS[stack]
    return fn.Model(layers(), loss, OPTIMIZERS[optimizer](), dtype=dtype, seed=0).build(shape)


def data(stack="dense", dtype="float64", rows=ROWS):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, *STACKS[stack][0])).astype(dtype)
    return x, rng.normal(size=(rows, N_OUT)).astype(dtype)


@njit
def step_in_parts(net, state, x, y, out, dy):
    """A step of the mean squared error."""
    fn.forward_train(net, state, x, out)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            dy[i, j] = (out[i, j] - y[i, j]) * dy.dtype.type(2.0 / out.size)
    fn.backward(net, x, dy)
    return fn.apply_gradient(net, state)


CASES = [(stack, "adam", "float64") for stack in STACKS]
CASES += [("dense", optimizer, "float64") for optimizer in OPTIMIZERS if optimizer != "adam"]
CASES += [("batch normalization", "clipped by norm", "float32"), ("recurrent", "sgd", "float32")]


def same(one, other):
    """Whether two models are equal to the bit, with what training keeps."""
    names = ("parameters", "statistics", "optimizer")
    arrays = all(np.array_equal(getattr(one.state, name), getattr(other.state, name)) for name in names)
    return arrays and one.state.step == other.state.step


@pytest.mark.parametrize(("stack", "optimizer", "dtype"), CASES)
def test_the_parts_are_a_step(stack, optimizer, dtype):
    """To the bit, with running statistics, dropout, penalties, schedules and clipping."""
    whole, parts = (built(stack, dtype, optimizer) for _ in range(2))
    x, y = data(stack, dtype)
    start = parts.parameters.copy()
    for _ in range(4):
        whole.partial_fit(x, y)
        gradient = parts.backward(x, lambda outputs: (outputs - y) * y.dtype.type(2 / y.size))
        assert parts.apply_gradient(gradient) is parts
        assert same(parts, whole)
    assert parts.state.step == 4 and not np.array_equal(parts.parameters, start)


@pytest.mark.parametrize("stack", ["dense", "batch normalization"])
def test_in_compiled_code(stack):
    whole, parts, python = (built(stack) for _ in range(3))
    x, y = data(stack)
    out, dy = np.empty_like(y), np.empty_like(y)
    net, state = parts.network(ROWS), parts.optimizer_state()
    for _ in range(4):
        whole.partial_fit(x, y)
        assert step_in_parts(net, state, x, y, out, dy)
        gradient = python.backward(x, lambda outputs: (outputs - y) * (2 / y.size))
        assert np.array_equal(net.gradient, gradient)
        python.apply_gradient(gradient)
        assert same(parts, whole) and same(python, whole)


def test_frozen_layers():
    whole, parts = built("batch normalization"), built("batch normalization")
    x, y = data()
    net, state, out, dy = parts.network(ROWS), parts.optimizer_state(), np.empty_like(y), np.empty_like(y)
    step_in_parts(net, state, x, y, out, dy)
    whole.partial_fit(x, y)
    for model in (whole, parts):
        model.layers[0].trainable = model.layers[3].trainable = False
    start = parts.parameters.copy()
    state = parts.optimizer_state()
    for _ in range(2):
        step_in_parts(net, state, x, y, out, dy)
        whole.partial_fit(x, y)
    assert same(parts, whole)
    moved = parts.parameters != start
    assert moved.any() and not moved[:10].any() and not moved[-7 * N_OUT :].any()


@pytest.mark.parametrize("stack", [name for name in STACKS if name != "dense"])
def test_central_differences(stack):
    """Of sum(c * outputs**2) by the parameters."""
    model = built(stack)
    x, c = data(stack)

    def value():
        seen = []
        model.backward(x, lambda outputs: seen.append((c * outputs**2).sum()) or outputs)
        return seen[0]

    gradient = model.backward(x, lambda outputs: 2 * c * outputs)
    w, step = model.parameters, 1e-5
    for i in np.random.default_rng(0).permutation(w.size)[:30]:
        kept = w[i]
        w[i] = kept + step
        high = value()
        w[i] = kept - step
        low = value()
        w[i] = kept
        np.testing.assert_allclose(gradient[i], (high - low) / (2 * step), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stack", ["batch normalization", "residual", "two inputs"])
def test_derivatives_by_the_inputs(stack):
    """With and without them, the gradient is the same."""
    model = built(stack)
    x, c = data(stack)
    net, state, out, dx = model.network(ROWS), model.optimizer_state(), np.empty_like(c), np.empty_like(x)

    def value():
        fn.forward_train(net, state, x, out)
        return (c * out**2).sum()

    value()
    fn.backward(net, x, 2 * c * out, dx)
    gradient = net.gradient.copy()
    value()
    fn.backward(net, x, 2 * c * out)
    assert np.array_equal(net.gradient, gradient)
    for i in range(x.size):
        kept, step = x.flat[i], 1e-5
        x.flat[i] = kept + step
        high = value()
        x.flat[i] = kept - step
        low = value()
        x.flat[i] = kept
        np.testing.assert_allclose(dx.flat[i], (high - low) / (2 * step), rtol=1e-5, atol=1e-6)


@pytest.mark.sweep
def test_one_sample_where_nothing_is_random():
    model = built("residual")
    x, y = data("residual")
    out, dx, net = np.empty(N_OUT), np.empty(5), model.network(ROWS)
    fn.forward_train(net, model.optimizer_state(), x[3], out)
    fn.backward(net, x[3], y[3], dx)
    assert np.array_equal(out, model.predict(x[3]))
    np.testing.assert_allclose(dx, model.input_gradient(x[3], y[3]), **PRODUCT["float64"])


def test_backward_has_the_mask_of_its_forward_pass():
    model = fn.Model([fn.Dropout(0.5), fn.Dense(6, use_bias=False)], "mse", dtype="float64", seed=0).build(6)
    model.layers[1].weights = np.eye(6)
    net, state, x = model.network(8), model.optimizer_state(), np.ones((8, 6))
    masks = []
    for _ in range(3):
        out = np.empty((8, 6))
        fn.forward_train(net, state, x, out)
        fn.backward(net, x, np.ones((8, 6)))
        assert np.array_equal(net.gradient.reshape(6, 6), np.repeat(out.sum(axis=0), 6).reshape(6, 6))
        masks.append(out)
    assert not np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[1], masks[2])
    again = []
    for _ in range(3):  # from Python the same ones, one after the other
        model.backward(x, lambda outputs: again.append(outputs.copy()) or outputs)
    assert np.array_equal(again, masks)


def test_gradients_of_several_batches():
    """Their sum is that of one batch, penalties counted once, where rows do not depend on each other."""
    layers = [fn.Dense(7, "tanh", l2=0.01), fn.Dense(N_OUT, l1=0.02)]
    model = fn.Model(layers, "mse", dtype="float64", seed=0).build(5)
    x, dy = data()
    net, state, out, dx = model.network(ROWS), model.optimizer_state(), np.empty_like(dy), np.empty_like(x)
    fn.forward_train(net, state, x, out)
    fn.backward(net, x, dy, dx)
    expected, dx_expected = net.gradient.copy(), dx.copy()
    for i, start in enumerate(range(0, ROWS, 2)):
        part = slice(start, start + 2)
        fn.forward_train(net, state, x[part], out[part])
        assert fn.backward_checked(net, x[part], dy[part], dx[part], accumulate=i > 0) is fn.Status.OK
    np.testing.assert_allclose(net.gradient, expected, **PRODUCT["float64"])
    np.testing.assert_allclose(dx, dx_expected, **PRODUCT["float64"])
    assert fn.apply_gradient_checked(net, state) is fn.Status.OK


def test_a_long_batch_of_parts():
    """Parts that have gradients of their own, at any number of threads, and accumulated."""
    layers = [fn.Dense(16, "relu"), fn.BatchNormalization(), fn.Dense(N_OUT, l2=0.1)]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4096, 10)), rng.normal(size=(4096, N_OUT))
    for used in (layers, [fn.Dense(16, "relu"), fn.Dense(N_OUT, l2=0.1)]):
        whole = fn.Model(used, "mse", dtype="float64", seed=0).build(10)
        net, state = whole.network(4096), whole.optimizer_state()
        assert net.fields.n_parts > 1
        out, dy = np.empty_like(y), rng.normal(size=y.shape)
        found = []
        try:
            for threads in (1, 2, 3):
                fn.set_threads(threads)
                found.append(whole.backward(x, dy))
        finally:
            fn.set_threads(None)
        fn.forward_train(net, state, x, out)
        fn.backward(net, x, dy)
        assert all(np.array_equal(gradient, net.gradient) for gradient in found)
        once = net.gradient.copy()
        fn.forward_train(net, state, x, out)
        fn.backward(net, x, dy, accumulate=True)
        penalty = np.zeros_like(once)
        start = whole.parameters.size - N_OUT * 17
        penalty[start : start + N_OUT * 16] = 0.2 * whole.layers[-1].weights.ravel()
        np.testing.assert_allclose(net.gradient, 2 * once - penalty, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", None])
def test_outputs_behind_an_activation_of_the_loss(loss):
    """The derivatives are by the probabilities: that of -log p is the loss's; and no loss is needed."""
    last = "sigmoid" if loss == "binary_cross_entropy" else "softmax"
    model = fn.Model([fn.Dense(6, "tanh"), fn.Dense(3, last)], loss, dtype="float64", seed=0).build(5)
    x, labels = data()[0], np.array([0, 1, 2, 2, 1, 0, 1, 1])
    targets = np.eye(3)[labels]
    net, state, out = model.network(ROWS), model.optimizer_state(), np.empty((ROWS, 3))
    fn.forward_train(net, state, x, out)
    assert np.array_equal(out, model.predict(x))
    if loss == "binary_cross_entropy":
        fn.backward(net, x, (out - targets) / (out * (1 - out)) / targets.size)
        expected = model.loss_and_gradient(x, targets)[1]
    else:
        fn.backward(net, x, -targets / out / ROWS)
        other = fn.Model([fn.Dense(6, "tanh"), fn.Dense(3)], "cross_entropy", dtype="float64", seed=0).build(
            5
        )
        expected = other.loss_and_gradient(x, labels)[1]
    np.testing.assert_allclose(net.gradient, expected, rtol=1e-9, atol=1e-12)
    start = model.parameters.copy()
    assert fn.apply_gradient(net, state) and not np.array_equal(model.parameters, start)


def changed(model):
    return [array.tobytes() for array in (model.parameters, model.state.optimizer, model.state.statistics)]


X, DY = data()
OUT, DX = np.empty_like(DY), np.empty_like(X)
FORWARD = {
    "x": ((X[:, :3].copy(), OUT), fn.Status.WRONG_X),
    "too many": ((np.ones((9, 5)), np.ones((9, N_OUT))), fn.Status.WRONG_BATCH),
    "none": ((X[:0], OUT[:0]), fn.Status.WRONG_BATCH),
    "out": ((X, OUT[:5]), fn.Status.WRONG_OUT),
}
BACKWARD = {
    "other samples": ((X.copy(), DY), fn.Status.WRONG_X),
    "fewer samples": ((X[:5], DY[:5]), fn.Status.WRONG_X),
    "dy": ((X, DY[:, :2].copy()), fn.Status.WRONG_Y),
    "dx": ((X, DY, DX[:3]), fn.Status.WRONG_OUT),
    "dx over x": ((X, DY, X), fn.Status.WRONG_OUT),
    "NaN in dy": ((X, np.where(DY > 1, np.nan, DY)), fn.Status.NOT_FINITE),
    "infinity in dy": ((X, np.where(DY > 1, np.inf, DY)), fn.Status.NOT_FINITE),
    "nothing to add to": ((X, DY, None, True), fn.Status.NO_GRADIENT),
}


def test_what_is_refused():
    model = built("batch normalization")
    net, state = model.network(ROWS), model.optimizer_state()
    before = changed(model)
    assert fn.apply_gradient_checked(net, state) is fn.Status.NO_GRADIENT
    assert not fn.apply_gradient(net, state)
    assert fn.backward_checked(net, X, DY) is fn.Status.NO_FORWARD
    for name, (arrays, status) in FORWARD.items():
        assert fn.forward_train_checked(net, state, *arrays) is status, name
    other = built("dense").optimizer_state()
    assert fn.forward_train_checked(net, other, X, OUT) is fn.Status.WRONG_STATE
    assert fn.backward_checked(net, X, DY) is fn.Status.NO_FORWARD
    for name, (arrays, status) in BACKWARD.items():
        assert fn.forward_train_checked(net, state, X, OUT) is fn.Status.OK
        assert fn.backward_checked(net, *arrays) is status, name
        assert np.isnan(net.gradient).all()
    assert changed(model) == before
    assert fn.backward_checked(net, X, DY) is fn.Status.OK
    assert fn.apply_gradient_checked(net, other) is fn.Status.WRONG_STATE
    net.gradient[3] = np.inf
    before = changed(model)
    assert fn.apply_gradient_checked(net, state) is fn.Status.NOT_FINITE
    assert not fn.apply_gradient(net, state)
    assert changed(model) == before and model.state.step == 0


@pytest.mark.parametrize("name", ["forward", "train_step"])
def test_another_call_ends_the_pass(name):
    """It uses the same workspace, or changes the weights."""
    model = built("residual")
    x, y = data("residual")
    net, state, out = model.network(ROWS), model.optimizer_state(), np.empty_like(y)
    fn.forward_train(net, state, x, out)
    getattr(fn, name)(net, *([state, x, y] if name == "train_step" else [x, out]))
    assert fn.backward_checked(net, x, y) is fn.Status.NO_FORWARD
    fn.backward(net, x, y)
    assert np.isnan(net.gradient).all()


def test_threads_with_clones():
    """Each with a gradient of its own; their mean is applied."""
    model, single = built("residual"), built("residual")
    x, dy = data("residual")
    nets = [model.network(4)]
    nets.append(fn.clone_workspace(nets[0]))
    state = model.optimizer_state()
    assert fn.forward_train_checked(nets[0], state, x[:4], np.empty((4, N_OUT))) is fn.Status.OK
    assert fn.backward_checked(nets[0], x[:4], dy[:4]) is fn.Status.OK
    other = fn.clone_workspace(nets[0])
    assert fn.backward_checked(other, x[:4], dy[:4]) is fn.Status.NO_FORWARD
    assert fn.apply_gradient_checked(other, state) is fn.Status.NO_GRADIENT

    def work(net, part):
        out = np.empty((4, N_OUT))
        assert fn.forward_train_checked(net, state, x[part], out) is fn.Status.OK
        assert fn.backward_checked(net, x[part], dy[part]) is fn.Status.OK

    threads = [
        threading.Thread(target=work, args=(net, slice(4 * i, 4 * i + 4))) for i, net in enumerate(nets)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nets[0].gradient[...] += nets[1].gradient
    assert fn.apply_gradient(nets[0], state)
    single.apply_gradient(single.backward(x, dy))
    np.testing.assert_allclose(model.parameters, single.parameters, rtol=1e-9, atol=1e-12)


def test_weights_that_change_while_the_derivatives_are_computed():
    """The gradient is then that of the new weights."""
    model, x, y = built("residual"), *data("residual")

    def derivatives(outputs):
        model.partial_fit(x, y)
        return y

    gradient = model.backward(x, derivatives)
    assert np.array_equal(gradient, model.backward(x, y))
    nested = model.backward(x, lambda outputs: model.backward(x, y)[:N_OUT] * np.ones((ROWS, 1)))
    assert nested.shape == gradient.shape


def test_python_says_what_is_wrong():
    model = built("batch normalization")
    before = changed(model)
    size = model.parameters.size
    for call, message in (
        (
            lambda: model.backward(X, DY[:3]),
            r"dy must have shape \(8, 4\), as the output for X",
        ),
        (lambda: model.backward(X, lambda outputs: outputs * np.nan), "dy must be finite"),
        (lambda: model.backward(X[:0], DY[:0]), "X must"),
        (lambda: fn.Model([fn.Dense(3)], "mse").backward(X, DY), "not built"),
        (
            lambda: model.apply_gradient(np.ones(3)),
            rf"gradient must have shape \({size},\), got",
        ),
        (lambda: model.apply_gradient(np.full(size, np.nan)), "gradient must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    model.optimizer = fn.SGD(1e300)
    with pytest.raises(fn.DivergenceError):
        model.apply_gradient(np.full(size, 1e300))
    assert changed(model) == [*before[:1], b"", *before[2:]] and model.state.step == 0
    out = model.backward(X, DY)  # and can be used
    assert np.isfinite(out).all()


def test_lengths():
    model = fn.Model([fn.GRU(4), fn.Dense(N_OUT)], "mse", dtype="float64", seed=0).build((6, 3))
    x, dy = data("recurrent")
    short = model.backward(x, dy, lengths=np.full(ROWS, 3))
    np.testing.assert_allclose(
        short,
        fn.Model([fn.GRU(4), fn.Dense(N_OUT)], "mse", dtype="float64", seed=0)
        .build((3, 3))
        .backward(x[:, :3].copy(), dy),
        **PRODUCT["float64"],
    )
