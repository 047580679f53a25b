"""Callbacks after a fit: they keep no model alive; and how often they are called."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import fastnn as fn
from fastnn.sklearn import MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = X @ [1.0, -2.0, 0.5]


def network(rate=0.3):
    layers = [fn.Dense(4, "tanh"), fn.Dense(1)]
    return fn.Model(layers, loss="mse", optimizer=fn.SGD(rate), dtype="float64", seed=0)


def test_callbacks_release_the_model(tmp_path):
    """Neither a callback nor its copies carry the model, or the best weights, around."""
    model = fn.Model([fn.Dense(500, "tanh"), fn.Dense(1)], loss="mse", seed=0)

    class OfOldStyle(fn.Callback):
        def __getstate__(self):
            return dict(self.__dict__)

    callbacks = [
        fn.EarlyStopping("loss", restore_best=True),
        fn.ReduceLROnPlateau("loss"),
        fn.ModelCheckpoint(tmp_path / "m", "loss", save_best_only=True),
        fn.CSVLogger(tmp_path / "log.csv"),
        fn.Callback(),
    ]
    old = OfOldStyle()
    model.fit(X, Y, epochs=3, callbacks=[*callbacks, old])
    assert callbacks[0].model is model
    for callback in callbacks:
        assert len(pickle.dumps(callback)) < 500
        assert pickle.loads(pickle.dumps(callback)).model is None
        assert copy.deepcopy(callback).model is None and copy.copy(callback).model is None
    assert copy.deepcopy(old).model is None
    watch = weakref.ref(model)
    del model
    gc.collect()
    assert watch() is None and callbacks[0].model is None


def test_a_clone_of_a_fitted_estimator_is_small():
    stop = fn.EarlyStopping("loss", restore_best=True)
    estimator = MLPRegressor(hidden_layer_sizes=(500,), callbacks=[stop], max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning):
        estimator.fit(X, Y)
    assert len(pickle.dumps(clone(estimator))) < 2000


# --- periods


@pytest.mark.parametrize("period", [0, -1, 1.5, "2", True, None])
def test_a_wrong_period_is_refused(period):
    callback, model = fn.Callback(), network().build(3)
    callback.period = period
    before = model.parameters.copy()
    for fit in (model.fit, lambda *data, callbacks: fn.fit_many([model], *data, callbacks=[callbacks])):
        with pytest.raises((TypeError, ValueError), match=f"period of Callback must be .*, got {period!r}"):
            fit(X, Y, callbacks=[callback])
    assert np.array_equal(model.parameters, before)

    class Changes(fn.Callback):
        def on_epoch_end(self, epoch, logs):
            self.period = period

    with pytest.raises((TypeError, ValueError), match=f"period of Changes must be .*, got {period!r}"):
        model.fit(X, Y, epochs=3, callbacks=[Changes()])
    assert model.history.epoch == [0]
