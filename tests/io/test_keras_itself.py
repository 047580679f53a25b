"""Beside Keras, where it is installed: files that it has written, and equal training of equal weights."""

import os

import numpy as np
import pytest

import fastnn as fn

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="Keras is no part of the development tools")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

RNG = np.random.default_rng(0)
SERIES, IMAGE, TABLE = (9, 4), (8, 9, 4), (6,)

#: Name: Keras's layers from its namespace, the shape of a sample.
NETWORKS = {
    "dense": (lambda k: [k.Dense(7, "tanh"), k.Dense(5, "gelu")], TABLE),
    "dense on the last axis": (lambda k: [k.Dense(7, "silu"), k.Dense(2, "elu")], SERIES),
    "activations": (
        lambda k: [k.Dense(8), k.LeakyReLU(0.1), k.Dense(8), k.ELU(0.5), k.Dense(4), k.Softmax()],
        TABLE,
    ),
    "conv1d": (lambda k: [k.Conv1D(5, 3, activation="relu"), k.Conv1D(3, 2, 2, "same")], SERIES),
    "causal": (lambda k: [k.Conv1D(5, 3, padding="causal", dilation_rate=2)], SERIES),
    "conv2d": (lambda k: [k.Conv2D(6, (3, 2), (2, 1), "same"), k.Conv2D(4, 2, activation="tanh")], IMAGE),
    "conv2d in groups": (lambda k: [k.Conv2D(6, 3, groups=2), k.Conv2D(3, 2, dilation_rate=2)], IMAGE),
    "conv2d_transpose": (lambda k: [k.Conv2DTranspose(3, 3, 2, "same"), k.Conv2DTranspose(2, 2)], IMAGE),
    "depthwise": (lambda k: [k.DepthwiseConv2D(3, padding="same", depth_multiplier=2)], IMAGE),
    "separable": (lambda k: [k.SeparableConv2D(5, 3, padding="same", activation="relu")], IMAGE),
    "max pooling": (lambda k: [k.MaxPooling2D((2, 3)), k.Conv2D(3, 2), k.GlobalMaxPooling2D()], IMAGE),
    "max pooling of the same size": (lambda k: [k.MaxPooling2D(3, 2, "same")], IMAGE),
    "average pooling": (lambda k: [k.AveragePooling2D(2), k.GlobalAveragePooling2D()], IMAGE),
    # Where more is padded behind than before, Keras on PyTorch, not on others, counts it in the mean.
    "average pooling of the same size": (lambda k: [k.AveragePooling2D(3, 2, "same")], (9, 7, 4)),
    "pooling of series": (
        lambda k: [k.MaxPooling1D(2, 1, "same"), k.AveragePooling1D(3), k.GlobalAveragePooling1D()],
        SERIES,
    ),
    "sizes": (
        lambda k: [k.ZeroPadding2D(((1, 0), (2, 1))), k.UpSampling2D((2, 3)), k.Conv2D(2, 3)],
        IMAGE,
    ),
    "bilinear": (lambda k: [k.UpSampling2D((2, 3), interpolation="bilinear"), k.Conv2D(2, 3)], IMAGE),
    "sizes of series": (lambda k: [k.ZeroPadding1D((2, 1)), k.UpSampling1D(3), k.Conv1D(2, 3)], SERIES),
    # Without a bias before it, whose gradient is 0 but for rounding, which Adam makes steps of.
    "batch normalization": (
        lambda k: [k.Dense(8, use_bias=False), k.BatchNormalization(momentum=0.8), k.Dense(4, "tanh")],
        TABLE,
    ),
    "batch normalization of channels": (
        lambda k: [
            k.Conv2D(4, 3, use_bias=False),
            k.BatchNormalization(epsilon=0.01, scale=False),
            k.Conv2D(2, 2),
        ],
        IMAGE,
    ),
    "layer normalization": (lambda k: [k.Dense(8), k.LayerNormalization(), k.Dense(4)], TABLE),
    "group normalization": (lambda k: [k.Conv2D(6, 2), k.GroupNormalization(3), k.Conv2D(2, 2)], IMAGE),
    "rms normalization": (lambda k: [k.Dense(8), k.RMSNormalization(epsilon=0.01), k.Dense(4)], TABLE),
    "cropping": (lambda k: [k.Cropping2D(((1, 0), (2, 1))), k.Conv2D(2, 3)], IMAGE),
    "cropping of series": (lambda k: [k.Cropping1D((0, 2)), k.Conv1D(2, 3)], SERIES),
    "embedding": (lambda k: [k.Embedding(7, 3), k.GRU(4)], (5,)),
    "masked sequences": (
        lambda k: [k.Masking(0.0), k.LSTM(4, return_sequences=True), k.GRU(3)],
        SERIES,
    ),
    "simple_rnn": (lambda k: [k.SimpleRNN(5, return_sequences=True), k.SimpleRNN(3)], SERIES),
    "gru": (lambda k: [k.GRU(5, return_sequences=True), k.GRU(3, go_backwards=True)], SERIES),
    "lstm": (lambda k: [k.LSTM(5, return_sequences=True, go_backwards=True), k.LSTM(3)], SERIES),
    "bidirectional": (
        lambda k: [
            k.Bidirectional(k.LSTM(5, return_sequences=True)),
            k.Bidirectional(k.GRU(3), merge_mode="sum"),
        ],
        SERIES,
    ),
    "masked in both directions": (
        lambda k: [
            k.Masking(0.0),
            k.Bidirectional(k.SimpleRNN(4, return_sequences=True)),
            k.Bidirectional(k.LSTM(3)),
        ],
        SERIES,
    ),
    "flatten": (lambda k: [k.Conv2D(3, 3), k.Flatten(), k.Dense(4, "softmax")], IMAGE),
    "reshape": (lambda k: [k.Dense(12), k.Reshape((3, 4)), k.GRU(2)], TABLE),
}


def made(name):
    """A model of Keras's with weights that are all drawn, and samples."""
    layers, shape = NETWORKS[name]
    model = keras.Sequential([keras.Input(shape), *layers(keras.layers)])
    for variable in model.weights:
        low = 0.3 if "variance" in variable.path else -0.5
        variable.assign(RNG.uniform(low, 0.8, variable.shape).astype("float32"))
    x = RNG.normal(size=(24, *shape)).astype("float32")
    if name.startswith("masked"):
        for i in range(24):
            x[i, 1 + i % shape[0] :] = 0
    if name == "embedding":
        x = RNG.integers(0, 7, x.shape).astype("float32")
    return model, x


@pytest.mark.parametrize("name", NETWORKS)
def test_files(name, tmp_path):
    theirs, x = made(name)
    expected = theirs.predict(x, verbose=0)
    theirs.save(tmp_path / "model.keras")
    ours = fn.load_keras(tmp_path / "model.keras")
    np.testing.assert_allclose(np.squeeze(ours.predict(x)), np.squeeze(expected), rtol=1e-4, atol=1e-5)
    theirs.save_weights(tmp_path / "model.weights.h5")
    other = fn.Model(fn.load_keras(tmp_path / "model.keras").layers, seed=1).build(ours.input_shape)
    fn.load_keras(tmp_path / "model.weights.h5", other)
    np.testing.assert_array_equal(other.predict(x), ours.predict(x))


OPTIMIZERS = {
    "sgd": (lambda k: k.SGD(0.05, momentum=0.9, nesterov=True), lambda: fn.SGD(0.05, 0.9, nesterov=True)),
    "adam": (lambda k: k.Adam(0.01, epsilon=1e-12), lambda: fn.Adam(0.01, epsilon=1e-12)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_training(name, optimizer, tmp_path):
    """Gradients of the weights and of the inputs, and running statistics, over several steps."""
    theirs, x = made(name)
    target = RNG.normal(size=theirs.predict(x, verbose=0).shape).astype("float32")
    theirs.save(tmp_path / "model.keras")
    of_theirs, of_ours = OPTIMIZERS[optimizer]
    theirs.compile(optimizer=of_theirs(keras.optimizers), loss="mse")
    ours = fn.load_keras(tmp_path / "model.keras", loss="mse", optimizer=of_ours())
    for _ in range(3):
        theirs.fit(x, target, epochs=1, batch_size=8, shuffle=False, verbose=0)
        ours.fit(x, target, epochs=1, batch_size=8, shuffle=False, verbose=0)
    expected = theirs.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x).reshape(expected.shape), expected, rtol=2e-3, atol=2e-4)


def test_attention():
    """Queries, keys and values of one sequence."""
    inputs = keras.Input(SERIES)
    attention = keras.layers.MultiHeadAttention(2, 3)
    theirs = keras.Model(inputs, attention(inputs, inputs, use_causal_mask=True))
    ours = fn.Model([fn.MultiHeadAttention(2, 3, use_causal_mask=True)], "mse").build(SERIES)
    query, query_bias, key, key_bias, value, value_bias, output, output_bias = (
        RNG.normal(size=each.shape).astype("float32") for each in attention.get_weights()
    )
    attention.set_weights([query, query_bias, key, key_bias, value, value_bias, output, output_bias])
    joined = np.concatenate([each.reshape(SERIES[1], -1) for each in (query, key, value)], axis=1)
    biases = np.concatenate([each.ravel() for each in (query_bias, key_bias, value_bias)])
    layer = ours.layers[0]
    layer.set_parameter("projection_weights", joined)
    layer.set_parameter("projection_bias", biases)
    layer.set_parameter("output_weights", output.reshape(-1, SERIES[1]))
    layer.set_parameter("output_bias", output_bias)
    x = RNG.normal(size=(5, *SERIES)).astype("float32")
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def transformer(k, by_name):
    """A block, with a recurrent layer in both directions before it."""
    x = start = keras.Input(SERIES)
    x = k.Bidirectional(k.GRU(3, return_sequences=True))(x)
    y = k.LayerNormalization()(x)
    attention = k.MultiHeadAttention(2, 5, value_dim=4)
    y = attention(y, value=y, use_causal_mask=True) if by_name else attention(y, y, y)
    x = k.Add()([x, y])
    return keras.Model(start, k.MultiHeadAttention(3, 2, use_bias=False)(x, x))


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("by_name", [False, True])
def test_files_of_transformers(ending, by_name, tmp_path):
    theirs, x = transformer(keras.layers, by_name), RNG.normal(size=(8, *SERIES)).astype("float32")
    for variable in theirs.weights:
        variable.assign(RNG.uniform(-0.5, 0.8, variable.shape).astype("float32"))
    theirs.save(tmp_path / f"model.{ending}")
    ours = fn.load_keras(tmp_path / f"model.{ending}")
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    kinds = [type(layer).__name__ for layer in ours.layers]
    assert kinds == ["Bidirectional", "Residual", "MultiHeadAttention"]


def test_other_attention_is_refused(tmp_path):
    def saved(make):
        inputs = keras.Input(SERIES)
        keras.Model(inputs, make(keras.layers, inputs)).save(tmp_path / "m.keras")
        return tmp_path / "m.keras"

    attention = keras.layers.MultiHeadAttention(2, 3, name="looks")
    with pytest.raises(ValueError, match="'looks' has queries of .* and values of another"):
        fn.load_keras(saved(lambda k, x: attention(x, k.Dense(4)(x))))
    with pytest.raises(ValueError, match=r"output_shape=\[5\] is not known"):
        fn.load_keras(saved(lambda k, x: k.MultiHeadAttention(2, 3, output_shape=5)(x, x)))
    other = keras.layers.Bidirectional(
        keras.layers.GRU(3), backward_layer=keras.layers.GRU(3, activation="relu", go_backwards=True)
    )
    with pytest.raises(ValueError, match="backward_layer GRU.* has other settings"):
        fn.load_keras(saved(lambda k, x: other(x)))
    with pytest.raises(ValueError, match="merge_mode must be"):
        fn.load_keras(saved(lambda k, x: k.Bidirectional(k.GRU(3), merge_mode="mul")(x)))


def functional(k):
    """Branches, sums by an operator, and models within a model."""
    x = start = keras.Input((6, 7, 3))
    x = k.Conv2D(4, 3, padding="same")(x)
    y = k.BatchNormalization()(x)
    x = k.Add()([k.Conv2D(4, 3, padding="same", activation="relu")(y), x])
    x = k.Concatenate()([k.MaxPooling2D(2)(x), k.AveragePooling2D(2)(x)])
    x = k.GlobalAveragePooling2D()(x)
    x = k.Dense(5, "tanh")(x) + k.Dense(5)(x)
    x = keras.Sequential([keras.Input((5,)), k.Dense(4), k.BatchNormalization()])(x)
    inside = keras.Input((4,))
    return keras.Model(start, keras.Model(inside, k.Add()([k.Dense(4, "elu")(inside), inside]))(x))


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_functional_files(ending, tmp_path):
    theirs, x = functional(keras.layers), RNG.normal(size=(8, 6, 7, 3)).astype("float32")
    for variable in theirs.weights:
        low = 0.3 if "variance" in variable.path else -0.5
        variable.assign(RNG.uniform(low, 0.8, variable.shape).astype("float32"))
    theirs.save(tmp_path / f"model.{ending}")
    ours = fn.load_keras(tmp_path / f"model.{ending}")
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    kinds = [type(layer).__name__ for layer in ours.layers]
    assert kinds == "Conv2D Residual Concatenate GlobalAveragePooling2D Add Sequential Sequential".split()
