"""Samples of more axes than one: X of shape (n, *shape), wherever samples go in."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fn

SHAPE = (3, 4, 2)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, *SHAPE)).astype("float32")
LABELS = RNG.integers(0, 3, 40)


def layers():
    return [
        fn.LayerNormalization(),
        fn.Concatenate([None, fn.Select(1)]),
        fn.Flatten(),
        fn.Dense(5, "tanh"),
        fn.Dense(3),
    ]


def flat_layers():
    """The same on rows of numbers."""
    return [fn.Reshape(SHAPE), *layers()]


def built(make=layers, **options):
    options = {"loss": "cross_entropy", "seed": 0, **options}
    return fn.Model(make(), **options)


def test_built_for_a_shape():
    model = built().build(SHAPE)
    assert (model.input_shape, model.output_shape, model.n_in, model.n_out) == (SHAPE, (3,), 24, 3)
    assert model.layers[0].gamma.shape == (2,) and model.layers[3].weights.shape == (36, 5)
    assert (
        fn.Model([fn.Dense(2)]).build((4,)).input_shape
        == fn.Model([fn.Dense(2)]).build(4).input_shape
        == (4,)
    )
    assert built().input_shape is None
    with pytest.raises(ValueError, match=r"built for inputs of shape \(3, 4, 2\), got \(3, 4\)"):
        model.build((3, 4))


NO_SHAPES = {(3, 0): ValueError, (): ValueError, (3, 1.5): TypeError, "34": TypeError, (3, True): TypeError}


@pytest.mark.parametrize(("shape", "error"), NO_SHAPES.items(), ids=str)
def test_what_is_no_shape(shape, error):
    with pytest.raises(error, match="input_shape|n_in"):
        built().build(shape)


def test_everything_as_on_rows_of_numbers():
    model, flat = built().build(SHAPE), built(flat_layers).build(24)
    flat.parameters[...] = model.parameters  # those of other places in the model are drawn otherwise
    rows = X.reshape(40, -1)
    options = {"epochs": 3, "batch_size": 16, "validation_split": 0.2}
    one, other = model.fit(X, LABELS, **options), flat.fit(rows, LABELS, **options)
    assert model.input_shape == SHAPE and one.history == other.history
    assert np.array_equal(model.predict(X), flat.predict(rows))
    assert np.array_equal(model.predict(X[0]), flat.predict(rows[0]))
    assert np.array_equal(model.predict(X.tolist()), flat.predict(rows))
    assert np.array_equal(model.predict_class(X), flat.predict_class(rows))
    assert model.evaluate(X, LABELS) == flat.evaluate(rows, LABELS)
    assert model.evaluate(X[1], LABELS[1]) == flat.evaluate(rows[1], LABELS[1])
    for a, b in zip(model.loss_and_gradient(X, LABELS), flat.loss_and_gradient(rows, LABELS), strict=True):
        assert np.array_equal(a, b)
    model.partial_fit(X[2], LABELS[2])
    flat.partial_fit(rows[2], LABELS[2])
    assert np.array_equal(model.parameters, flat.parameters)
    validated = model.fit(X, LABELS, validation_data=(X[:7], LABELS[:7])).history["val_loss"]
    assert validated == [model.evaluate(X[:7], LABELS[:7])["loss"]]
    out = np.empty((40, 3), "float32")
    assert model.predict(X[:, ::-1], out=out) is out and np.array_equal(out, model.predict(X[:, ::-1].copy()))


def test_the_first_call_builds():
    assert built().predict(X).shape == (40, 3)
    assert fn.Flatten()(X).shape == (40, 24)
    model = built(loss="mse")
    model.evaluate(X, np.zeros((40, 3)))
    assert model.input_shape == SHAPE


def test_mapped_files(tmp_path):
    np.save(tmp_path / "x.npy", (100 * X).astype("int16"))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    model, same = built(), built()
    model.fit(mapped, LABELS, epochs=2)
    same.fit((100 * X).astype("int16").astype("float32"), LABELS, epochs=2)
    assert np.array_equal(model.parameters, same.parameters)
    assert np.array_equal(model.predict(mapped), model.predict(np.array(mapped)))


def test_kept(tmp_path):
    model = built()
    model.fit(X, LABELS)
    model.save(tmp_path / "model")
    for other in (fn.load(tmp_path / "model"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.input_shape == SHAPE and np.array_equal(other.predict(X), model.predict(X))


def test_layers_alone_and_in_a_model():
    model = built().build(SHAPE)
    x = X
    for layer in model.layers:
        sample, x = layer(x[0]), layer(x)
        assert np.array_equal(sample, x[0])
    assert np.array_equal(x, model.predict(X))


def test_outputs_of_more_axes():
    def image(loss="mse"):
        return fn.Model([fn.Flatten(), fn.Dense(6, "tanh"), fn.Dense(8), fn.Reshape((2, 4))], loss, seed=0)

    target = RNG.normal(size=(40, 2, 4)).astype("float32")
    model = image()
    before = model.evaluate(X, target)["loss"]
    assert np.isclose(before, ((model.predict(X) - target) ** 2).mean(), rtol=1e-5)
    model.fit(X, target, epochs=30, validation_data=(X, target))
    model.partial_fit(X[0], target[0])
    assert model.output_shape == (2, 4) and model.predict(X[3]).shape == (2, 4)
    assert model.predict(X[:1]).shape == (1, 2, 4)
    assert model.evaluate(X, target)["loss"] < before
    with pytest.raises(ValueError, match=r"'cross_entropy' needs an output of shape \(n_classes,\)"):
        image("cross_entropy").build(SHAPE)


def test_fit_many():
    models = [built(seed=seed) for seed in range(3)]
    fn.fit_many(models, X, LABELS, epochs=2)
    for seed, model in enumerate(models):
        alone = built(seed=seed)
        alone.fit(X, LABELS, epochs=2, threads=1)
        assert np.array_equal(alone.parameters, model.parameters)
    assert fn.Ensemble(models).predict(X).shape == (40, 3)
    layers = [fn.Add([None, fn.Reshape(SHAPE)]), fn.Flatten(), fn.Dense(3)]  # not for rows of numbers
    shaped = fn.Model(layers, "cross_entropy", seed=0)
    fn.fit_many([shaped], X, LABELS)
    assert shaped.input_shape == SHAPE


@pytest.mark.parametrize(
    "wrong", [X[:, :2], X[0, 0], X[:, :, :, 0], X[:, np.newaxis], np.zeros((0, *SHAPE)), np.zeros((40, 23))]
)
@pytest.mark.parametrize("use", ["predict", "evaluate", "fit"])
def test_other_shapes_are_refused(wrong, use):
    model = built().build(SHAPE)
    arguments = () if use == "predict" else (LABELS[: len(wrong)],)
    with pytest.raises(ValueError, match=r"^X must"):
        getattr(model, use)(wrong, *arguments)


NOT_TAKEN = {
    "reshape": (fn.Reshape, ((5, 5),), r"layer 0, .*: 25 numbers do not fit .* \(3, 4, 2\), which has 24"),
    "select": (
        lambda i: fn.Sequential([fn.Select(i)]),
        (2,),
        r"layer 0.0, Select\(\[2\]\), .* \(3, 4, 2\): column 2 is not among the 2",
    ),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_shapes_that_layers_do_not_take(name):
    make, arguments, message = NOT_TAKEN[name]
    with pytest.raises(ValueError, match=message):
        fn.Model([make(*arguments)]).build(SHAPE)


@pytest.mark.slow
def test_compiled_code():
    model = built(dtype="float64").build(SHAPE)
    net, state = model.network(max_batch=40), model.optimizer_state()
    x, y = X.astype("float64"), LABELS.astype("float64")
    out, dx, jac = np.empty((40, 3)), np.empty_like(x), np.empty((40, 3, 24))
    assert fn.forward_checked(net, x, out) == fn.Status.OK and np.array_equal(out, model.predict(x))
    assert fn.input_gradient_checked(net, x, np.ones((40, 3)), dx) == fn.Status.OK
    assert fn.jacobian_checked(net, x, jac) == fn.Status.OK
    np.testing.assert_allclose(dx.reshape(40, 24), jac.sum(axis=1), rtol=1e-12, atol=1e-14)
    loss = fn.loss_and_gradient(net, x, y)
    assert loss == model.loss_and_gradient(x, LABELS)[0]
    assert fn.train_step(net, state, x, y) == loss > model.evaluate(x, LABELS)["loss"]
    assert fn.forward_checked(net, x[:, :2].copy(), out) == fn.Status.WRONG_X
