"""Models and weights of Keras's: files as it writes them, made here, and those that are no such thing."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest

import fastnn as fn

h5py = pytest.importorskip("h5py", reason="Keras's files are HDF5")

RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.normal(0, 0.5, size=shape).astype(np.float32)


def wrapped(name):
    """An initializer or the like, as it is written, with settings that do not matter here."""
    return {"module": "keras.initializers", "class_name": name, "config": {"seed": None}}


def layer(kind, name, *arrays, **settings):
    shared = {"name": name, "trainable": True, "dtype": {"class_name": "DTypePolicy", "config": {}}}
    return kind, {**shared, "kernel_initializer": wrapped("GlorotUniform"), **settings}, arrays


def dense(name, n_in, units, activation="linear"):
    arrays = numbers(n_in, units), numbers(units)
    return layer("Dense", name, *arrays, units=units, activation=activation, use_bias=True)


def entry(start, *shape):
    return layer("InputLayer", start, batch_shape=[None, *shape])


def architecture(layers, kind="Sequential"):
    entries = [{"class_name": of, "config": settings} for of, settings, _ in layers]
    if kind == "Functional":  # as Keras 3 writes a chain
        before = None
        for each in entries:
            each["name"] = each["config"]["name"]
            tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
            each["inbound_nodes"] = [] if before is None else [{"args": [tensor], "kwargs": {}}]
            before = each["name"]
    return {"class_name": kind, "config": {"name": "model", "layers": entries}}


def new_weights(file, layers):
    """As Keras 3 writes them: by the classes of the layers."""
    counts = {}
    snake = {"Dense": "dense", "Conv2D": "conv2d", "BatchNormalization": "batch_normalization", "GRU": "gru"}
    for kind, _, arrays in layers:
        name = snake.get(kind, kind.lower())
        counts[name] = counts.get(name, -1) + 1
        place = f"layers/{name}_{counts[name]}" if counts[name] else f"layers/{name}"
        group = file.create_group(f"{place}/cell/vars" if kind == "GRU" else f"{place}/vars")
        for i, values in enumerate(arrays):
            group[str(i)] = values


def old_weights(file, layers):
    """As Keras 2 writes them: by the names of the layers."""
    file.attrs["layer_names"] = [settings["name"].encode() for _, settings, _ in layers]
    for kind, settings, arrays in layers:
        group = file.create_group(settings["name"])
        names = [f"{settings['name']}/{kind}_{i}:0" for i in range(len(arrays))]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, values in zip(names, arrays, strict=True):
            group[name] = values


def h5(write, layers):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        write(file, layers)
    return memory.getvalue()


def keras_file(path, layers, kind="Sequential", config=None, weights=None):
    config = architecture(layers, kind) if config is None else config
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("model.weights.h5", h5(new_weights, layers) if weights is None else weights)
    return path


def legacy_file(path, layers, kind="Sequential"):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(architecture(layers, kind))
        old_weights(file.create_group("model_weights"), layers)
    return path


CHAIN = [
    entry("start", 4),
    dense("hidden", 4, 5, "relu"),
    layer("Dropout", "drop", rate=0.2, seed=1, noise_shape=None),
    dense("next", 5, 5),
    layer("LeakyReLU", "leak", negative_slope=0.3),
    dense("end", 5, 2, "softmax"),
]


def computed(x):
    w = [arrays for _, _, arrays in CHAIN if arrays]
    h = np.maximum(x @ w[0][0] + w[0][1], 0) @ w[1][0] + w[1][1]
    scores = np.where(h < 0, 0.3 * h, h) @ w[2][0] + w[2][1]
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
@pytest.mark.parametrize("write", [keras_file, legacy_file])
def test_models(write, kind, tmp_path):
    model = fn.load_keras(write(tmp_path / "m", CHAIN, kind), loss="cross_entropy", dtype="float64")
    assert repr(model.layers) == (
        "(Dense(5, 'relu'), Dropout(0.2), Dense(5), Activation(leaky_relu(negative_slope=0.3)), "
        "Dense(2, 'softmax'))"
    )
    x = RNG.normal(size=(7, 4))
    np.testing.assert_allclose(model.predict(x), computed(x), rtol=1e-6)
    model.fit(x, [0, 1, 0, 1, 0, 1, 0], epochs=1)


def block():
    """A layer in both directions, then attention, as Keras 3 writes them; their arrays, and the file."""
    rng = np.random.default_rng(1)

    def numbers(*shape):
        return rng.normal(0, 0.5, size=shape).astype(np.float32)

    cell = {"units": 3, "activation": "tanh", "return_sequences": True, "reset_after": True}
    directions = [
        {"class_name": "GRU", "config": {"name": name, **cell, "go_backwards": name == "backward_gru"}}
        for name in ("forward_gru", "backward_gru")
    ]
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}
        for name in ("start", "both")
    ]
    config = {
        "class_name": "Functional",
        "config": {
            "layers": [
                {
                    "class_name": "InputLayer",
                    "name": "start",
                    "config": {"batch_shape": [None, 6, 4], "name": "start"},
                    "inbound_nodes": [],
                },
                {
                    "class_name": "Bidirectional",
                    "name": "both",
                    "config": {
                        "name": "both",
                        "merge_mode": "concat",
                        "layer": directions[0],
                        "backward_layer": directions[1],
                    },
                    "inbound_nodes": [{"args": [tensors[0]], "kwargs": {"mask": None}}],
                },
                {
                    "class_name": "MultiHeadAttention",
                    "name": "look",
                    "config": {"name": "look", "num_heads": 2, "key_dim": 5, "attention_axes": [1]},
                    "inbound_nodes": [
                        {"args": [tensors[1]], "kwargs": {"value": tensors[1], "use_causal_mask": True}}
                    ],
                },
            ]
        },
    }
    arrays = {
        f"bidirectional/{name}/cell/vars/{i}": numbers(*shape)
        for name in ("forward_layer", "backward_layer")
        for i, shape in enumerate([(4, 9), (3, 9), (2, 9)])
    }
    for name in ("query", "key", "value"):
        arrays[f"multi_head_attention/{name}_dense/vars/0"] = numbers(6, 2, 5)
        arrays[f"multi_head_attention/{name}_dense/vars/1"] = numbers(2, 5)
    arrays["multi_head_attention/output_dense/vars/0"] = numbers(2, 5, 6)
    arrays["multi_head_attention/output_dense/vars/1"] = numbers(6)
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for place, values in arrays.items():
            file[f"layers/{place}"] = values
    return config, arrays, memory.getvalue()


def test_both_directions_and_attention(tmp_path):
    config, arrays, weights = block()
    model = fn.load_keras(keras_file(tmp_path / "m.keras", [], config=config, weights=weights))
    both, look = model.layers
    assert repr(look) == "MultiHeadAttention(2, 5, use_causal_mask=True)"
    for own, name in ((both.forward_layer, "forward_layer"), (both.backward_layer, "backward_layer")):
        parameters = own.weights, own.recurrent_weights, own.bias
        for i, values in enumerate(parameters):
            np.testing.assert_array_equal(values, arrays[f"bidirectional/{name}/cell/vars/{i}"])
    for i, name in enumerate(("query", "key", "value")):
        part, place = slice(10 * i, 10 * i + 10), f"multi_head_attention/{name}_dense/vars"
        np.testing.assert_array_equal(look.projection_weights[:, part], arrays[f"{place}/0"].reshape(6, 10))
        np.testing.assert_array_equal(look.projection_bias[part], arrays[f"{place}/1"].ravel())
    output = arrays["multi_head_attention/output_dense/vars/0"].reshape(10, 6)
    np.testing.assert_array_equal(look.output_weights, output)
    np.testing.assert_array_equal(look.output_bias, arrays["multi_head_attention/output_dense/vars/1"])

    layers = [
        fn.Bidirectional(fn.GRU(3, return_sequences=True)),
        fn.MultiHeadAttention(2, 5, use_causal_mask=True),
    ]
    other = fn.Model(layers, seed=1).build((6, 4))
    (tmp_path / "m.weights.h5").write_bytes(weights)
    fn.load_keras(tmp_path / "m.weights.h5", other)
    assert np.array_equal(other.parameters, model.parameters)

    config["config"]["layers"][1]["config"]["backward_layer"]["config"]["activation"] = "relu"
    with pytest.raises(ValueError, match="'both', Bidirectional: its backward_layer .* has other settings"):
        fn.load_keras(keras_file(tmp_path / "m.keras", [], config=config, weights=weights))


def test_attention_to_another_sequence_is_refused(tmp_path):
    config, _, weights = block()
    call = config["config"]["layers"][2]["inbound_nodes"][0]
    call["kwargs"]["attention_mask"] = [[1]]
    with pytest.raises(ValueError, match="'look', MultiHeadAttention: attention_mask of its call"):
        fn.load_keras(keras_file(tmp_path / "m.keras", [], config=config, weights=weights))
    del call["kwargs"]["attention_mask"]
    call["kwargs"]["value"] = {"config": {"keras_history": ["start", 0, 0]}}
    with pytest.raises(ValueError, match="'look' has queries of .* and values of another"):
        fn.load_keras(keras_file(tmp_path / "m.keras", [], config=config, weights=weights))


def test_weights_for_a_model(tmp_path):
    """Of files without an architecture, and of others; a model that does not fit is left as it was."""
    layers = [fn.Dense(5, "relu"), fn.Dense(5), fn.Activation("leaky_relu"), fn.Dense(2)]
    wanted = fn.load_keras(keras_file(tmp_path / "m.keras", CHAIN)).parameters
    for name, write in (("new", new_weights), ("old", old_weights)):
        (tmp_path / name).write_bytes(h5(write, CHAIN))
        model = fn.Model(layers, seed=0).build(4)
        assert fn.load_keras(tmp_path / name, model) is model
        assert np.array_equal(model.parameters, wanted)
        layers = [fn.Dense(5, "relu"), fn.Dense(5), fn.Activation("leaky_relu"), fn.Dense(2)]
        with pytest.raises(ValueError, match="weights only; build a model of the same layers"):
            fn.load_keras(tmp_path / name)
        with pytest.raises(ValueError, match="build the model first"):
            fn.load_keras(tmp_path / name, fn.Model([fn.Dense(5)]))
        other = fn.Model([fn.Dense(5), fn.Dense(5), fn.Dense(3)], seed=1).build(4)
        before = other.parameters.copy()
        with pytest.raises(ValueError, match=r"has shape \(5, 2\), not \(5, 3\)"):
            fn.load_keras(tmp_path / name, other)
        assert np.array_equal(other.parameters, before)
        with pytest.raises(ValueError, match="of 3 layers, the model has 1"):
            fn.load_keras(tmp_path / name, fn.Model([fn.Dense(5)]).build(4))
    assert np.array_equal(fn.load_keras(tmp_path / "m.keras", fn.Model(layers)).parameters, wanted)
    with pytest.raises(TypeError, match="model must be"):
        fn.load_keras(tmp_path / "m.keras", layers)


def test_images_and_sequences(tmp_path):
    variance = np.abs(numbers(3))
    layers = [
        entry("image", 6, 6, 2),
        layer(
            "Conv2D", "conv", numbers(3, 3, 2, 3), filters=3, kernel_size=[3, 3], strides=[1, 1], groups=1,
            padding="same", data_format="channels_last", dilation_rate=[1, 1], use_bias=False,
            activation={"module": "builtins", "class_name": "function", "config": "relu"},
        ),
        layer(
            "BatchNormalization", "norm", numbers(3), numbers(3), numbers(3), variance, axis=[3],
            momentum=0.9, epsilon=0.01, center=True, scale=True, synchronized=False,
        ),
        layer("Reshape", "rows", target_shape=[6, 18]),
        layer(
            "GRU", "steps", numbers(18, 12), numbers(4, 12), numbers(2, 12), units=4, activation="tanh",
            recurrent_activation="sigmoid", use_bias=True, return_sequences=False, return_state=False,
            go_backwards=False, stateful=False, unroll=False, reset_after=True, dropout=0.1,
        ),
        dense("end", 4, 1),
    ]  # fmt: skip
    for write in (keras_file, legacy_file):
        model = fn.load_keras(write(tmp_path / "m", layers))
        conv, norm, _, steps, end = model.layers
        found = [conv.weights, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance]
        found += [steps.weights, steps.recurrent_weights, steps.bias, end.weights, end.bias]
        for own, values in zip(found, [array for *_, arrays in layers for array in arrays], strict=True):
            assert np.array_equal(own, values)
        assert model.input_shape == (6, 6, 2) and (norm.epsilon, norm.momentum) == (0.01, 0.9)
        assert repr(conv) == "Conv2D(3, 3, padding='same', activation='relu', use_bias=False)"


def with_layer(*args, **settings):
    return [entry("start", 4), dense("a", 4, 5), layer(*args, **settings)]


REFUSED = {
    "code": (with_layer("Lambda", "own", function="x"), "its layer 'own', Lambda: layers of this class"),
    "other class": (with_layer("QDense", "own", units=3), "its layer 'own', QDense"),
    "setting": (with_layer("Dense", "own", units=3, magic=5), "'own', Dense: magic=5 is not known"),
    "activation": (with_layer("Activation", "own", activation="magic"), "'own', Activation: .*magic"),
    "absurd": (with_layer("Dense", "own", units="many"), "'own', Dense: units"),
    "axis": (
        with_layer("LayerNormalization", "own", axis=[2], epsilon=0.1),
        "'own', .*axis=2 is not the last",
    ),
    "shape": (with_layer("Reshape", "own", target_shape=[7]), "'own', Reshape: .*do not fit"),
    "lacks": (with_layer("Dense", "own", units=3), "of 1 layers, the model has 2"),
    "huge": (
        [entry("start", 1 << 40), layer("Flatten", "own")],
        r"samples of shape \(1099511627776,\) behind its layer 'start' are too large",
    ),
    "wide": ([entry("start", 4), layer("Dense", "own", numbers(4, 1), units=1 << 40)], "too large"),
    "many": ([entry("start", 4), layer("Dense", "own", numbers(4, 1), units=1 << 20)], "arrays in 'dense'"),
    "variable": ([entry("start", None, 3), dense("a", 3, 2)], "all sizes of a sample must be known"),
    "unknown size": ([dense("a", 4, 5)], "does not tell the size of its input"),
    "channels first": (
        [entry("start", 2, 6, 6), layer("Flatten", "own", data_format="channels_first")],
        "'own', Flatten: data_format='channels_first' is not supported",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_layers(name, tmp_path):
    layers, piece = REFUSED[name]
    with pytest.raises(ValueError, match=f"is not read: .*{piece}"):
        fn.load_keras(keras_file(tmp_path / "m", layers))


def connected(layers, sources, old=False):
    """The architecture of a functional model, in which layers take the outputs of others."""
    config = architecture(layers, "Functional")
    for each in config["config"]["layers"]:
        each["name"], own = each["config"]["name"], sources.get(each["config"]["name"], [])
        tensors = [
            {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in own
        ]
        new = [{"args": [tensors] if len(own) > 1 else tensors, "kwargs": {}}]
        each["inbound_nodes"] = ([[[name, 0, 0, {}] for name in own]] if old else new) if own else []
    return config


BRANCHES = [
    entry("start", 4),
    dense("first", 4, 5, "relu"),
    dense("a", 5, 5, "tanh"),
    layer("Add", "sum"),
    dense("b", 5, 2),
    layer("Concatenate", "both", axis=-1),
    dense("end", 7, 3),
]
SOURCES = {
    "first": ["start"],
    "a": ["first"],
    "sum": ["a", "first"],
    "b": ["sum"],
    "both": ["sum", "b"],
    "end": ["both"],
}


def saved(path, layers, config, write):
    if write is keras_file:
        return keras_file(path, layers, config=config)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        old_weights(file.create_group("model_weights"), layers)
    return path


@pytest.mark.parametrize("write", [keras_file, legacy_file])
def test_branches(write, tmp_path):
    config = connected(BRANCHES, SOURCES, old=write is legacy_file)
    model = fn.load_keras(saved(tmp_path / "m", BRANCHES, config, write), dtype="float64")
    assert repr(model.layers) == (
        "(Dense(5, 'relu'), Residual([Dense(5, 'tanh')]), Concatenate([None, [Dense(2)]]), Dense(3))"
    )
    first, a, b, end = (arrays for *_, arrays in BRANCHES if arrays)
    x = RNG.normal(size=(7, 4))
    h = np.maximum(x @ first[0] + first[1], 0)
    h = np.tanh(h @ a[0] + a[1]) + h
    h = np.hstack([h, h @ b[0] + b[1]])
    np.testing.assert_allclose(model.predict(x), h @ end[0] + end[1], rtol=1e-6)


@pytest.mark.parametrize("write", [keras_file, legacy_file])
def test_models_in_models(write, tmp_path):
    inside = [layer("BatchNormalization", "norm", *(numbers(5) ** 2 for _ in range(4)), epsilon=0.1, axis=-1)]
    inside += [dense("in", 5, 3, "tanh")]
    first, (normal, inner) = dense("first", 4, 5), (arrays for *_, arrays in inside)
    config = architecture([entry("start", 4), first])
    config["config"]["layers"].append(architecture([entry("own", 5), *inside]))
    if write is legacy_file:  # what is trained, then the statistics
        arrays = [*normal[:2], *inner, *normal[2:]]
        path = saved(
            tmp_path / "m", [entry("start", 4), first, layer("Model", "model", *arrays)], config, write
        )
    else:

        def weights(file, layers):
            new_weights(file, [first])
            new_weights(file.create_group("layers/sequential"), inside)

        path = keras_file(tmp_path / "m", [], config=config, weights=h5(weights, []))
    model = fn.load_keras(path, dtype="float64")
    assert repr(model.layers) == "(Dense(5), Sequential([BatchNormalization(epsilon=0.1), Dense(3, 'tanh')]))"
    x = RNG.normal(size=(7, 4))
    h = x @ first[2][0] + first[2][1]
    h = (h - normal[2]) / np.sqrt(normal[3] + 0.1) * normal[0] + normal[1]
    np.testing.assert_allclose(model.predict(x), np.tanh(h @ inner[0] + inner[1]), rtol=1e-6)


CONNECTIONS = {
    "two outputs": (
        {"b": ["first"], "end": ["sum"], "both": ["sum", "first"]},
        "it has 3 outputs .b, both, end",
    ),
    "two inputs": ({"a": []}, "its layer 'a' is a second input"),
    "crossed": ({"both": ["b", "a"]}, "its layer 'a' is part of several branches"),
    "itself": ({"a": ["b"]}, "its layer 'a' takes its own output"),
    "nowhere": ({"a": ["c"]}, "its layer 'a' takes the output of 'c', which it does not have"),
    "several": ({"b": ["sum", "first"]}, "its layer 'b', Dense: layers of this class that take .* 2 are not"),
    "sizes": ({"sum": ["start", "a"]}, "its layer 'sum', Add: .*4.*5"),
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_refused_connections(name, tmp_path):
    changed, piece = CONNECTIONS[name]
    config = connected(BRANCHES, SOURCES | changed)
    with pytest.raises(ValueError, match=f"is not read: .*{piece}"):
        fn.load_keras(keras_file(tmp_path / "m", BRANCHES, config=config))


def test_refused_graphs(tmp_path):
    config = connected(BRANCHES, SOURCES)
    config["config"]["layers"][2]["inbound_nodes"] *= 2
    with pytest.raises(ValueError, match="its layer 'a' is used 2 times; layers that share weights"):
        fn.load_keras(keras_file(tmp_path / "m", BRANCHES, config=config))
    config = connected(BRANCHES, SOURCES)
    config["config"]["layers"][3]["inbound_nodes"] = [{"args": [{}, 1.0], "kwargs": {}}]
    with pytest.raises(ValueError, match="its layer 'sum' takes what is no output of a layer"):
        fn.load_keras(keras_file(tmp_path / "m", BRANCHES, config=config))
    for config, piece in (
        ({"class_name": "Own", "config": {}}, "model of class 'Own'"),
        ({"class_name": "Sequential"}, "lacks 'config'"),
        ({"class_name": "Sequential", "config": {"layers": 3}}, "not subscriptable"),
        ([], "not that of a model"),
        ("{", "Expecting"),
        ("[" * 100_000, "recursion|Keras's"),
        (json.dumps({"a": " " * (5 << 20)}), "more than 4194304 bytes"),
    ):
        with pytest.raises(ValueError, match=piece):
            fn.load_keras(keras_file(tmp_path / "m", CHAIN, config=config))


def linked(change):
    """Weights with something else in place of the first array."""

    def write(file, layers):
        new_weights(file, layers)
        values = file["layers/dense/vars/0"][()]
        del file["layers/dense/vars/0"]
        change(file, values)

    return write


def external_file(file, values):
    file.create_dataset("layers/dense/vars/0", (4, 5), "f4", external=[("/etc/passwd", 0, 80)])


def external_link(file, values):
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file, values):
    file["elsewhere"] = values
    file["layers/dense/vars/0"] = h5py.SoftLink("/elsewhere")


def virtual(file, values):
    layout = h5py.VirtualLayout((4, 5), "f4")
    layout[:] = h5py.VirtualSource("/elsewhere.h5", "x", (4, 5))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


ARRAYS = {
    "external file": external_file,
    "external link": external_link,
    "soft link": soft_link,
    "virtual": virtual,
    "integers": lambda file, values: file.create_dataset("layers/dense/vars/0", data=np.ones((4, 5), int)),
    "text": lambda file, values: file.create_dataset("layers/dense/vars/0", data=b"text"),
    "not finite": lambda file, values: file.create_dataset("layers/dense/vars/0", data=values * np.nan),
    "a group": lambda file, values: file.create_group("layers/dense/vars/0"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_refused_arrays(name, tmp_path):
    keras_file(tmp_path / "m", CHAIN, weights=h5(linked(ARRAYS[name]), CHAIN))
    with pytest.raises(ValueError, match="is not read: .*layers/dense/vars/0"):
        fn.load_keras(tmp_path / "m")


def test_files_that_expand(tmp_path):
    """Neither a member of an archive nor an array may be far larger than the file."""
    with zipfile.ZipFile(tmp_path / "m", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps(architecture(CHAIN)))
        file.writestr("model.weights.h5", bytes(100 << 20))
    with pytest.raises(ValueError, match="model.weights.h5 has more than 67108864 bytes"):
        fn.load_keras(tmp_path / "m")
    rows = 1 << 13
    wide = [entry("start", rows), layer("Dense", "a", units=rows, use_bias=False, activation="linear")]
    with h5py.File(tmp_path / "w", "w") as file:  # no number of it was ever written
        file.create_dataset("layers/dense/vars/0", (rows, rows), "f4", chunks=(256, 256), compression="gzip")
    keras_file(tmp_path / "m", wide, weights=(tmp_path / "w").read_bytes())
    with pytest.raises(ValueError, match="arrays are far larger than the file"):
        fn.load_keras(tmp_path / "m")


def test_other_files(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        fn.load_keras(tmp_path / "nowhere")
    (tmp_path / "text").write_text("no model")
    with pytest.raises(ValueError, match="is text, not a model of Keras's"):
        fn.load_keras(tmp_path / "text")
    (tmp_path / "damaged").write_bytes(keras_file(tmp_path / "m", CHAIN).read_bytes()[:3000])
    (tmp_path / "short").write_bytes(h5(new_weights, CHAIN)[:700])
    for name in ("damaged", "short"):
        with pytest.raises(ValueError, match="not a file of Keras's, or damaged"):
            fn.load_keras(tmp_path / name, fn.Model([fn.Dense(2)]).build(3))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="the extra 'keras'"):
        fn.load_keras(tmp_path / "m")
