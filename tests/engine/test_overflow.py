"""What is not finite is neither saved nor trained on with: weights, and what the optimizer remembers."""

import pickle

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.saved_models import X, Y, interrupted, trained

TENSORS = {
    "0.weights": lambda model: model.layers[0].weights[:1, 1],
    "2.bias": lambda model: model.layers[2].bias[1:],
    "optimizer": lambda model: model.state.optimizer[7:],
    "sums": lambda model: model.state.interrupted_epoch.sums[1:],
}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("tensor", TENSORS)
def test_what_could_not_be_loaded_is_not_saved(tensor, value, tmp_path, monkeypatch):
    model = interrupted(monkeypatch)
    path = tmp_path / "m"
    model.save(path, training=True)
    before = path.read_bytes()
    TENSORS[tensor](model)[0] = value
    with pytest.raises(ValueError, match=f"not saved: its tensor '{tensor}' must be finite .*, got {value}"):
        model.save(path, training=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]
    if tensor in ("optimizer", "sums"):  # which are not in a file of the weights alone
        model.save(path)
        assert np.array_equal(fn.load(path).parameters, model.parameters)


def test_a_checkpoint_that_could_not_be_loaded_is_refused(tmp_path):
    model, path = trained(), tmp_path / "m"
    model.save(path)
    before = path.read_bytes()

    def spoil(epoch, logs):
        model.parameters[0] = np.nan

    with pytest.raises(ValueError, match="not saved: its tensor '0.weights'"):
        model.fit(X, Y, callbacks=[spoil, fn.ModelCheckpoint(path)])
    assert path.read_bytes() == before


OPTIMIZERS = {
    "RMSprop": fn.RMSprop,
    "Adagrad": fn.Adagrad,
    "Adam": fn.Adam,
    "RMSprop with momentum": lambda: fn.RMSprop(momentum=0.5),
}


@pytest.mark.parametrize(
    "options",
    [{}, {"epochs": 3}, {"callbacks": [lambda epoch, logs: None]}],
    ids=["an epoch", "three epochs", "a callback"],
)
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_memory_that_overflows_ends_training(make, options, tmp_path):
    model = fn.Model([fn.Dense(2)], "mse", make(), seed=0)
    model.fit(X, Y)
    before = [model.parameters.copy(), model.state.optimizer.copy()]
    with pytest.raises(
        fn.DivergenceError, match="what the optimizer remembers is not finite.*scaled"
    ) as error:
        model.fit(1e5 * X, 1e17 * Y, batch_size=4, **options)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    assert np.array_equal(model.parameters, before[0]) and np.array_equal(model.state.optimizer, before[1])
    model.save(tmp_path / "m", training=True)
    for each in (model, fn.load(tmp_path / "m")):
        each.fit(X, Y)
        assert np.isfinite(each.evaluate(X, Y)["loss"])


def test_a_memory_that_overflows_in_one_of_many_models():
    models = [fn.Model([fn.Dense(2)], "mse", fn.Adagrad(), seed=i) for i in range(2)]
    with pytest.warns(RuntimeWarning, match="1 of 2 models failed"):
        histories = fn.fit_many(models, [X, 1e5 * X], [Y, 1e17 * Y])
    assert histories[0].error is None and "optimizer remembers" in str(histories[1].error)
