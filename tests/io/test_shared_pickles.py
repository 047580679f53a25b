"""Pickles whose memory is somebody else's: files mapped by joblib, buffers that are sent apart.

What comes out of one writes to memory of its own: it does not change the file, and does not fail
where the memory cannot be written to.
"""

import copy
import pickle

import joblib
import numpy as np
import pytest

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor
from tests.helpers.saved_models import X, Y, interrupted, trained

CODED = np.column_stack([np.arange(22) % 2, X[:, 1:]])


def in_buffers(value, kept_as):
    """Through a pickle whose arrays lie in buffers beside it, as Ray and Dask send them."""
    buffers = []
    pickled = pickle.dumps(value, 5, buffer_callback=buffers.append)
    memory = [kept_as(buffer) for buffer in buffers]
    return pickle.loads(pickled, buffers=memory), lambda: [bytes(part) for part in memory]


def in_a_file(value, path, mode):
    joblib.dump(value, path / "pickle")
    return joblib.load(path / "pickle", mmap_mode=mode), (path / "pickle").read_bytes


WAYS = {
    "mmap_mode r": lambda value, path: in_a_file(value, path, "r"),
    "mmap_mode r+": lambda value, path: in_a_file(value, path, "r+"),
    "read-only buffers": lambda value, path: in_buffers(value, bytes),
    "writable buffers": lambda value, path: in_buffers(value, bytearray),
}
every_way = pytest.mark.parametrize("shared", WAYS.values(), ids=WAYS)


def prepared():
    layers = [fn.Standardize([1, 2]), fn.OneHot(0), fn.Dense(4, "tanh"), fn.Dense(2)]
    model = fn.Model(layers, loss="mse", seed=0)
    model.fit(CODED, Y, epochs=2, batch_size=4)
    return model


def assign(model):
    model.layers[2].weights = model.layers[2].weights[::-1]


def step_of_compiled_code(model):
    net, state = model.network(), model.optimizer_state()
    fn.train_step(net, state, CODED.astype(np.float32), Y.astype(np.float32))


CHANGES = {
    "adapt": lambda model: model.adapt(CODED * [1, 2, 2]),
    "adapt a layer": lambda model: model.layers[0].adapt(CODED * 3),
    "fit": lambda model: model.fit(CODED, Y, epochs=2, batch_size=4),
    "partial_fit": lambda model: model.partial_fit(CODED, Y),
    "train_step": step_of_compiled_code,
    "weights": assign,
    "parameters": lambda model: np.negative(model.parameters, out=model.parameters),
}


@every_way
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_model_writes_to_its_own_memory(change, shared, tmp_path):
    model = prepared()
    again, memory = shared(model, tmp_path)
    before = memory()
    for each in (model, again):
        change(each)
        each.fit(CODED, Y, batch_size=4)
    assert np.array_equal(again.parameters, model.parameters)
    assert np.array_equal(again.predict(CODED), model.predict(CODED))
    assert memory() == before


@every_way
def test_an_interrupted_epoch_goes_on(shared, tmp_path, monkeypatch):
    model = interrupted(monkeypatch)
    again, memory = shared(model, tmp_path)
    before = memory()
    histories = [m.fit(X, Y, epochs=2, batch_size=4, resume=True).history for m in (model, again)]
    assert histories[0] == histories[1] and np.array_equal(again.parameters, model.parameters)
    assert memory() == before


@every_way
def test_a_layer_alone_and_one_of_a_model_that_is_not_built(shared, tmp_path):
    layer = fn.Dense(4)
    layer(X)
    model = fn.Model([fn.Standardize().adapt(X), fn.Dense(2)], loss="mse", seed=0)
    (dense, unbuilt), memory = shared([layer, model], tmp_path)
    before = memory()
    dense.weights[...] = 1
    dense.bias = np.ones(4)
    assert np.allclose(dense(X), X.sum(axis=1, keepdims=True) + 1, rtol=1e-4)
    unbuilt.layers[0].adapt(2 * X)
    unbuilt.fit(X, Y)
    assert memory() == before


@every_way
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_an_estimator_writes_to_its_own_memory(kind, shared, tmp_path):
    y = (Y[:, 0] > 0).astype(int)
    settings = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 3, "warm_start": True, "tol": 0}
    estimator = kind(**settings, n_iter_no_change=50)
    with pytest.warns(match="Maximum iterations"):
        estimator.fit(X, y)
    again, memory = shared(estimator, tmp_path)
    before = memory()
    for each in (estimator, again):
        each.coefs_[0] *= 2
        each.partial_fit(X, y)
        with pytest.warns(match="Maximum iterations"):
            each.fit(X, y)
    np.testing.assert_array_equal(again.coefs_[0], estimator.coefs_[0])
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    assert memory() == before


@every_way
def test_a_stopped_training_with_its_callback_goes_on(shared, tmp_path):
    model, stop = trained(), fn.EarlyStopping("loss", patience=1, restore_best=True)
    model.fit(X, Y, epochs=3, callbacks=[stop])
    (again, its_stop), memory = shared([model, stop], tmp_path)
    before = memory()
    for each, callback in ((model, stop), (again, its_stop)):
        each.fit(X, Y, epochs=5, callbacks=[callback])
    assert np.array_equal(again.parameters, model.parameters)
    assert memory() == before


def test_the_buffers_of_a_pickle_do_not_follow_the_training():
    model, buffers = prepared(), []
    pickled = pickle.dumps(model, 5, buffer_callback=buffers.append)
    before = [bytes(buffer) for buffer in buffers]
    expected = model.parameters.copy()
    model.fit(CODED, Y)
    model.adapt(CODED * [1, 2, 2])
    assert [bytes(buffer) for buffer in buffers] == before
    assert np.array_equal(pickle.loads(pickled, buffers=buffers).parameters, expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda v: pickle.loads(pickle.dumps(v))])
def test_measured_numbers_cannot_be_written_to_in_a_copy(copied):
    layer = copied(fn.Standardize().adapt(X))
    with pytest.raises(ValueError, match="read-only"):
        layer.mean[0] = 1
