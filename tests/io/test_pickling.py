"""Pickle and copy: models, layers and histories come back whole and share nothing."""

import copy
import io
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.saved_models import LAYERS, LOSSES, OPTIMIZERS, X, Y, trained

COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    **{
        f"pickle {protocol}": lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}
every_way = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@every_way
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_of_a_copy_goes_on_as_that_of_the_original(copied, dtype):
    model = trained(dtype=dtype)
    again = copied(model)
    assert again.history.history == model.history.history
    assert again.parameters.ctypes.data % 64 == again.state.optimizer.ctypes.data % 64 == 0
    before = model.parameters.copy()
    record = again.fit(X, Y, epochs=3, batch_size=4).history
    assert np.array_equal(model.parameters, before)
    assert model.fit(X, Y, epochs=3, batch_size=4).history == record
    assert np.array_equal(again.parameters, model.parameters)
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.evaluate(X, Y) == model.evaluate(X, Y)
    again.layers[0].weights[...] = 0
    assert not again.parameters[: again.layers[0].weights.size].any() and model.layers[0].weights.all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_and_schedule(optimizer):
    model = trained(copy.deepcopy(optimizer))
    again = pickle.loads(pickle.dumps(model))
    for m in (model, again):
        m.fit(X, Y, epochs=2, batch_size=4)
    assert np.array_equal(again.parameters, model.parameters)
    assert np.array_equal(again.state.optimizer, model.state.optimizer)


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_every_layer(layers):
    model = fn.Model(layers(), seed=1)
    early = pickle.loads(pickle.dumps(model))  # not built: the same seed gives the same weights
    late = copy.deepcopy(model.build(3))
    for again in (early, late):
        assert np.array_equal(again.predict(X), model.predict(X))
        assert [layer.config() for layer in again.layers] == [layer.config() for layer in model.layers]


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_and_metric(loss):
    model = fn.Model([fn.Dense(2, "log_softmax" if loss == "nll" else None)], loss=loss)
    again = pickle.loads(pickle.dumps(model))
    assert again.loss == model.loss and again.metrics == model.metrics


def test_every_metric_is_the_one_of_the_table():
    model = fn.Model([fn.Dense(2)], loss="mse", metrics=list(fn.metrics.TABLE)).build(3)
    assert copy.deepcopy(model).metrics == model.metrics
    assert pickle.loads(pickle.dumps(model)).evaluate(X, Y) == model.evaluate(X, Y)


def ones(shape, generator):
    return np.ones(shape)


def test_initializer_of_the_users_own():
    own = fn.initializers.Initializer("ones", {}, ones)
    again = pickle.loads(pickle.dumps(fn.Model([fn.Dense(2, kernel_initializer=own)]))).build(3)
    assert (again.layers[0].weights == 1).all()


@every_way
def test_a_layer_that_was_used_alone(copied):
    layer = fn.Dense(4, "tanh")
    expected = layer(X)
    again = copied(layer)
    layer.weights[...] = 0
    assert np.array_equal(again(X), expected)
    model = fn.Model([copied(again), fn.Dense(1)]).build(3)
    assert np.array_equal(model.layers[0].weights, again.weights)


@every_way
def test_a_layer_of_a_model_is_copied_without_the_model(copied):
    model = fn.Model([fn.Dense(4, "tanh"), fn.Dense(2)], dtype="float64").build(3)
    layer = copied(model.layers[0])
    assert np.array_equal(layer.weights, model.layers[0].weights)
    assert np.array_equal(layer(X), model.layers[0](X))
    layer.weights = np.zeros((3, 4))
    assert model.layers[0].weights.any()
    assert fn.Model([copied(layer)], dtype="float64")(X).any() == layer(X).any()


def test_a_layer_pickled_beside_its_model_is_the_models():
    model = fn.Model([fn.Dense(4), fn.Dense(2)]).build(3)
    for order in ((model, model.layers[1]), (model.layers[1], model)):
        again = pickle.loads(pickle.dumps(order))
        one, layer = again if isinstance(again[0], fn.Model) else reversed(again)
        assert one.layers[1] is layer
        layer.weights = np.zeros((4, 2))
        assert not one(X).any()


@every_way
def test_history(copied):
    history = trained().history
    again = copied(history)
    assert (again.epoch, again.history, repr(again)) == (history.epoch, history.history, repr(history))


def test_in_a_new_process(tmp_path):
    model = trained()
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    program = """
import pickle, sys
model = pickle.load(open(sys.argv[1], "rb"))
from tests.helpers.saved_models import X, Y
model.fit(X, Y, epochs=2, batch_size=4)
sys.stdout.write(model.parameters.tobytes().hex())
"""
    command = [sys.executable, "-c", program, tmp_path / "model.pickle"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    model.fit(X, Y, epochs=2, batch_size=4)
    assert output == model.parameters.tobytes().hex()


def test_in_a_callback():
    model, seen = trained(), []
    model.fit(X, Y, epochs=2, callbacks=[lambda epoch, logs: seen.append(copy.deepcopy(model))])
    assert [again.state.epoch for again in seen] == [4, 5]
    seen[0].fit(X, Y, epochs=1)
    assert np.array_equal(seen[0].parameters, seen[1].parameters)


def test_a_copy_during_a_fit_in_another_thread():
    """It does not wait for the fit to end, is of a finished step, and is left alone by the fit."""
    model, begun, copied, weights = trained(), threading.Event(), threading.Event(), []
    before = model.state.epoch

    def wait(epoch, logs):
        if epoch == 0:
            weights.append(model.parameters.copy())
            begun.set()
            assert copied.wait(60)

    fit = threading.Thread(target=lambda: model.fit(X, Y, epochs=6, callbacks=[wait]))
    fit.start()
    begun.wait()
    copy_of_it = pickle.loads(pickle.dumps(model))
    copied.set()
    fit.join()
    assert (copy_of_it.state.epoch, model.state.epoch) == (before + 1, before + 6)
    assert np.array_equal(copy_of_it.parameters, weights[0])
    assert not np.array_equal(copy_of_it.parameters, model.parameters)


@every_way
def test_a_network_is_not_copied(copied):
    net = fn.Model([fn.Dense(2)]).build(3).network()
    with pytest.raises(TypeError, match="network"):
        copied(net)


class Slowly(pickle.Pickler):
    """A pickler that lets training in another thread go on before it looks at a layer."""

    def __init__(self, file, model):
        super().__init__(file)
        self.model = model

    def persistent_id(self, value):
        if isinstance(value, fn.Dense):
            step, patience = self.model.state.step, time.monotonic() + 30
            while self.model.state.step == step and time.monotonic() < patience:
                time.sleep(0.001)


def test_a_copy_made_during_a_fit_is_that_of_one_step():
    model, twin = trained(), trained()
    stop, content = threading.Event(), io.BytesIO()
    options = {"batch_size": None, "callbacks": [lambda epoch, logs: stop.is_set()]}
    fit = threading.Thread(target=lambda: model.fit(X, Y, epochs=10**9, **options))
    before = model.state.step
    fit.start()
    while model.state.step < before + 10:
        time.sleep(0.001)
    Slowly(content, model).dump(model)
    stop.set()
    fit.join()
    copied = pickle.loads(content.getvalue())
    twin.fit(X, Y, epochs=copied.state.epoch - twin.state.epoch, batch_size=None)
    assert copied.state.step == twin.state.step >= before + 10
    assert np.array_equal(copied.parameters, twin.parameters)
    assert np.array_equal(copied.layers[0].weights, twin.layers[0].weights)
    for each in (copied, twin):
        each.fit(X, Y, epochs=3, batch_size=4)
    assert np.array_equal(copied.parameters, twin.parameters)
