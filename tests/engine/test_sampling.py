"""`predict(X, samples=...)`: dropout that drops in prediction, the same in all rows of a sample."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn as fn
from fastnn.engine import sampling
from fastnn.kernels.layers.dropout import dropout_mask

RNG = np.random.default_rng(0)
#: Layers that drop, and the shape of a sample.
CASES = {
    "dense": (lambda: [fn.Dense(8, "tanh"), fn.Dropout(0.4), fn.Dense(8, "relu"), fn.Dropout(0.2)], (5,)),
    "first": (lambda: [fn.Dropout(0.3), fn.Dense(6, "tanh")], (5,)),
    "last": (lambda: [fn.Dense(6, "tanh"), fn.Dropout(0.3)], (5,)),
    "shared": (lambda: [fn.Dense(6), fn.Residual([fn.Dropout(0.5), fn.Dense(6, "tanh")])], (5,)),
    "beside": (lambda: [fn.Concatenate([[fn.Dense(3)], [fn.Dropout(0.5), fn.Dense(2)], None])], (5,)),
    "channels": (lambda: [fn.Conv2D(4, 3, 1, "same"), fn.SpatialDropout2D(0.5), fn.Flatten()], (4, 5, 2)),
    "times": (lambda: [fn.SpatialDropout1D(0.5), fn.Conv1D(3, 2), fn.Flatten()], (6, 3)),
    "recurrent": (lambda: [fn.Bidirectional(fn.GRU(3, dropout=0.4)), fn.Dropout(0.3)], (6, 3)),
    "attention": (lambda: [fn.MultiHeadAttention(2, 3, dropout=0.4), fn.Flatten()], (5, 4)),
}  # fmt: skip


def model_of(name, dtype="float32"):
    layers, shape = CASES[name]
    model = fn.Model([*layers(), fn.Dense(2)], "mse", fn.SGD(0.0), dtype=dtype, seed=3).build(shape)
    return model, RNG.normal(size=(70, *shape)).astype(dtype)


def in_training(model, row):
    """The output of a sample in a training step."""
    outputs = []
    model.backward(row[np.newaxis], lambda y: outputs.append(y.copy()) or np.zeros_like(y))
    return outputs[0][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_a_sample_drops_what_a_training_step_drops_of_its_first_row(name, dtype):
    model, X = model_of(name, dtype)
    found = model.predict(X, samples=3, seed=model.seed)
    assert found.shape == (3, 70, 2)
    assert found.dtype == dtype
    for k in range(3):
        model.state.step = k
        for i, row in enumerate(X[:5]):  # a copy's first pass is that of step k
            assert_allclose(found[k, i], in_training(copy.copy(model), row), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_row_and_a_sample_stand_alone(name):
    model, X = model_of(name)
    found = model.predict(X, samples=7, seed=5)
    assert_array_equal(model.predict(X[40:43], samples=7, seed=5), found[:, 40:43])
    assert_array_equal(model.predict(X[69], samples=7, seed=5), found[:, 69])
    assert_array_equal(model.predict(X, samples=3, seed=5), found[:3])
    assert len({found[k].tobytes() for k in range(7)}) >= 4  # few numbers have few masks
    assert not np.array_equal(model.predict(X, samples=7, seed=6), found)


@pytest.mark.parametrize(("rows", "samples"), [(3000, 9), (1, 4000), (3, 900)])
def test_the_same_bits_at_any_number_of_threads(rows, samples):
    model = fn.Model([fn.Dense(64, "relu"), fn.Dropout(0.2), fn.Dense(64), fn.Dropout(0.5)], seed=1).build(9)
    X = RNG.normal(size=(rows, 9))
    found = []
    for threads in (1, 2, 5):
        fn.set_threads(threads)
        found.append(model.predict(X, samples=samples, seed=2).tobytes())
    fn.set_threads(None)
    assert found[0] == found[1] == found[2]


def test_masks_are_those_of_the_kernel():
    model = fn.Model([fn.Dropout(0.25)], seed=1).build(6)
    found = model.predict(np.ones((2, 6)), samples=50, seed=9)
    expected = np.empty((50, 6), np.float32)
    for k in range(50):
        dropout_mask(0.25, 9, 1, k, 0, expected[k])
    assert_array_equal(found, np.stack([expected, expected], axis=1))


def test_other_layers_are_as_in_prediction():
    layers = [fn.BatchNormalization(), fn.Dense(4), fn.BatchNormalization(), fn.Dropout(0.5), fn.Dense(1)]
    model = fn.Model(layers, "mse", seed=0)
    X = RNG.normal(3, 2, (200, 3))
    model.fit(X, X.sum(axis=1), epochs=2)
    _, _, _, _, last = model.layers
    (hidden,) = model.outputs(X, [2])
    masks = np.empty((5, 4), np.float32)
    for k in range(5):
        dropout_mask(0.5, 4, 4, k, 0, masks[k])
    expected = np.stack([(hidden * mask) @ last.weights + last.bias for mask in masks])
    before = {name: values.copy() for name, values in model.layers[0].views.items()}
    assert_allclose(model.predict(X, samples=5, seed=4), expected, rtol=1e-4, atol=1e-5)
    assert all(np.array_equal(values, model.layers[0].views[name]) for name, values in before.items())


def test_the_mean_of_linear_layers_is_the_prediction():
    """What is dropped is made up for: in a linear network the expected output is that without dropout."""
    model = fn.Model([fn.Dense(20), fn.Dropout(0.3), fn.Dense(2)], seed=0, dtype="float64").build(4)
    x = RNG.normal(size=4)
    found = model.predict(x, samples=20000)
    error = (found.mean(axis=0) - model.predict(x)) / (found.std(axis=0) / np.sqrt(20000))
    assert abs(error).max() < 4


def test_lengths():
    model = fn.Model([fn.GRU(4, dropout=0.5), fn.Dropout(0.2), fn.Dense(1)], seed=0).build((6, 2))
    X = RNG.normal(size=(9, 6, 2)).astype(np.float32)
    found = model.predict(X, samples=4, lengths=np.arange(9) % 6 + 1)
    changed = X.copy()
    changed[0, 1:] = 7  # behind its end
    assert_array_equal(model.predict(changed, samples=4, lengths=np.arange(9) % 6 + 1), found)
    assert_array_equal(model.predict(X[4], samples=4, lengths=5), found[:, 4])
    assert not np.array_equal(model.predict(X, samples=4), found)


def test_out_and_default_seed():
    model, X = model_of("dense")
    out = np.empty((4, 70, 2), np.float32)
    assert model.predict(X, out=out, samples=4) is out
    assert_array_equal(model.predict(X, samples=4, seed=3), out)
    model.seed = 8
    assert_array_equal(model.predict(X, samples=4, seed=3), out)
    assert not np.array_equal(model.predict(X, samples=4), out)
    assert_array_equal(copy.copy(model).predict(X, samples=4, seed=3), out)
    before = model.predict(X)
    model.predict(X, samples=4)
    assert_array_equal(model.predict(X), before)


def test_later_training_is_seen():
    model, X = model_of("dense")
    found = model.predict(X, samples=2)
    model.parameters[...] *= 2
    assert not np.array_equal(model.predict(X, samples=2), found)


BAD = {
    "none": ({"samples": 0}, ValueError, r"samples must be >= 1, got 0"),
    "half": ({"samples": 2.5}, TypeError, r"samples must be an integer, got 2\.5"),
    "true": ({"samples": True}, TypeError, r"samples must be an integer, got True"),
    "seed alone": ({"seed": 1}, ValueError, r"seed is that of samples, got seed=1 without samples"),
    "seed": ({"samples": 2, "seed": -1}, ValueError, r"seed must be >= 0, got -1"),
    "large seed": ({"samples": 2, "seed": 2**63}, ValueError, r"seed must be < 2\*\*63"),
    "out": ({"samples": 2, "out": np.empty((70, 2), np.float32)}, ValueError, r"out .*\(2, 70, 2\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused(name):
    (arguments, kind, message), (model, X) = BAD[name], model_of("dense")
    with pytest.raises(kind, match=message):
        model.predict(X, **arguments)
    if "out" not in arguments:
        with pytest.raises(kind, match=message):
            model.predict_distribution(X, **arguments)


@pytest.mark.parametrize("layers", [[], [fn.Dropout(0)], [fn.GRU(2)], [fn.SpatialDropout1D(0.0)]])
def test_a_model_that_drops_nothing_is_refused(layers):
    model = fn.Model([*copy.deepcopy(layers), fn.Flatten(), fn.Dense(1)], "mse").build((4, 3))
    with pytest.raises(
        ValueError, match=r"samples=5 needs layers that drop something, fn\.Dropout .*Ensemble"
    ):
        model.predict(np.ones((2, 4, 3)), samples=5)


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="not built yet"):
        fn.Model([fn.Dropout(0.5), fn.Dense(1)]).predict(np.ones((2, 3)), samples=5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_samples_are_refused(bad):
    model, X = model_of("dense")
    X[3, 1] = bad
    with pytest.raises(ValueError, match="X"):
        model.predict(X, samples=2)


def test_distributions_are_computed_in_blocks(monkeypatch):
    model, X = model_of("dense")
    whole = model.predict_distribution(X, samples=11, seed=1)
    outputs = model.predict(X, samples=11, seed=1)
    assert_allclose(whole["mean"], outputs.mean(axis=0), rtol=1e-5, atol=1e-6)
    assert_allclose(whole["std"], outputs.std(axis=0), rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(sampling, "_BLOCK", 11 * 2 * 16)
    for name, values in model.predict_distribution(X, samples=11, seed=1).items():
        assert_array_equal(values, whole[name])
