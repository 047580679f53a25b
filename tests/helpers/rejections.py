"""For tests of wrong input: small models, and a proof that a refusal changed nothing."""

import re

import numpy as np
import pytest

import fastnn as fn

N = 6
X = np.arange(18.0).reshape(N, 3) / 18
LABELS = np.arange(N) % 3
VALUES = X * 2
NAN, INF = np.nan, np.inf
BAD = (TypeError, ValueError)


def network(loss="cross_entropy", n_out=3, **options):
    layers = [fn.Dense(4, "tanh"), fn.Dropout(0.2), fn.Dense(n_out)]
    return fn.Model(layers, loss=loss, seed=0, **options)


def target(model):
    """Something that the model can be trained on."""
    if model.loss.target == "classes":
        return LABELS
    values = X if model.loss.target == "shares" else VALUES
    return values[:, : model.layers[-1].units]


def trained(**options):
    model = network(**options)
    model.fit(X, target(model), epochs=2)
    return model


def used(**options):
    """A model that has predicted, so that the next prediction may go the short way."""
    model = trained(**options)
    model.predict(X)
    return model


def state_of(model):
    """All that training and building change."""
    state = model.executor._state
    built = None
    if state is not None:
        vectors = (state.parameters.tobytes(), state.optimizer.tobytes())
        built = (*vectors, state.seed, state.step, state.epoch, state.position)
    history = model.history
    record = None if history is None else (id(history), list(history.epoch), str(history.history))
    views = [sorted(layer.views) for layer in model.layers]
    return built, model.n_in, model.n_out, views, record, str(model.optimizer), model.stop_training


def changed(a, where, value):
    a = np.array(a, dtype=float)
    a[where] = value
    return a


def refused(model, call, error, piece):
    """Assert that `call` is refused, with `piece` in the message, and `model` is as it was."""
    before = state_of(model)
    with pytest.raises(error, match=re.escape(piece)) as caught:
        call()
    assert isinstance(caught.value, BAD)
    assert state_of(model) == before
