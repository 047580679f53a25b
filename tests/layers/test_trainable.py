"""Frozen layers: what is not trainable stays as it is to the bit, and the rest is trained as if alone."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fn
import fastnn.scipy
from tests.helpers.saved_models import OPTIMIZERS, edit_file

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 5))
Y = np.column_stack([X.sum(axis=1), X[:, 0] ** 2])
CLIPPED = {
    "clipped SGD": fn.SGD(0.1, momentum=0.5, weight_decay=0.1, global_clipnorm=0.05),
    "clipped RMSprop": fn.RMSprop(0.01, momentum=0.5, global_clipnorm=0.05, clipvalue=0.02),
    "decayed Adam": fn.AdamW(0.01, weight_decay=0.5),
}


def stack(optimizer="adam", dtype="float64", l2=0.0):
    layers = [fn.Dense(7, "tanh"), fn.Dropout(0.2), fn.Dense(6, "tanh", l2=l2), fn.Dense(2)]
    return fn.Model(layers, "mse", copy.deepcopy(optimizer), dtype=dtype, seed=3).build(5)


def part(model, index):
    """Where a layer's parameters lie in the flat vector."""
    sizes = [sum(view.size for view in layer.views.values()) for layer in model.layers]
    return slice(sum(sizes[:index]), sum(sizes[: index + 1]))


@pytest.mark.parametrize("optimizer", (OPTIMIZERS | CLIPPED).values(), ids=OPTIMIZERS | CLIPPED)
def test_the_rest_is_trained_as_if_the_frozen_layer_were_data(optimizer):
    whole = fn.Model([fn.Dense(7, "tanh"), fn.Dense(2)], "mse", copy.deepcopy(optimizer), dtype="float64")
    whole.build(5).layers[0].trainable = False
    alone = fn.Model([fn.Dense(2)], "mse", copy.deepcopy(optimizer), dtype="float64").build(7)
    alone.parameters[...] = whole.parameters[part(whole, 1)]
    features = whole.layers[0](X)
    for model, data in ((whole, X), (alone, features)):
        model.fit(data, Y, epochs=10, batch_size=8, shuffle=False)
    np.testing.assert_allclose(whole.parameters[part(whole, 1)], alone.parameters, rtol=1e-9)
    assert np.array_equal(whole.layers[0](X), features)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", (OPTIMIZERS | CLIPPED).values(), ids=OPTIMIZERS | CLIPPED)
@pytest.mark.parametrize("frozen", [[0], [2], [3], [0, 2], [0, 3], [0, 2, 3]], ids=str)
def test_frozen_layers_keep_their_bits_and_their_memory(frozen, optimizer, dtype):
    model = stack(optimizer, dtype, l2=0.1)
    model.fit(X, Y, batch_size=8)
    for index in frozen:
        model.layers[index].trainable = False
    before, memory = model.parameters.copy(), model.state.optimizer.reshape(-1, model.parameters.size).copy()
    model.fit(X, Y, epochs=3, batch_size=8)
    after = model.state.optimizer.reshape(memory.shape)
    for index in (0, 2, 3):
        where = part(model, index)
        assert np.array_equal(model.parameters[where], before[where]) == (index in frozen)
        for vector, earlier in zip(after, memory, strict=True):
            assert np.array_equal(vector[where], earlier[where]) == (index in frozen)


def test_frozen_parameters_do_not_count_in_the_norm():
    model = stack(fn.SGD(1.0, global_clipnorm=1e-3))
    model.layers[2].trainable = False
    before = model.parameters.copy()
    model.partial_fit(X, Y)
    assert np.linalg.norm(model.parameters - before) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    "optimizer", [fn.Adam(0.01), fn.SGD(0.1, momentum=0.9, global_clipnorm=0.1)], ids=str
)
@pytest.mark.parametrize("frozen", [[0], [1, 2], [0, 2], [1, 3]], ids=str)
def test_the_same_bits_at_any_number_of_threads(frozen, optimizer):
    bits = set()
    for threads in (1, 2, 3, 4):
        layers = [fn.Dense(301, "tanh"), fn.Dense(77, "relu", l2=0.01), fn.Dense(131, "tanh"), fn.Dense(3)]
        model = fn.Model(layers, "mse", copy.deepcopy(optimizer), seed=0).build(5)
        for index in frozen:
            layers[index].trainable = False
        model.fit(X, np.tile(X[:, :1], 3), epochs=3, batch_size=64, threads=threads)
        bits.add(model.parameters.tobytes())
    assert len(bits) == 1


def train_in_compiled_code(model):
    net, state = model.network(max_batch=64), model.optimizer_state()
    for _ in range(3):
        fn.train_step(net, state, X.astype(model.dtype), Y.astype(model.dtype))
    assert not net.gradient[part(model, 0)].any() and net.gradient[part(model, 3)].all()


WAYS = {
    "fit": lambda model: model.fit(X, Y),
    "partial_fit": lambda model: model.partial_fit(X, Y),
    "fit_many": lambda model: fn.fit_many([model], X, Y, epochs=2),
    "compiled": train_in_compiled_code,
    "minimize": lambda model: fn.scipy.minimize(model, X, Y, options={"maxiter": 5}),
    "least_squares": lambda model: fn.scipy.least_squares(model, X, Y, max_nfev=5),
    **{
        method: lambda model, method=method: fn.scipy.minimize(model, X, Y, method, options={"maxiter": 300})
        for method in ("BFGS", "Nelder-Mead")
    },
    "trf": lambda model: fn.scipy.least_squares(model, X, Y, "trf", max_nfev=5),
}


@pytest.mark.filterwarnings("ignore:Method .* does not use gradient information")
@pytest.mark.parametrize("train", WAYS.values(), ids=WAYS)
def test_every_way_to_train(train):
    model = stack(fn.SGD(0.01, global_clipnorm=1.0))
    model.layers[0].trainable = model.layers[2].trainable = False
    before, loss = model.parameters.copy(), model.evaluate(X, Y)["loss"]
    result = train(model)
    for index in (0, 2, 3):
        where = part(model, index)
        assert np.array_equal(model.parameters[where], before[where]) == (index != 3)
    assert model.evaluate(X, Y)["loss"] < loss
    if hasattr(result, "x"):
        assert np.array_equal(result.x, model.parameters)


def test_the_gradient_is_that_of_all_parameters():
    model = stack()
    expected = model.loss_and_gradient(X, Y)[1]
    model.trainable = False
    assert np.array_equal(model.loss_and_gradient(X, Y)[1], expected)


def test_between_fits_and_within_one():
    model, kept = stack(), {}

    def freeze_and_free(epoch, logs):
        kept[epoch] = model.layers[0].weights.copy()
        model.layers[0].trainable = epoch not in (1, 2)

    model.fit(X, Y, epochs=6, callbacks=[freeze_and_free])
    changed = [bool((kept[i] != kept[i + 1]).any()) for i in range(5)]
    assert changed == [True, False, False, True, True]
    state = model.optimizer_state()
    model.trainable = False
    before = model.parameters.copy()
    assert model.optimizer_state() is state
    fn.train_step(model.network(), state, X[:8], Y[:8])
    model.fit(X, Y, batch_size=8)
    assert np.array_equal(model.parameters, before) and model.state.step > 8
    model.trainable = True
    model.fit(X, Y)
    assert (model.parameters != before).any()


def test_before_the_model_is_built_or_made():
    layer = fn.Dense(7, "tanh")
    layer.trainable = False
    model = fn.Model([fn.Standardize(), layer, fn.Dense(2)], "mse", seed=0)
    expected = fn.Model([fn.Standardize(), fn.Dense(7, "tanh"), fn.Dense(2)], seed=0).build(5)
    model.fit(X, Y, epochs=3)
    assert np.array_equal(layer.weights, expected.layers[1].weights)
    assert (model.layers[2].weights != expected.layers[2].weights).any()


def test_of_the_model_is_of_its_layers():
    model = stack()
    assert model.trainable and all(layer.trainable for layer in model.layers)
    model.trainable = False
    assert not model.trainable and not any(layer.trainable for layer in model.layers)
    model.layers[3].trainable = np.bool_(True)
    assert model.trainable and model.layers[3].trainable is True
    for wrong in ("no", 0, None):
        with pytest.raises(TypeError, match="trainable must be"):
            model.trainable = wrong
        with pytest.raises(TypeError, match="trainable must be"):
            model.layers[0].trainable = wrong
    assert [layer.trainable for layer in model.layers] == [False, False, False, True]


def saved_and_loaded(model, folder):
    model.save(folder / "m")
    return fn.load(folder / "m")


@pytest.mark.parametrize(
    "copied",
    [
        saved_and_loaded,
        lambda model, folder: pickle.loads(pickle.dumps(model)),
        lambda model, folder: copy.copy(model),
    ],
    ids=["saved", "pickled", "copied"],
)
def test_a_copy_is_frozen_where_the_original_is(copied, tmp_path):
    model = stack()
    model.layers[0].trainable = model.layers[1].trainable = False
    again = copied(model, tmp_path)
    assert [layer.trainable for layer in again.layers] == [False, False, True, True]
    for each in (model, again):
        each.fit(X, Y, epochs=2)
    assert np.array_equal(again.parameters, model.parameters)


@pytest.mark.parametrize("frozen", [[4], [-1], ["0"], [1.5], [True], 1, {"0": 1}], ids=str)
def test_a_file_that_freezes_what_is_not_there_is_refused(frozen, tmp_path):
    stack().save(tmp_path / "m")
    edit_file(tmp_path / "m", lambda config, tensors: config.update(frozen=frozen))
    with pytest.raises(ValueError, match="does not hold a consistent fastnn model"):
        fn.load(tmp_path / "m")


def test_summary(capsys):
    model = stack()
    model.layers[0].trainable = model.layers[1].trainable = False
    model.summary()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:6]] == [
        "Dense(7, 'tanh'), frozen",
        "Dropout(0.2)",
        "Dense(6, 'tanh')",
        "Dense(2)",
    ]
    assert "Total parameters: 104 (832 bytes), float64" in lines
    assert "Non-trainable parameters: 42 (336 bytes): 42 frozen" in lines
    assert "frozen" in model._repr_html_()
