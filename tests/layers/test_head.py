"""The last activation and the loss together: as the same network from logits, and probabilities come out.

Training is that of the network from logits to the bit, since the same numbers are computed. What is read off
the output is compared with `tests.helpers.reference`.
"""

import pickle
import warnings

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

import fastnn as fn
import fastnn.onnx
import fastnn.scipy
from tests.helpers.networks import FROM_LOGITS, activation
from tests.helpers.reference import LOSSES, log_softmax, softmax
from tests.helpers.rows import op_rows
from tests.helpers.tolerances import CENTRAL_DIFFERENCE, PRODUCT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
LABELS, BITS = RNG.integers(0, 3, 60), RNG.integers(0, 2, (60, 3))
SHARES, WEIGHT = RNG.dirichlet(np.ones(3), 60), RNG.uniform(0, 2, 60)
OUTPUT = {"softmax": softmax, "log_softmax": log_softmax, "sigmoid": expit}
PAIRS = sorted(FROM_LOGITS)
WAYS = {
    "of the layer": lambda name: [fn.Dense(3, name)],
    "a layer": lambda name: [fn.Dense(3), fn.Activation(name)],
    "identity behind": lambda name: [fn.Dense(3, name), fn.Activation("identity")],
}
each_pair = pytest.mark.parametrize(("loss", "last"), PAIRS)


def network(loss, last, way="of the layer", dtype="float64", **options):
    return fn.Model([fn.Dense(7, "tanh"), *WAYS[way](last)], loss, dtype=dtype, seed=1, **options)


def from_logits(loss, last, dtype="float64", **options):
    return fn.Model(
        [fn.Dense(7, "tanh"), fn.Dense(3)], FROM_LOGITS[loss, last], dtype=dtype, seed=1, **options
    )


def target(loss):
    return BITS if loss == "binary_cross_entropy" else LABELS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@each_pair
def test_training_is_that_of_logits(loss, last, way, dtype):
    y = target(loss)
    model, plain = network(loss, last, way, dtype), from_logits(loss, last, dtype)
    options = {"epochs": 3, "batch_size": 16, "sample_weight": WEIGHT, "validation_split": 0.2}
    assert model.fit(X, y, **options).history == plain.fit(X, y, **options).history
    assert np.array_equal(model.parameters, plain.parameters)
    assert model.evaluate(X, y) == plain.evaluate(X, y)
    logits = plain.predict(X).astype(np.float64)
    assert_allclose(model.predict(X), OUTPUT[last](logits), **PRODUCT[dtype])


@pytest.mark.parametrize("y", [LABELS, SHARES], ids=["labels", "shares"])
@each_pair
def test_the_loss_is_that_of_the_output(loss, last, y):
    """By the definition: minus the mean logarithm of what was right."""
    if loss == "binary_cross_entropy":
        y = BITS
    model = network(loss, last)
    value = model.evaluate(X, y, WEIGHT)["loss"]
    output = model.predict(X)
    p = np.exp(output) if last == "log_softmax" else output
    if loss == "binary_cross_entropy":
        rows = -np.where(y == 1, np.log(p), np.log(1 - p)).mean(axis=1)
    else:
        rows = -((np.eye(3)[y] if y.ndim == 1 else y) * np.log(p)).sum(axis=1)
    assert value == pytest.approx(np.average(rows, weights=WEIGHT), rel=1e-12)
    assert fn.check_gradient(model, X, y, WEIGHT, tolerance=1e-6) < 1e-6


def test_label_smoothing():
    loss = fn.losses.cross_entropy(label_smoothing=0.2)
    model = fn.Model([fn.Dense(3, "softmax")], loss, dtype="float64", seed=0).build(4)
    logits = X @ model.layers[0].weights + model.layers[0].bias
    expected = LOSSES["cross_entropy"](logits, LABELS, label_smoothing=0.2)[0]
    assert model.evaluate(X, LABELS)["loss"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_pair
def test_far_out(loss, last, dtype):
    """Where the output is 0 or 1 to the last digit, loss and gradient are still those of logits."""
    model, plain = network(loss, last, dtype=dtype).build(4), from_logits(loss, last, dtype).build(4)
    plain.layers[1].weights[...] *= 1000
    model.parameters[...] = plain.parameters
    output = model.predict(X)
    assert ((np.exp(output) if last == "log_softmax" else output) == 0).any()
    value, gradient = model.loss_and_gradient(X, target(loss))
    expected, expected_gradient = plain.loss_and_gradient(X, target(loss))
    assert value == expected > 10
    assert np.array_equal(gradient, expected_gradient)
    assert np.abs(gradient).max() > 0.1


@each_pair
def test_accuracy_is_that_of_the_output(loss, last):
    y = target(loss)
    model = network(loss, last)
    history = model.fit(X, y, epochs=4, validation_data=(X, y)).history
    output = model.predict(X)
    if loss == "binary_cross_entropy":
        right = (output > 0.5) == y
    else:
        right = output.argmax(axis=1) == y
    assert model.evaluate(X, y)["accuracy"] == pytest.approx(right.mean())
    assert history["val_accuracy"][-1] == pytest.approx(right.mean())


def test_one_output_learns_what_is_easy():
    """Accuracy and early stopping by it, as a user of Keras writes it."""
    y = X[:, 0] > 0
    model = fn.Model(
        [fn.Dense(8, "relu"), fn.Dense(1, "sigmoid")], "binary_cross_entropy", fn.Adam(0.01), seed=0
    )
    stop = fn.EarlyStopping("val_accuracy", patience=20, restore_best=True)
    model.fit(X, y, epochs=200, validation_data=(X, y), callbacks=[stop])
    assert model.evaluate(X, y)["accuracy"] == ((model.predict(X)[:, 0] > 0.5) == y).mean() >= 0.98


def test_other_metrics_are_of_the_output():
    model = network("binary_cross_entropy", "sigmoid", metrics=["mse", "accuracy", "mae"])
    output = model.predict(X)
    expected = {
        "mse": ((output - BITS) ** 2).mean(),
        "accuracy": ((output > 0.5) == BITS).mean(),
        "mae": np.abs(output - BITS).mean(),
    }
    figures = model.evaluate(X, BITS)
    loss = figures.pop("loss")
    assert figures == pytest.approx(expected, rel=1e-12)
    plain = from_logits("binary_cross_entropy", "sigmoid")
    assert loss == plain.evaluate(X, BITS)["loss"]
    history = model.fit(X, BITS, epochs=3).history
    assert history["loss"] == plain.fit(X, BITS, epochs=3).history["loss"]
    assert np.array_equal(model.parameters, plain.parameters)


@each_pair
def test_training_leaves_the_activation_out(loss, last):
    """It costs what a network from logits costs: nobody reads the output meanwhile."""
    model = network(loss, last)
    model.fit(X, target(loss))
    model.loss_and_gradient(X, target(loss))
    for purpose in ("train", "gradient"):
        _, net = model.executor._networks[purpose]
        ops = op_rows(net.ops)
        assert not any(ops[entry][-1] for entry in ("forward", "backward_input", "backward_weights"))
        assert (ops["forward"][:-1] != 0).all()


# ---- in compiled code, files and other programs


@each_pair
def test_compiled_code(loss, last):
    model, plain = network(loss, last).build(4), from_logits(loss, last).build(4)
    y = target(loss).astype(np.float64).reshape(60, -1)
    net, plain_net = model.network(60), plain.network(60)
    out = np.empty((60, 3))
    fn.forward(net, X, out)
    assert np.array_equal(out, model.predict(X))
    assert fn.loss_and_gradient(net, X, y) == fn.loss_and_gradient(plain_net, X, y)
    assert np.array_equal(net.gradient, model.loss_and_gradient(X, y)[1])
    for _ in range(3):
        value = fn.train_step(net, model.optimizer_state(), X, y)
        assert value == fn.train_step(plain_net, plain.optimizer_state(), X, y)
    assert np.array_equal(model.parameters, plain.parameters)


@pytest.mark.parametrize("clone", [False, True])
@each_pair
def test_derivatives_of_the_output(loss, last, clone):
    """By parameters and by inputs they are those of what `predict` gives, not of the logits."""
    model = network(loss, last).build(4)
    net = model.network(7)
    net = fn.clone_workspace(net) if clone else net
    rows, step = X[:9], 1e-6
    by_parameters, by_inputs = np.empty((27, model.parameters.size)), np.empty((9, 3, 4))
    fn.parameter_jacobian(net, rows, by_parameters)
    fn.jacobian(net, rows, by_inputs)
    for i, value in enumerate(model.parameters.copy()):
        sides = []
        for side in (step, -step):
            model.parameters[i] = value + side
            sides.append(model.predict(rows).ravel())
        model.parameters[i] = value
        expected = (sides[0] - sides[1]) / (2 * step)
        assert_allclose(by_parameters[:, i], expected, **CENTRAL_DIFFERENCE["float64"])
    for k in range(4):
        move = step * np.eye(4)[k]
        expected = (model.predict(rows + move) - model.predict(rows - move)) / (2 * step)
        assert_allclose(by_inputs[:, :, k], expected, **CENTRAL_DIFFERENCE["float64"])
    dy, dx = RNG.normal(size=(9, 3)), np.empty((9, 4))
    fn.input_gradient(net, rows, dy, dx)
    assert_allclose(dx, np.einsum("ij,ijk->ik", dy, by_inputs), **PRODUCT["float64"])


@each_pair
def test_saved_and_pickled(loss, last, tmp_path):
    y = target(loss)
    model = network(loss, last)
    model.fit(X, y, epochs=2)
    model.save(tmp_path / "m.safetensors", training=True)
    for again in (fn.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(model))):
        assert again.head == model.head
        assert np.array_equal(again.predict(X), model.predict(X))
        assert again.evaluate(X, y) == model.evaluate(X, y)
        again.fit(X, y)
        twin = pickle.loads(pickle.dumps(model))
        twin.fit(X, y)
        assert np.array_equal(again.parameters, twin.parameters)


@each_pair
def test_onnx(loss, last, tmp_path):
    model = network(loss, last, dtype="float32").build(4)
    x = X.astype(np.float32)
    output = model.predict(x)
    for probabilities in (False, True):
        fn.onnx.export(model, tmp_path / "m.onnx", probabilities=probabilities)
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
        expected = np.exp(output) if probabilities and last == "log_softmax" else output
        assert_allclose(session.run(None, {"X": x})[0], expected, **PRODUCT["float32"])


@pytest.mark.parametrize("combine", ["probabilities", "vote"])
@each_pair
def test_ensembles(loss, last, combine):
    y = target(loss)
    both = [[make(loss, last) for _ in range(3)] for make in (network, from_logits)]
    for models in both:
        for seed, model in enumerate(models):
            weights = model.build(4).parameters
            weights[...] = 2 * np.random.default_rng(seed).normal(size=weights.size)
    ensemble, plain = (fn.Ensemble(models, combine, [1, 2, 3]) for models in both)
    assert_allclose(ensemble.predict(X), plain.predict(X), **PRODUCT["float64"])
    assert ensemble.evaluate(X, y, WEIGHT) == pytest.approx(plain.evaluate(X, y, WEIGHT), rel=1e-9)


@each_pair
def test_the_mean_of_one_model_is_the_model(loss, last):
    model = network(loss, last).build(4)
    ensemble = fn.Ensemble([model])
    assert_allclose(ensemble.predict(X), model.predict(X), **PRODUCT["float64"])
    assert ensemble.evaluate(X, target(loss)) == pytest.approx(model.evaluate(X, target(loss)), rel=1e-9)


def test_the_mean_of_probabilities_and_logits_is_refused():
    models = [network("cross_entropy", "softmax").build(4), from_logits("cross_entropy", "softmax").build(4)]
    with pytest.raises(ValueError, match="output of model 1 is logits, that of the first probabilities"):
        fn.Ensemble(models)
    expected = np.mean([models[0].predict(X), softmax(models[1].predict(X))], axis=0)
    assert_allclose(fn.Ensemble(models, "probabilities").predict(X), expected, **PRODUCT["float64"])


def test_second_order_training():
    model, plain = network("cross_entropy", "softmax"), from_logits("cross_entropy", "softmax")
    results = [fastnn.scipy.minimize(m, X, LABELS, options={"maxiter": 20}) for m in (model, plain)]
    assert results[0].fun == results[1].fun
    assert np.array_equal(model.parameters, plain.parameters)


# ---- mistakes

MISTAKES = {
    "nll without an activation": ([fn.Dense(3)], "nll", "'nll' takes log-probabilities, .* 'log_softmax' or"),
    "nll of a sigmoid": ([fn.Dense(3, "sigmoid")], "nll", "which 'sigmoid' limits: write 'log_softmax'"),
    "tanh": ([fn.Dense(3, "tanh")], "cross_entropy", "takes logits, which 'tanh' limits: write 'softmax'"),
    "sigmoid of classes": ([fn.Dense(3, "sigmoid")], "cross_entropy", "loss='binary_cross_entropy'"),
    "relu of labels": ([fn.Dense(1, "relu")], "binary_cross_entropy", "limits: write 'sigmoid' or none"),
    "softmax of labels": ([fn.Dense(3, "softmax")], "binary_cross_entropy", "loss='cross_entropy'"),
    "relu before softmax": (
        [fn.Dense(3, "relu"), fn.Activation("softmax")],
        "cross_entropy",
        r"'relu' limits what goes into 'softmax': write fn.Dense\(3, 'softmax'\)",
    ),
    "softmax twice": (
        [fn.Dense(3, "softmax"), fn.Activation("softmax")],
        "cross_entropy",
        "'softmax' limits",
    ),
    "one unit": ([fn.Dense(1, "softmax")], "mse", r"always 1: write fn.Dense\(1, 'sigmoid'\)"),
    "one unit of logarithms": ([fn.Dense(1), fn.Activation("log_softmax")], "mse", "always 0"),
    "rates": ([fn.Dense(1, "softplus")], "poisson", "the logarithm of the rate, .* write none"),
}


@pytest.mark.parametrize(("layers", "loss", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_a_warning(layers, loss, message):
    with pytest.warns(UserWarning, match=f"the last activation does not fit the loss: .*{message}") as caught:
        fn.Model([type(layer)(**settings(layer)) for layer in layers], loss)
    assert caught[0].filename == __file__


def settings(layer):
    """The arguments to make a layer once more."""
    return {name: value for name, value in layer.config().items() if name != "name"}


def test_what_may_be_right_is_no_warning():
    own = fn.register_activation(lambda x: 2 * x, lambda x: 2.0, "doubled_for_the_head", replace=True)
    for loss, last in PAIRS:
        network(loss, last)
    for loss in fn.losses.TABLE:
        for last in [own, *([] if loss == "nll" else [None, "identity", "leaky_relu"])]:
            fn.Model([fn.Dense(3, last)], loss)
    for last in fn.activations.TABLE:
        fn.Model([fn.Dense(3, activation((last, {})) if last != own.name else own)], "mse")
        fn.Model([fn.Dense(1, last)])  # without a loss


def test_a_layer_alone_has_no_loss_to_fit():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fn.Activation("softmax")([[1.0]]).tolist() == [[1]]
