"""Operators of ONNX graphs that become layers, or parts of them, as ONNX Runtime computes them."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import fastnn as fn
from tests.helpers.tolerances import PRODUCT
from tests.onnx.test_onnx_export import session

RNG = np.random.default_rng(0)
HEAD = '<ir_version: 8, opset_import: ["" : {opset}, "ai.onnx.ml" : 1]>\n'
HEAD += "g ({inputs}) => (float[] y) {{ {body} }}"


def numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


CONSTANTS = {
    "W": numbers(3, 2),
    "V": numbers(2, 4),
    "T": numbers(2, 3),
    "T2": numbers(3, 2),
    "U": numbers(3, 3),
    "b": numbers(2),
    "b3": numbers(3),
    "b4": numbers(4),
    "c": np.array([1, 2, 3], np.float32),
    "signs": np.array([1, -2, 0.5], np.float32),
    "some": np.array([1, 0, 2], np.float32),
    "column": numbers(2, 1),
    "square": numbers(2, 2),
    "positive": np.array([0.5, 1, 2], np.float32),
    "zero": np.array(0, np.float32),
    "one": np.array(1, np.float32),
    "six": np.array(6, np.float32),
    "low": np.array(-0.5, np.float32),
    "high": np.array(0.7, np.float32),
    "slope": np.array(-0.25, np.float32),
    "whole": np.array([[1, 2, 3]]),
    "zeros": np.zeros(4, np.int64),
    "first": np.array([0]),
    "last": np.array([-1]),
    "second": np.array([1]),
    "two": np.array([2]),
    "end": np.array([2**62]),
    "three": np.array([3]),
    "order": np.array([2, 0, 0]),
    "place": np.array(1),
    "flat": np.array([-1, 6]),
    "rows": np.array([-1, 1]),
    "none": np.array([-1]),
    "parts": np.array([1, 2]),
    "deep": np.array([0, 1, 3]),
}
ROW, IMAGE, SINGLE = "float[batch, 3] x", "float[batch, 2, 3] x", "float[3] x"
CASES = {
    # a factor, a shift or both, wherever they stand
    "factors behind an activation": (ROW, "m = MatMul(x, W) r = Relu(m) s = Mul(r, b) y = Add(s, b)"),
    "and before the next layer": (ROW, "m = MatMul(x, W) r = Relu(m) s = Div(r, b) y = MatMul(s, V)"),
    "subtracted from a constant": (ROW, "a = Sub(c, x) y = MatMul(a, W)"),
    "factors of both signs": (ROW, "a = Sub(x, c) d = Mul(a, signs) y = Tanh(d)"),
    "a factor of zero": (ROW, "a = Mul(x, some) y = MatMul(a, W)"),
    "negated": (ROW, "a = Neg(x) r = Relu(a) y = Neg(r)"),
    "converted constants": (ROW, "f = Cast<to = 1>(whole) a = Add(x, f) y = Relu(a)"),
    "computed constants": (ROW, "s = Sqrt(positive) t = Add(s, one) y = Div(x, t)"),
    "a constant of more rows": (SINGLE, "a = Add(x, whole1) y = Relu(a)"),
    "a number for each of several": ("float[batch, 1] x", "y = Add(x, b)"),
    "normalization": (ROW, "m = MatMul(x, U) y = BatchNormalization(m, c, b3, b3, positive)"),
    "normalization behind an activation": (
        ROW,
        "m = MatMul(x, U) r = Relu(m) n = BatchNormalization<epsilon = 0.1>(r, c, b3, b3, positive) "
        "y = MatMul(n, W)",
    ),
    "normalization of channels": (
        "float[batch, 3, 2, 2] x",
        "y = BatchNormalization(x, signs, b3, b3, positive)",
    ),
    # limits
    "clip": (ROW, "m = MatMul(x, W) y = Clip(m, low, high)"),
    "clip and a factor": (ROW, "m = MatMul(x, W) r = Clip(m, low, high) s = Div(r, six) y = MatMul(s, V)"),
    "clipped data": (ROW, "a = Sub(x, c) d = Div(a, c) e = Clip(d, low, high) y = MatMul(e, W)"),
    "relu6": (ROW, "y = Clip(x, zero, six)"),
    "clip below": (ROW, "m = MatMul(x, W) y = Clip(m, low)"),
    "clip above": (ROW, "m = MatMul(x, W) y = Clip(m, , high)"),
    "clip by nothing": (ROW, "y = Clip(x)"),
    "larger and smaller": (ROW, "a = Max(x, low) y = Min(high, a)"),
    "hard sigmoid": (ROW, "y = HardSigmoid<alpha = 0.3, beta = 0.4>(x)"),
    "celu": (ROW, "y = Celu<alpha = 1.7>(x)"),
    "one slope, below zero": (ROW, "m = MatMul(x, W) y = PRelu(m, slope)"),
    # products
    "weights on the left": (SINGLE, "m = MatMul(T, x) a = Add(m, b) r = Relu(a) y = MatMul(T2, r)"),
    "weights on the left of a column": ("float[3, 1] x", "m = MatMul(T, x) y = Add(m, column)"),
    "weights on the left of columns": ("float[3, 2] x", "y = MatMul(T, x)"),
    "weights first, both transposed": ("float[3, 1] x", "y = Gemm<transA = 1>(W, x)"),
    "transposed input": ("float[3, 1] x", "y = Gemm<transA = 1>(x, W, b)"),
    "one row": (SINGLE, "m = MatMul(x, W) y = Softmax<axis = 0>(m)"),
    "one row of unknown size": ("float[n] x", "m = MatMul(x, W) y = Add(m, b)", 3),
    "unknown size behind an activation": ("float[batch, n] x", "r = Relu(x) y = MatMul(r, W)", 3),
    "unknown size of a column": ("float[n] x", "y = MatMul(T, x)", 3),
    "a middle axis": ("float[batch, 1, 3] x", "m = MatMul(x, W) a = Add(m, b) y = Relu(a)"),
    "two of a middle axis": (IMAGE, "m = MatMul(x, W) a = Add(m, b) y = Relu(a)"),
    "sum of two products": (ROW, "m = Gemm(x, W, b) n = MatMul(x, W) y = Add(m, n)"),
    "difference of two products": (ROW, "m = Gemm(x, W, b) n = MatMul(x, T3) y = Sub(m, n)"),
    "two heads of one trunk": (
        ROW,
        "m = MatMul(x, W) r = Tanh(m) p = MatMul(r, square) q = MatMul(r, V) y = Concat<axis = -1>(p, q)",
    ),
    # places
    "one tensor joined": (ROW, "a = Concat<axis = 1>(x) y = MatMul(a, W)"),
    "parts joined": (ROW, "p, q = Split<axis = 1>(x, parts) s = Mul(q, six) y = Concat<axis = 1>(s, p)"),
    "part of a layer": (ROW, "m = Gemm(x, W, b) p, y = Split<axis = 1, num_outputs = 2>(m)"),
    "parts of one activation": (
        ROW,
        "p, q = Split<axis = 1>(x, parts) r = Relu(p) s = Relu(q) y = Concat<axis = 1>(s, r)",
    ),
    "slice": (ROW, "a = Slice(x, second, end, second) y = Tanh(a)"),
    "slice backwards": (ROW, "y = Slice(x, last, min, second, last)"),
    "columns chosen": (ROW, "y = Gather<axis = 1>(x, order)"),
    "one column chosen": (ROW, "y = Gather<axis = 1>(x, place)"),
    "transposed images": (IMAGE, "t = Transpose<perm = [0, 2, 1]>(x) f = Reshape(t, flat) y = MatMul(f, W6)"),
    "there and back": (ROW, "t = Transpose(x) r = Relu(t) y = Transpose(r)"),
    "axes added and taken away": (
        ROW,
        "u = Unsqueeze(x, two) n = BatchNormalization(u, c, b3, b3, positive) "
        "s = Squeeze(n, two) y = Relu(s)",
    ),
    "padded by nothing": (ROW, "p = Pad(x, zeros) y = Relu(p)"),
    "reshaped and back": (IMAGE, "a = Reshape(x, flat) s = Shape(x) r = Relu(a) y = Reshape(r, s)"),
    "Keras' dense layer over a middle axis": (
        "float[5, 1, 3] x",
        "s = Shape(x) i = Cast<to = 6>(s) g = Gather<axis = 0>(i, free) n = Concat<axis = 0>(g, n2) "
        "t = Cast<to = 7>(n) f = Reshape(x, flat3) m = MatMul(f, W) r = Reshape(m, t) y = Add(r, b)",
    ),
    "one column of several": (ROW, "m = Gemm(x, W, b) y = Reshape(m, rows)"),
    "all of a fixed size": ("float[1, 2, 3] x", "f = Flatten<axis = 0>(x) y = MatMul(f, W6)"),
    "samples that are columns": ("float[2, 3] x", "s = Softmax<axis = 1>(x) y = Relu(x)"),
    "padded": ("float[batch, 2, 3] x", "y = Pad(x, around, half)"),
    "padded by zeros, behind a layer": (ROW, "m = MatMul(x, W) p = Pad(m, behind) y = Relu(p)"),
    "repeated": ("float[batch, 1, 3] x", "e = Expand(x, wide) t = Tile(e, twice) y = Relu(t)"),
    "repeated as ones of a shape": ("float[batch, 1, 3] x", "o = ConstantOfShape(wide) y = Add(x, o)"),
    "above the diagonal": ("float[batch, 3, 3] x", "y = Trilu(x)"),
    "below the diagonal": (IMAGE, "y = Trilu<upper = 0>(x, place)"),
    # sums
    "sums": (IMAGE, "s = ReduceSum<keepdims = 0>(x, two) y = MatMul(s, V)"),
    "means": ("float[batch, 2, 3, 2] x", "m = ReduceMean(x, ends) y = Relu(m)"),
    "means behind a layer": (IMAGE, "m = MatMul(x, W) r = Relu(m) y = ReduceMean<keepdims = 0>(r, second)"),
    "absolute values": (ROW, "m = MatMul(x, W) a = Abs(m) y = MatMul(a, V)"),
    "sums of absolute values": (IMAGE, "y = ReduceL1(x, second)"),
    "moving means": (
        "float[batch, 2, 5] x",
        "y = AveragePool<kernel_shape = [3], strides = [2], pads = [1, 1]>(x)",
    ),
    "moving means with zeros around": (
        "float[batch, 2, 5, 4] x",
        "y = AveragePool<kernel_shape = [3, 2], pads = [1, 0, 1, 1], count_include_pad = 1>(x)",
    ),
    "means of channels": ("float[batch, 2, 3, 2] x", "g = GlobalAveragePool(x) y = Flatten(g)"),
    "a kernel as large as the image": ("float[batch, 1, 2, 3] x", "k = Conv(x, kernel, b4) y = Relu(k)"),
    "a small convolution": (
        "float[batch, 1, 4, 5] x",
        "k = Conv<pads = [1, 0, 0, 2], strides = [1, 2]>(x, kernel, b4) r = Relu(k) y = Flatten(r)",
    ),
    "a convolution of groups, with gaps": (
        "float[batch, 4, 7] x",
        "y = Conv<group = 2, dilations = [2], pads = [1, 2]>(x, grouped)",
    ),
    # branches that are none
    "a linear branch": (ROW, "m = Gemm(x, W, b) n = MatMul(m, T) y = Add(n, x)"),
    "linear branches side by side": (
        ROW,
        "m = Gemm(x, W, b) n = MatMul(m, square) o = Mul(n, b) y = Concat<axis = 1>(o, x, m)",
    ),
    # scikit-learn's converter
    "linear regression": (
        ROW,
        "y = ai.onnx.ml.LinearRegressor<coefficients = [1.0, -2.0, 3.0, 0.5, 0.5, 1.0], "
        "intercepts = [1.0, -1.0], targets = 2>(x)",
    ),
}
CONSTANTS |= {
    "around": np.array([0, 0, 2, 0, 1, 0]),
    "behind": np.array([0, 0, 0, 2]),
    "half": np.array(0.5, np.float32),
    "wide": np.array([1, 4, 1]),
    "twice": np.array([1, 1, 2]),
    "ends": np.array([1, -1]),
    "kernel": numbers(4, 1, 2, 3),
    "grouped": numbers(6, 2, 3),
    "whole1": np.ones((1, 3), np.float32),
    "T3": numbers(3, 2),
    "W6": numbers(6, 2),
    "min": np.array([-(2**62)]),
    "free": np.array([0, 1], np.int32),
    "n2": np.array([2], np.int32),
    "flat3": np.array([5, 3]),
}


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
        given = model.predict(x.reshape(-1, model.n_in))
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
    "parts joined": ["Standardize()", "Dense(3)"],
    "two heads of one trunk": ["Dense(2, 'tanh')", "Dense(6)"],
    "one tensor joined": ["Dense(2)"],
    "sum of two products": ["Dense(2)"],
    "padded by nothing": ["Activation('relu')"],
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
