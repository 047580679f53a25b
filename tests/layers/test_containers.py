"""Layers made of layers: what they may hold, their paths, and what a model does with them as a whole."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fn
from fastnn.engine.graph import lower
from fastnn.engine.liveness import Life, share
from fastnn.engine.plan import plan

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
LABELS = RNG.integers(0, 3, 60)


def block():
    return fn.Residual([fn.LayerNormalization(), fn.Dense(6, "tanh", l2=0.1), fn.Dropout(0.2), fn.Dense(6)])


def network():
    branches = [None, block(), [fn.Activation("tanh"), fn.Residual(fn.Dense(6), shortcut=fn.Dense(6))]]
    return [fn.Dense(6), fn.Add(branches), fn.Sequential([fn.Dense(5), fn.Dense(3, "softmax")])]


def built(**options):
    return fn.Model(network(), "cross_entropy", seed=0, **options).build(4)


PATHS = (
    "0 1 1.1 1.1.body 1.1.body.0 1.1.body.1 1.1.body.2 1.1.body.3 1.2 1.2.0 1.2.1 1.2.1.body 1.2.1.shortcut "
    "2 2.0 2.1"
)


def paths(layers):
    return [path for layer in layers for path in (layer.path, *paths(layer.children.values()))]


def test_paths():
    assert all(path is None for path in paths(network()))
    model = built()
    assert paths(model.layers) == PATHS.split()
    assert (
        paths(copy.deepcopy(model).layers) == paths(pickle.loads(pickle.dumps(model)).layers) == PATHS.split()
    )
    assert model.layers[1].branches[1].body.layers[0].gamma.shape == (6,)


def test_files_name_parameters_by_paths(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = built()
    model.layers[1].branches[1].body.layers[1].trainable = False
    model.fit(X, LABELS, epochs=2)
    model.save(tmp_path / "model", training=True)
    names = set(safetensors.load_file(tmp_path / "model"))
    assert {"0.bias", "1.1.body.0.gamma", "1.2.1.shortcut.weights", "2.1.weights"} <= names
    again = fn.load(tmp_path / "model")
    assert repr(again) == repr(model) and np.array_equal(again.predict(X), model.predict(X))
    assert not again.layers[1].branches[1].body.layers[1].trainable
    for other in (model, again):
        other.fit(X, LABELS, epochs=2)
    assert np.array_equal(again.parameters, model.parameters)


def test_layers_of_their_own_random_numbers():
    """Each nested layer draws others, and the same again; those of the model itself as without containers."""
    first, second = built(), built()
    assert np.array_equal(first.parameters, second.parameters)
    residual = first.layers[1].branches[2].layers[1]
    assert not np.array_equal(residual.body.weights, residual.shortcut.weights)
    plain = fn.Model([fn.Dense(6), fn.Activation("tanh"), fn.Dense(3)], seed=0).build(4)
    assert np.array_equal(plain.layers[0].weights, first.layers[0].weights)
    streams = [op.stream for op in lower(first.layers, (4,)).ops if op.kernel == "layers.dropout"]
    assert streams == [stream for stream in streams if 1 << 31 <= stream < 1 << 32]


def test_the_last_activation_of_a_sequential_belongs_to_the_loss():
    model, flat = built(), fn.Model([fn.Dense(3), fn.Sequential([fn.Activation("softmax")])], "cross_entropy")
    assert model.head.output == flat.head.output == "probabilities"
    np.testing.assert_allclose(model.predict(X).sum(axis=1), 1, rtol=1e-6)
    assert fn.Model([fn.Dense(2), block()]).head.output == "values"


def test_freezing():
    model = built()
    model.layers[1].trainable = False
    assert not any(layer.trainable for layer in model.layers[1].branches[1].body.layers[:2])
    before = model.parameters.copy()
    model.fit(X, LABELS)
    changed = {
        place.path
        for place in model.executor.graph.parameters
        if (model.parameters != before)[place.offset : place.offset + place.size].any()
    }
    assert changed == {"0", "2.0", "2.1"}
    model.layers[1].branches[1].body.layers[3].trainable = True
    assert model.layers[1].trainable and not model.layers[1].branches[2].trainable
    model.fit(X, LABELS)
    assert (model.parameters != before).any()


def test_penalties_count():
    model = built()
    weights = model.layers[1].branches[1].body.layers[1].weights
    loss = model.evaluate(X, LABELS)["loss"]
    own = -np.log(model.predict(X)[np.arange(60), LABELS].astype(float)).mean()
    np.testing.assert_allclose(loss, own + 0.1 * (weights.astype(float) ** 2).sum(), rtol=1e-5)


def test_containers_alone():
    layer = block()
    y = layer(RNG.normal(size=(3, 6)))
    assert y.shape == (3, 6) and layer.is_free
    model = fn.Model([layer, fn.Dense(2)]).build(6)
    assert layer.body.layers[0].path == "0.body.0" and not layer.is_free
    assert np.array_equal(model.layers[0].body.layers[1].weights, layer.body.layers[1].weights)
    with pytest.raises(ValueError, match="is part of another model already"):
        fn.Model([fn.Sequential([layer.body])])
    free = copy.copy(layer)
    assert free.is_free and free.body is not layer.body
    assert np.array_equal(free.body.layers[1].weights, layer.body.layers[1].weights)


SHARED = fn.Dense(3)
WRONG = {
    "nothing": (lambda: fn.Sequential([]), ValueError, "layers must not be empty"),
    "a single layer": (lambda: fn.Sequential(fn.Dense(2)), TypeError, "layers must be a sequence of layers"),
    "text": (lambda: fn.Residual("dense"), TypeError, "layers must be a sequence of layers, got 'dense'"),
    "no layer": (lambda: fn.Add([None, [2]]), TypeError, r"branches\[1\] must be fastnn layers, got 2"),
    "one branch": (lambda: fn.Concatenate([None]), ValueError, "branches must be two or more, got 1"),
    "no branches": (lambda: fn.Add(fn.Dense(2)), TypeError, "branches must be a sequence"),
    "an empty body": (lambda: fn.Residual([]), ValueError, "layers must not be empty"),
    "data": (lambda: fn.Sequential([fn.MinMax()]), ValueError, "must be one of the model's own layers"),
    "twice": (
        lambda: fn.Model([fn.Add([SHARED, [SHARED]])]),
        ValueError,
        "the same layer stands twice in layers",
    ),
    "after weights": (
        lambda: fn.Model([fn.Sequential([fn.Dense(2)]), fn.MinMax()]),
        ValueError,
        "must stand before all layers with weights",
    ),
    "columns": (lambda: fn.Select(None), TypeError, "columns must be an integer or a sequence"),
    "epsilon": (lambda: fn.LayerNormalization(0), ValueError, "epsilon must be > 0, got 0"),
    "shape": (lambda: fn.Reshape((-1, -1)), ValueError, r"shape must be >= 1, but for one -1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name):
    make, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        make()


MISFITS = {
    "residual": (
        lambda: fn.Residual([fn.Dense(3)]),
        r"layer 1.0, Residual: its layers give \(3,\), .* is of shape \(4,\); give shortcut=fn.Dense\(3\)",
    ),
    "shortcut": (
        lambda: fn.Residual([fn.Dense(3)], shortcut=fn.Dense(2)),
        r"layer 1.0, Residual: its layers give \(3,\), and its shortcut gives \(2,\)",
    ),
    "add": (lambda: fn.Add([None, fn.Dense(2)]), r"layer 1.0, Add: branch 0 gives \(4,\), branch 1 \(2,\)"),
    "concatenate": (
        lambda: fn.Concatenate([None, fn.Reshape((2, 2))]),
        r"layer 1.0, Concatenate: branch 0 gives \(4,\), branch 1 \(2, 2\)",
    ),
    "deep": (
        lambda: fn.Residual([fn.Add([None, [fn.Dense(4), fn.Reshape((3, 1))]])]),
        r"layer 1.0.body.0.1.1, Reshape\(\(3, 1\)\): 3 numbers do not fit an input of shape \(4,\)",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_shapes_that_do_not_fit(name):
    make, message = MISFITS[name]
    with pytest.raises(ValueError, match=message):
        fn.Model([fn.Dense(4), fn.Sequential([make()])]).build(3)


# --- memory


def widths_by_place(rows):
    """Of each place in the workspace, the widths of the tensors that lie there."""
    found = {}
    for row in rows:
        for place, width in (("y", "n_out"), ("dx", "n_in")):
            found.setdefault(int(row[place]), set()).add(int(row[width]))
    return {place: widths for place, widths in found.items() if place >= 0}


def test_in_training_only_tensors_of_one_width_share_memory():
    layout = plan(lower(network(), (4,)), 16, "float32", training=True)
    assert all(len(widths) == 1 for widths in widths_by_place(layout.ops).values())


def test_prediction_takes_less_memory_than_training():
    graph = lower(
        [fn.Dense(64), *[fn.Residual([fn.Dense(64, "relu"), fn.Dense(64)]) for _ in range(8)]], (64,)
    )
    train, predict = (plan(graph, 16, "float32", training=training).workspace for training in (True, False))
    assert predict == 3 * 16 * 64 and train > 16 * 16 * 64


@pytest.mark.parametrize("same_width", [True, False])
def test_lives_that_meet_are_apart(same_width):
    lives = []
    for width in RNG.integers(1, 4, 200).tolist():
        first = int(RNG.integers(0, 100))
        lives.append(Life(width, first, first + int(RNG.integers(0, 12))))
    blocks, widths = share(lives, same_width=same_width)
    assert len(widths) < 80 and set(blocks) == set(range(len(widths)))
    for i, one in enumerate(lives):
        assert widths[blocks[i]] == one.width if same_width else widths[blocks[i]] >= one.width
        for j in range(i):
            meet = one.first <= lives[j].last and lives[j].first <= one.last
            assert not (meet and blocks[i] == blocks[j])


def test_many_models_at_once():
    """Each becomes what it becomes alone, and an ensemble answers with the mean of all."""
    models = [fn.Model(network(), "cross_entropy", seed=seed) for seed in range(3)]
    alone = [fn.Model(network(), "cross_entropy", seed=seed) for seed in range(3)]
    fn.fit_many(models, X, LABELS, epochs=3, batch_size=20)
    for model, twin in zip(models, alone, strict=True):
        twin.fit(X, LABELS, epochs=3, batch_size=20)
        assert np.array_equal(model.parameters, twin.parameters)
    ensemble = fn.Ensemble(models)
    mean = np.mean([twin.predict(X) for twin in alone], axis=0)
    np.testing.assert_allclose(ensemble.predict(X), mean, rtol=1e-5, atol=1e-7)
