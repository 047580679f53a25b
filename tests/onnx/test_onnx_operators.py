"""Operators of ONNX graphs that become layers, or parts of them, as ONNX Runtime computes them."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import fastnn as fn
from tests.helpers.onnx_models import channels_first, samples, session
from tests.helpers.onnx_operators import CASES, CONSTANTS, HEAD, RNG, ROW, numbers
from tests.helpers.tolerances import PRODUCT


def written(path, inputs, body, opset=20):
    proto = onnx.parser.parse_model(HEAD.format(opset=opset, inputs=inputs, body=body))
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in CONSTANTS.items())
    onnx.save(proto, path)


def compared(path, n_in=None, rows=4):
    """The model of a graph, after a look at what it gives for large and small numbers."""
    model, running = fn.onnx.load(path), session(path)
    [end] = running.get_inputs()
    shape = [rows if size == "batch" else n_in if size == "n" else size for size in end.shape]
    for scale in (1, 10):
        x = (scale * RNG.normal(size=shape)).astype(np.float32)
        [y, *_] = running.run(["y"], {"x": x})
        given = channels_first(model.predict(samples(x, model)), y)
        np.testing.assert_allclose(given, np.reshape(y, given.shape), rtol=2e-5, atol=2e-5 * scale)
    return model


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_operators(case, tmp_path):
    inputs, body, *n_in = case
    written(tmp_path / "m.onnx", inputs, body)
    compared(tmp_path / "m.onnx", *n_in)


CHOSEN = {
    "factors behind an activation": ["Dense(2, 'relu')", "Dense(2)"],
    "and before the next layer": ["Dense(2, 'relu')", "Dense(4)"],
    "factors of both signs": ["Standardize()", "Dense(3, 'tanh')"],
    "normalization behind an activation": ["Dense(3, 'relu')", "Dense(2)"],
    "clip and a factor": ["Dense(2, 'hard_tanh')", "Dense(4)"],
    "clipped data": ["Standardize()", "Activation('hard_tanh')", "Standardize()", "Dense(2)"],
    "weights on the left": ["Dense(2, 'relu')", "Dense(3)"],
    "part of a layer": ["Dense(1)"],
    "parts joined": ["Standardize()", "Select([1, 2, 0])"],
    "residual": ["Residual([Activation('relu')])"],
    "branches behind a product": [
        "Dense(2)",
        "Add([[Activation('relu')], [Activation('tanh')]])",
        "Dense(4)",
    ],
    "branches of other scales": [
        "Concatenate([[Dense(3, 'relu')], [Dense(3, 'tanh')]])",
    ],
    "residual in a row of residuals": [
        "Residual([Activation('relu')])",
        "Residual([Activation('tanh')])",
    ],
    "layer normalization written out": ["LayerNormalization(epsilon=1.0)"],
    "two heads of one trunk": ["Dense(2, 'tanh')", "Dense(6)"],
    "one tensor joined": ["Dense(2)"],
    "sum of two products": ["Dense(2)"],
    "padded by nothing": ["Activation('relu')"],
    "convolutions": [
        "Conv2D(4, 3, padding='same', activation='relu')",
        "Conv2D(3, (2, 3), strides=2, padding='same', activation='tanh')",
        "Flatten()",
        "Dense(2)",
    ],
    "largest of windows": [
        "MaxPooling2D(2, strides=(1, 2))",
        "Conv2D(4, 3, padding='same', activation='relu')",
        "ZeroPadding2D(1)",
        "MaxPooling2D(3, strides=2)",
    ],
    "means of windows": ["AveragePooling2D(2, padding='same')", "Flatten()", "Dense(2)"],
    "mean of each channel": ["Conv2D(4, 3)", "GlobalAveragePooling2D()", "Dense(2)"],
    "interpolated images": ["UpSampling2D((2, 3), interpolation='bilinear')", "Conv2D(4, 3)"],
    "larger images": ["Conv2D(4, 3)", "UpSampling2D((2, 3))", "Activation('tanh')"],
    "padded in another way": ["ZeroPadding2D(((2, 0), 1))", "Conv2D(4, 3, strides=2)"],
    "normalized images": ["Conv2D(4, 3, activation='relu')", "BatchNormalization(epsilon=0.1)"],
    "states of a simple network": ["SimpleRNN(2, activation='relu', return_sequences=True)"],
    "last state": ["GRU(2)", "Dense(4)"],
    "convolution of channels last": ["Conv2D(4, 3, activation='relu')"],
    "normalized convolution": ["Conv2D(4, 3, activation='relu')"],
    "depthwise convolution": ["DepthwiseConv2D(3, depth_multiplier=2)"],
    "convolution of a series": ["Conv1D(6, 3, padding='causal', dilation_rate=2, groups=2)"],
    "transposed convolution": ["Conv2DTranspose(3, 4, strides=2, padding='same', activation='relu')"],
    "states of both directions": ["Bidirectional(GRU(2, return_sequences=True))"],
    "last states of both directions": ["Bidirectional(LSTM(2))", "Dense(2)"],
    "times before samples": ["SimpleRNN(2)"],
    "attention of two heads": ["MultiHeadAttention(2, 2)"],
    "attention to the past": ["MultiHeadAttention(2, 2, use_causal_mask=True)"],
    "attention of samples and heads": ["MultiHeadAttention(2, 2)"],
    "attention without projections": ["MultiHeadAttention(1, 4)"],
    "dense layer over times and samples": ["Dense(2, 'relu')"],
    "root mean square": ["RMSNormalization(epsilon=1.0)"],
    "groups of channels": ["Conv2D(4, 3)", "GroupNormalization(groups=2, epsilon=1e-05)"],
    "each channel": ["Conv2D(4, 3)", "GroupNormalization(groups=-1, epsilon=0.1)"],
    "borders cut off and added": [
        "Conv2D(4, 3)",
        "Cropping2D(((1, 0), (0, 1)))",
        "ZeroPadding2D(((0, 1), 0))",
        "Activation('relu')",
    ],
    "a part of images": ["Conv2D(4, 3, activation='relu')", "Cropping2D(((1, 0), 0))"],
    "residual of images": ["Residual([Conv2D(2, 3, padding='same', activation='relu')])", "Conv2D(4, 3)"],
    "channels joined": [
        "Concatenate([[Conv2D(4, 3, padding='same', activation='relu')], None])",
        "Activation('tanh')",
    ],
    "softmax over channels": ["Conv2D(4, 3, activation='softmax')"],
    "scaled channels": ["Standardize()", "Conv2D(4, 3)"],
}


@pytest.mark.parametrize("name", CHOSEN)
def test_layers_that_they_become(name, tmp_path):
    written(tmp_path / "m.onnx", *CASES[name][:2])
    layers = fn.onnx.load(tmp_path / "m.onnx").layers
    assert [repr(layer).replace(", use_bias=False", "") for layer in layers] == CHOSEN[name]


OLD = {
    "numbers from an axis on": (6, "m = Add<broadcast = 1, axis = 1>(x, c) y = Relu(m)"),
    "weights and bias": (6, "m = Gemm<broadcast = 1>(x, W, b) y = Tanh(m)"),
    "dropout and normalization": (
        6,
        "d = Dropout<is_test = 1>(x) y = BatchNormalization<is_test = 1>(d, c, b3, b3, positive)",
    ),
    "attributes that are inputs today": (
        9,
        "a = Clip<min = -0.5, max = 0.7>(x) u = Unsqueeze<axes = [1]>(a) s = Squeeze<axes = [1]>(u) "
        "p, q = Split<axis = 1, split = [1, 2]>(s) y = Slice<axes = [1], starts = [1], ends = [2]>(q)",
    ),
    "softmax of all axes from one on": (9, "u = Unsqueeze<axes = [2]>(x) y = Softmax<axis = 1>(u)"),
}


@pytest.mark.parametrize(("opset", "body"), OLD.values(), ids=OLD)
def test_old_versions(opset, body, tmp_path):
    """Against onnx's own evaluator where ONNX Runtime knows the operator no more."""
    written(tmp_path / "m.onnx", ROW, body, opset)
    x = numbers(4, 3)
    given = fn.onnx.load(tmp_path / "m.onnx").predict(x)
    wanted = {
        "numbers from an axis on": lambda: np.maximum(x + CONSTANTS["c"], 0),
        "weights and bias": lambda: np.tanh(x @ CONSTANTS["W"] + CONSTANTS["b"]),
    }
    name = next(key for key, case in OLD.items() if case[1] == body)
    if name in wanted:
        y = wanted[name]()
    elif opset < 7:
        b3 = CONSTANTS["b3"]
        y = (x - b3) / np.sqrt(CONSTANTS["positive"] + 1e-5) * CONSTANTS["c"] + b3
    else:
        [y] = session(tmp_path / "m.onnx").run(["y"], {"x": x})
    np.testing.assert_allclose(given, np.reshape(y, given.shape), rtol=2e-5, atol=1e-5)


CLASSES = {
    "two, opposite": ([1.0, -2.0, 0.5], "LOGISTIC", "softmax"),
    "softmax": (None, "SOFTMAX", "softmax"),
    "each by itself": (None, "LOGISTIC", "sigmoid"),
    "scores": (None, "NONE", None),
}


@pytest.mark.parametrize(("opposite", "post", "activation"), CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("normalized", [False, True])
def test_linear_classifiers(opposite, post, activation, normalized, tmp_path):
    weights = [-1 * w for w in opposite] + opposite if opposite else numbers(9).tolist()
    bias = [-0.5, 0.5] if opposite else numbers(3).tolist()
    labels = list(range(len(bias)))
    name = "p" if normalized else "y"
    body = (
        f"label, {name} = ai.onnx.ml.LinearClassifier<coefficients = {weights}, intercepts = {bias}, "
        f'classlabels_ints = {labels}, post_transform = "{post}">(x)'
    )
    body += ' y = ai.onnx.ml.Normalizer<norm = "L1">(p)' if normalized else ""
    written(tmp_path / "m.onnx", ROW, body)
    if normalized and activation != "softmax":
        with pytest.raises(ValueError, match="Normalizer"):
            fn.onnx.load(tmp_path / "m.onnx")
        return
    [layer] = compared(tmp_path / "m.onnx").layers
    assert (layer.activation and layer.activation.name) == activation


def test_several_inputs_are_columns_side_by_side(tmp_path):
    """In the order of the graph, as those of a game's observations; fixed numbers of samples, too."""
    for batch in ("batch", 4):
        body = "a = Sub(z, c) j = Concat<axis = 1>(a, x) m = MatMul(j, W6) y = Tanh(m)"
        written(tmp_path / "m.onnx", f"float[{batch}, 3] x, float[{batch}, 3] z", body)
        model = fn.onnx.load(tmp_path / "m.onnx")
        x, z = numbers(4, 3), numbers(4, 3)
        [y] = session(tmp_path / "m.onnx").run(["y"], {"x": x, "z": z})
        np.testing.assert_allclose(model.predict(np.hstack([x, z])), y, rtol=2e-5, atol=1e-5)
        assert [type(layer) for layer in model.layers] == [fn.Standardize, fn.Dense]


def test_weights_keep_their_bits(tmp_path):
    written(
        tmp_path / "m.onnx", ROW, "m = MatMul(x, W) a = Add(m, b) r = Relu(a) n = MatMul(r, V) y = Add(n, b4)"
    )
    first, second = fn.onnx.load(tmp_path / "m.onnx").layers
    assert np.array_equal(first.weights, CONSTANTS["W"]) and np.array_equal(first.bias, CONSTANTS["b"])
    assert np.array_equal(second.weights, CONSTANTS["V"]) and np.array_equal(second.bias, CONSTANTS["b4"])


def test_shifted_data_keep_their_digits(tmp_path):
    """Columns far from 0 are shifted by a layer before the product, also if some of them are left out."""
    body = "s = Gather<axis = 1>(x, order2) a = Sub(s, far) d = Mul(a, back) y = MatMul(d, square)"
    CONSTANTS["order2"], CONSTANTS["far"] = np.array([2, 0]), np.array([1e6, 3e6], np.float32)
    CONSTANTS["back"] = np.array([-0.5, 2], np.float32)
    written(tmp_path / "m.onnx", ROW, body)
    x = np.array([[3e6 + 1, 0, 1e6 - 2], [3e6, 7, 1e6]], np.float32)
    [y] = session(tmp_path / "m.onnx").run(["y"], {"x": x})
    np.testing.assert_allclose(fn.onnx.load(tmp_path / "m.onnx").predict(x), y, **PRODUCT["float32"])


OUTPUTS = {
    "passed through": ("y = Relu(x) z = Identity(x)", "float[] y, float[] z"),
    "constant": ("y = Relu(x) z = Identity(c)", "float[] y, float[] z"),
    "computed from constants": ("y = Relu(x) s = Sqrt(c) z = Neg(s)", "float[] y, float[] z"),
    "at random": (
        "y = Relu(x) n = RandomNormalLike(x) m = Add(n, x) z = Relu(m)",
        "float[] z, float[] y",
    ),
    "of integers": ("y = Relu(x) z = ArgMax(y)", "int64[] z, float[] y"),
}


@pytest.mark.parametrize(("body", "outputs"), OUTPUTS.values(), ids=OUTPUTS)
def test_outputs_that_a_model_is_not_for(body, outputs, tmp_path):
    text = HEAD.format(opset=20, inputs=ROW, body=body).replace("float[] y", outputs)
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(numpy_helper.from_array(CONSTANTS["c"], "c"))
    assert fn.onnx.load(proto).predict([[-1, 0, 2]]).tolist() == [[0, 0, 2]]


def test_sources(tmp_path):
    written(tmp_path / "m.onnx", ROW, "y = Relu(x)")
    content = (tmp_path / "m.onnx").read_bytes()
    proto = onnx.load(tmp_path / "m.onnx")
    for source in (str(tmp_path / "m.onnx"), tmp_path / "m.onnx", content, bytearray(content), proto):
        assert fn.onnx.load(source).predict([[-1, 0, 2]]).tolist() == [[0, 0, 2]]
    with pytest.raises(TypeError, match="source must be a path, bytes or an onnx.ModelProto, got 3"):
        fn.onnx.load(3)
    with pytest.raises(ValueError, match="the model is not an ONNX file"):
        fn.onnx.load(b"\x08\x00")


def test_weights_in_nodes_of_any_size(tmp_path):
    """Constants among the nodes are weights, not structure; others are not read at all."""
    wide = numbers(600, 700)
    node = onnx.helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(wide))
    product = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, ["batch", n]) for name, n in (("x", 600), ("y", 700))]
    graph = onnx.helper.make_graph([node, product], "g", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]), tmp_path / "m")
    assert (tmp_path / "m").stat().st_size > 1 << 20
    assert np.array_equal(fn.onnx.load(tmp_path / "m").layers[0].weights, wide)
    node.attribute[0].t.name = "n" * (1 << 21)
    graph = onnx.helper.make_graph([node, product], "g", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "m")
    with pytest.raises(ValueError, match="are not weights"):
        fn.onnx.load(tmp_path / "m")
