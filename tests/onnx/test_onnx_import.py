"""ONNX import: what other libraries' exporters write, what fastnn writes, and what is refused."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import fastnn as fn
from tests.helpers.networks import ACTIVATION_CASES, ACTIVATION_IDS, STACKS, activation
from tests.helpers.onnx_models import CATEGORIES, LAYERS, X, made, session
from tests.helpers.tolerances import PRODUCT

GRAPHS = Path(__file__).parents[1] / "fixtures" / "onnx"
RNG = np.random.default_rng(0)


def runtime(path, rows=3, output=None):
    """An input, and what ONNX Runtime makes of it."""
    running = session(path)
    [end] = running.get_inputs()
    shape = [rows if i == 0 and not size else size for i, size in enumerate(end.shape)]
    shape[0] = rows if not isinstance(shape[0], int) else shape[0]
    x = RNG.normal(size=shape).astype(np.float64 if "double" in end.type else np.float32)
    y = running.run(None if output is None else [output], {end.name: x})[-1]
    if isinstance(y, list):  # of dictionaries, for each row one
        y = [list(row.values()) for row in y]
    return x.reshape(len(x), -1), np.asarray(y)


# --- files that other libraries wrote: see tools/write_onnx_graphs.py

UNSUPPORTED = {
    "sklearn_labels": ("Concat .*joins two tensors", "out_activations_result"),
}
FILES = sorted(path.stem for path in GRAPHS.glob("*.onnx"))


def test_files_of_all_libraries_are_there():
    for start, least in {"torch": 15, "keras": 2, "sklearn": 13}.items():
        assert sum(name.startswith(start) for name in FILES) >= least


@pytest.mark.parametrize("name", sorted(set(FILES) - set(UNSUPPORTED)))
def test_files(name):
    path = GRAPHS / f"{name}.onnx"
    model = fn.onnx.load(path)
    x, y = runtime(path)
    # Of two values for each row, scikit-learn's converter makes one column.
    y = y.reshape(len(x), -1) if "two_values" in name else y
    np.testing.assert_allclose(model.predict(x), y, **PRODUCT[model.dtype])
    assert model.dtype == ("float64" if "double" in name else "float32")


@pytest.mark.parametrize("kind", ["script_13", "script_17", "script_20", "dynamic", "fixed"])
def test_all_activations_are_in_the_files(kind):
    layers = fn.onnx.load(GRAPHS / f"torch_activations_{kind}.onnx").layers
    used = {layer.activation.name for layer in layers if getattr(layer, "activation", None)}
    known = {name for name, made in fn.activations.TABLE.items() if not hasattr(made, "kernel")}
    assert used == known - {"identity"}


@pytest.mark.parametrize(("name", "expected"), UNSUPPORTED.items(), ids=UNSUPPORTED)
def test_files_of_which_a_part_is_taken(name, expected, tmp_path):
    path, (reason, output) = GRAPHS / f"{name}.onnx", expected
    with pytest.raises(ValueError, match=reason):
        fn.onnx.load(path)
    model = fn.onnx.load(path, output=output)
    proto = onnx.load(path)
    del proto.graph.output[:]
    for node in [node for node in proto.graph.node if node.op_type == "ZipMap"]:
        proto.graph.node.remove(node)  # ONNX Runtime would run it all the same, and fail
    proto.graph.output.append(
        helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", model.n_out])
    )
    onnx.save(proto, tmp_path / "m.onnx")
    x, y = runtime(tmp_path / "m.onnx", output=output)
    np.testing.assert_allclose(model.predict(x), y, **PRODUCT["float32"])


def test_training_goes_on():
    model = fn.onnx.load(GRAPHS / "torch_images_dynamic.onnx", loss="cross_entropy", optimizer="sgd", seed=1)
    x, y = RNG.normal(size=(30, 12)), RNG.integers(0, 3, 30)
    before = model.evaluate(x, y)["loss"]
    model.fit(x, y, epochs=20)
    assert model.evaluate(x, y)["loss"] < before


# --- what fastnn writes


def round_trip(model, path):
    fn.onnx.export(model, path)
    return fn.onnx.load(path)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers_come_back(layers, dtype, tmp_path):
    model = made(layers(), dtype)
    again = round_trip(model, tmp_path / "m.onnx")
    # What undoes a scaling becomes part of the weights before it, and scalings in a row become one.
    own = [layer for layer in model.layers if not isinstance(layer, fn.Unscale)]
    kinds = [fn.Standardize if isinstance(layer, fn.MinMax) else type(layer) for layer in own]
    shortcuts = [getattr(layer, "shortcut", None) is not None for layer in own]
    assert [type(layer) for layer in again.layers] == kinds
    assert [getattr(layer, "shortcut", None) is not None for layer in again.layers] == shortcuts
    assert [getattr(layer, "rate", None) for layer in again.layers] == [
        pytest.approx(layer.rate) if isinstance(layer, fn.Dropout) else None for layer in own
    ]
    assert again.dtype == (dtype if model.parameters.size else again.dtype)
    np.testing.assert_allclose(again.predict(CATEGORIES), model.predict(CATEGORIES), **PRODUCT["float32"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", ACTIVATION_CASES, ids=ACTIVATION_IDS)
def test_activations_come_back(case, dtype, tmp_path):
    model = made([fn.Dense(6, activation(case)), fn.Dense(4), fn.Activation(activation(case))], dtype, X)
    again = round_trip(model, tmp_path / "m.onnx")
    names = [layer.activation and layer.activation.name for layer in again.layers]
    assert names == 2 * [None if case[0] == "identity" else case[0]]
    if case[0] != "identity":
        settings = again.layers[0].activation.settings
        assert settings == pytest.approx(model.layers[0].activation.settings)
    assert np.array_equal(again.parameters, model.parameters)
    np.testing.assert_allclose(again.predict(X), model.predict(X), **PRODUCT[dtype])


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_stacks_come_back(layers, tmp_path):
    model = made(layers(), "float64", X)
    again = round_trip(model, tmp_path / "m.onnx")
    np.testing.assert_allclose(again.predict(X), model.predict(X), **PRODUCT["float64"])


def test_without_numbers_to_tell_the_dtype(tmp_path):
    model = fn.Model([fn.Activation("relu")], dtype="float64").build(3)
    assert round_trip(model, tmp_path / "m.onnx").dtype == "float64"
    assert fn.onnx.load(tmp_path / "m.onnx", dtype="float32").dtype == "float32"


# --- graphs written by hand

HEAD = '<ir_version: 8, opset_import: ["" : {opset}, "ai.onnx.ml" : 1]>\ng ({inputs}) => ({outputs})\n'
CONSTANTS = {
    "W": RNG.normal(size=(3, 2)).astype(np.float32),
    "T": RNG.normal(size=(2, 3)).astype(np.float32),
    "V": RNG.normal(size=(2, 2)).astype(np.float32),
    "b": RNG.normal(size=2).astype(np.float32),
    "row": RNG.normal(size=(1, 2)).astype(np.float32),
    "c": np.array([1, 2, 3], np.float32),
    "batch": np.ones((4, 3), np.float32),
    "whole": np.array([1, 2, 3]),
    "zero": np.array([0, 1, 2], np.float32),
    "one": np.array(1, np.float32),
    "two": np.array(2, np.float32),
    "cube": np.zeros((2, 3, 4), np.float32),
    "nan": np.full((3, 2), np.nan, np.float32),
    "flat": np.array([-1, 3]),
    "names": np.array([b"a", b"b", b"c"], dtype=object),
    "yes": np.array(True),
    "index": np.array([0, 1, 1, 2]),
}


def write(path, body, opset=20, inputs="float[batch, 3] x", outputs="float[batch, k] y"):
    """A graph of nodes in ONNX's own notation, whose constants are those of CONSTANTS."""
    proto = onnx.parser.parse_model(
        HEAD.format(opset=opset, inputs=inputs, outputs=outputs) + "{" + body + "}"
    )
    for name, values in CONSTANTS.items():
        if values.dtype == object:
            proto.graph.initializer.append(
                helper.make_tensor(name, TensorProto.STRING, values.shape, list(values))
            )
        else:
            proto.graph.initializer.append(numpy_helper.from_array(values, name))
    onnx.save(proto, path)


TAKEN = {
    "matmul and add": "m = MatMul(x, W) y = Add(m, b)",
    "add the other way round": "m = MatMul(x, W) y = Add(row, m)",
    "gemm of a transposed matrix": "y = Gemm<transB = 1>(x, T, b)",
    "gemm with factors": "y = Gemm<alpha = 0.5, beta = 2.0>(x, W, row)",
    "gemm with one bias": "y = Gemm(x, W, one)",
    "transposed weights": "t = Transpose<perm = [1, 0]>(T) y = MatMul(x, t)",
    "weights by way of identity": "w = Identity(W) y = MatMul(x, w)",
    "columns changed behind a product": (
        "m = MatMul(x, W) a = Sub(m, b) c0 = Mul(a, two) d = Div(c0, row) e = Sub(one, d) y = Relu(e)"
    ),
    "columns scaled": "a = Sub(x, c) d = Div(a, c) y = MatMul(d, W)",
    "columns scaled twice": "a = Mul(x, c) d = Add(a, two) e = Div(d, two) y = MatMul(e, W)",
    "scaler": "a = ai.onnx.ml.Scaler<offset = [1.0, 2.0, 3.0], scale = [0.5, 2.0, 1.0]>(x) y = MatMul(a, W)",
    "one number as a scaler": "a = ai.onnx.ml.Scaler<offset = [1.0], scale = [0.5]>(x) y = MatMul(a, W)",
    "casts": "a = Cast<to = 11>(x) d = Cast<to = 1>(a) y = MatMul(d, W)",
    "flatten of rows": "a = Flatten(x) y = MatMul(a, W)",
    "reshape of rows": "a = Reshape(x, flat) y = MatMul(a, W)",
    "dropout of a mask": "a, mask = Dropout(x, one) y = MatMul(a, W)",
    "softmax of axis 1": "m = MatMul(x, W) y = Softmax<axis = 1>(m)",
    "two classes": "m = MatMul(x, V0) s = Sigmoid(m) n = Sub(one, s) y = Concat<axis = 1>(n, s)",
    "activations that look alike": (
        "m = MatMul(x, W) s = Sigmoid(m) p = Mul(s, m) q = Tanh(p) r = Sigmoid(q) y = Mul(q, r)"
    ),
    "one column twice": "g = Gather<axis = 1>(x, index) e = Equal(g, four) y = Cast<to = 1>(e)",
}
TAKEN["dropout of a mask"] = TAKEN["dropout of a mask"].replace("one", "half")
CONSTANTS["half"] = np.array(0.5, np.float32)
CONSTANTS["V0"] = RNG.normal(size=(3, 1)).astype(np.float32)
CONSTANTS["four"] = np.array([1, 0, 1, 1], np.float32)


@pytest.mark.parametrize("body", TAKEN.values(), ids=TAKEN)
def test_graphs(body, tmp_path):
    write(tmp_path / "m.onnx", body)
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    if "Equal" in body:
        x = np.round(x)
    [y] = session(tmp_path / "m.onnx").run(None, {"x": x})
    np.testing.assert_allclose(fn.onnx.load(tmp_path / "m.onnx").predict(x), y, **PRODUCT["float32"])


def test_images_are_rows(tmp_path):
    """Numbers for each column of a row, before it is flattened; softmax over all axes, as it was once."""
    body = "a = Div(x, two) d = Softmax<axis = 1>(a) f = Flatten(d) y = Relu(f)"
    write(tmp_path / "m.onnx", body, 9, "float[batch, 1, 2, 3] x")
    x = RNG.normal(size=(4, 1, 2, 3)).astype(np.float32)
    [y] = session(tmp_path / "m.onnx").run(None, {"x": x})
    model = fn.onnx.load(tmp_path / "m.onnx")
    np.testing.assert_allclose(model.predict(x.reshape(4, 6)), y, **PRODUCT["float32"])
    assert model.n_in == 6


def test_size_of_the_input_is_that_of_the_weights(tmp_path):
    for shape in ("float[batch, n] x", "float[] x", "float x"):
        write(tmp_path / "m.onnx", "y = MatMul(x, W)", inputs=shape)
        if shape == "float x":  # a number
            with pytest.raises(ValueError, match="input of 0 axes"):
                fn.onnx.load(tmp_path / "m.onnx")
        else:
            assert fn.onnx.load(tmp_path / "m.onnx").n_in == 3


# What the message must name.
REFUSED = {
    "convolution": ("y = ConvTranspose(x, cube)", "operator ConvTranspose .node 'y'. is not supported"),
    "unknown operator": ("y = Frobnicate(x)", "operator Frobnicate"),
    "operator of another domain": ("y = ai.onnx.ml.Normalizer(x)", "operator ai.onnx.ml.Normalizer"),
    "name of the node": ("[name_of_node] y = Conv(x, cube)", "Conv .node 'name_of_node'."),
    "product of two tensors": ("r = Relu(x) y = Mul(r, x)", "operator Mul .*multiplies two tensors"),
    "matrix product of two tensors": ("r = Relu(x) y = MatMul(r, x)", "MatMul .*multiplies two tensors"),
    "a state to begin with": (
        "u = Unsqueeze(x, index0) y = LSTM<hidden_size = 1>(u, gates, gates1, , , state)",
        "LSTM .*begins with a state that is not 0",
    ),
    "reset before the product": (
        "u = Unsqueeze(x, index0) y = GRU(u, gates, gates)",
        "GRU .*resets its state",
    ),
    "two directions of other activations": (
        'u = Unsqueeze(x, index0) y = RNN<direction = "bidirectional", activations = ["Tanh", "Relu"]>'
        "(u, gates, gates)",
        "RNN .*activations are Tanh, Relu",
    ),
    "other activations": (
        'u = Unsqueeze(x, index0) y = RNN<activations = ["Elu"]>(u, gates, gates)',
        "RNN .*activations are Elu",
    ),
    "quotient": ("y = Div(c, x)", "Div .*divides by what it computes"),
    "samples side by side": ("y = Concat<axis = 0>(x, x)", "Concat .*axis 0 is that of the samples"),
    "samples chosen": ("y = Gather<axis = 0>(x, index)", "Gather .*axis 0 is that of the samples"),
    "samples against samples": ("t = Transpose(x) y = MatMul(t, x)", "MatMul .*multiplies two tensors"),
    "samples last": ("y = Transpose(x)", "operator Transpose .*gives the samples as axis 1"),
    "columns that are not there": ("y = Gather<axis = 1>(x, places)", "Gather .*does not have"),
    "weights first": ("y = MatMul(T, x)", "MatMul .*on the left of"),
    "weights computed": ("w = Exp(W) y = MatMul(x, w)", "operator Exp"),
    "celu of no alpha": ("y = Celu<alpha = -1.0>(x)", "Celu .*alpha is -1"),
    "intercepts of other outputs": (
        "y = ai.onnx.ml.LinearRegressor<coefficients = [1.0, 2.0, 3.0], intercepts = [1.0, 2.0]>(x)",
        "LinearRegressor .*2 intercepts for 1",
    ),
    "named axis of constants today": ("y = Add<axis = 1>(x, c)", "Add .*names axis 1"),
    "norm": ('y = ai.onnx.ml.Normalizer<norm = "L1">(x)', "Normalizer .*by their norm"),
    "clipped where float32 is coarse": ("y = Clip(x, zero1, million)", "Clip .*would not tell finely"),
    "clipped to nothing": ("y = Clip(x, six, zero1)", "Clip .*clips to"),
    "samples added": ("y = Pad(x, samples)", "Pad .*adds places"),
    "samples padded": ("y = Pad(x, index)", "Pad .*adds places"),
    "scores of attention": (
        "u = Unsqueeze(x, index0) t = Transpose<perm = [1, 2, 0]>(u) s = Transpose<perm = [1, 0, 2]>(u) "
        "y = MatMul(t, s)",
        "operator MatMul .*gives integers, vectors of categories, scores of attention",
    ),
    "weights of attention added to a tensor": (
        "u = Unsqueeze(x, index0) t = Transpose<perm = [1, 2, 0]>(u) s = Transpose<perm = [1, 0, 2]>(u) "
        "m = MatMul(t, s) w = Softmax(m) y = Add(w, x)",
        "operator Add .*its input 1 is not a constant",
    ),
    "places that are computed": (
        "m = MatMul(x, W) i = Cast<to = 7>(m) y = Gather(W, i)",
        "operator Gather .*places that are computed",
    ),
    "sum of all": ("y = ReduceSum(x)", "ReduceSum .*axis 0 is that of the samples"),
    "sum of samples": ("y = ReduceSum(x, none)", "ReduceSum .*axis 0 is that of the samples"),
    "a kernel of other axes": ("y = Conv(x, cube)", "operator Conv .*not supported here: a kernel"),
    "normalization over samples": (
        "y = LayerNormalization<axis = 0>(x, c)",
        "LayerNormalization .*axis 0 is that of the samples",
    ),
    "normalization by computed numbers": (
        "m = MatMul(x, W) y = LayerNormalization(m, m)",
        "LayerNormalization .*input 1 is not a constant",
    ),
    "normalization of other features": ("y = LayerNormalization(x, b)", "LayerNormalization .*broadcast"),
    "categories in a branch": (
        "g = Gather<axis = 1>(x, index) e = Equal(g, four) r = Relu(x) y = Concat<axis = 1>(e, r)",
        "must be one of the model's own layers",
    ),
    "normalization in training": (
        "y = BatchNormalization<training_mode = 1>(x, c, c, c, c)",
        "BatchNormalization .*training mode",
    ),
    "normalization of other channels": ("y = BatchNormalization(x, b, b, b, b)", "2.* channels"),
    "rows of other sizes reshaped": ("y = Reshape(x, index)", "Reshape .*only flatten"),
    "input transposed": ("y = Gemm<transA = 1>(x, W)", "Gemm .*takes rows of 3 numbers|Gemm .*multiplies"),
    "weights of three axes": ("y = MatMul(x, cube)", r"MatMul .*\(2, 3, 4\)"),
    "weights of other rows": ("y = MatMul(x, V)", "MatMul .*takes rows of 2 numbers"),
    "weights not finite": ("y = MatMul(x, nan)", "weights must be finite"),
    "whole weights": ("y = Add(x, whole)", "Add .*floating-point numbers, got int64"),
    "names as weights": ("y = Add(x, names)", "'names' is of type object"),
    "one bias for each sample": ("y = Gemm(x, W, batch)", "Gemm .*one number for each sample"),
    "one number for each sample": ("y = Sub(x, batch)", r"Sub .*for each sample: .*\(4, 3\)"),
    "divided by zero": ("y = Div(x, zero)", "Div .*by zero"),
    "another slope for each column": ("y = PRelu(x, c)", "PRelu .*only one number"),
    "selu of other constants": ("y = Selu<alpha = 2.0>(x)", "Selu .*in this form"),
    "softmax over samples": ("y = Softmax<axis = 0>(x)", "Softmax .*axis 0"),
    "flatten of samples": ("y = Flatten<axis = 0>(x)", "Flatten .*axis 0"),
    "reshape to other rows": ("y = Reshape(x, index)", "Reshape .*only flatten"),
    "training": ("y = Dropout(x, half, yes)", "Dropout .*training mode"),
    "everything dropped": ("y = Dropout(x, one)", "Dropout .*rate must be"),
    "second output": ("a, y = Dropout(x, half)", "Dropout .*in this form"),
    "cast to integers": ("y = Cast<to = 7>(x)", "operator Cast"),
    "constant output": ("y = Identity(W)", "'y' is not computed from the input"),
    "nothing computed": ("z = Relu(x)", "'y' is not computed"),
    "computed from itself": ("a = Relu(y) y = Relu(a)", "computed from itself"),
    "casts in a circle": ("a = Identity(y) y = Identity(a)", "computed from itself"),
    "computed twice": ("y = Relu(x) y = Tanh(x)", "'y' is computed twice"),
    "weights computed, too": ("W = Relu(x) y = Tanh(x)", "'W' is computed twice"),
    "one hot of mixed columns": ("g = Gather<axis = 1>(x, mixed) y = Equal(g, four)", "in their order"),
    "one hot of halves": ("g = Gather<axis = 1>(x, index) y = Equal(g, halves)", "must be integers"),
}
CONSTANTS["zero1"], CONSTANTS["six"] = np.array(0, np.float32), np.array(6, np.float32)
CONSTANTS["million"], CONSTANTS["pads"] = np.array(1e6, np.float32), np.array([0, 1, 0, 0])
CONSTANTS["kernel"] = RNG.normal(size=(4, 1, 3, 3)).astype(np.float32)
CONSTANTS["samples"], CONSTANTS["none"] = np.array([1, 0, 0, 0]), np.array([0])
CONSTANTS["index0"], CONSTANTS["state"] = np.array([0]), np.ones((1, 4, 1), np.float32)
CONSTANTS["gates"] = RNG.normal(size=(1, 4, 3)).astype(np.float32)
CONSTANTS["gates1"] = RNG.normal(size=(1, 4, 1)).astype(np.float32)
CONSTANTS["places"] = np.array([0, 3])
CONSTANTS["mixed"], CONSTANTS["halves"] = np.array([1, 0, 2, 2]), np.full(4, 0.5, np.float32)


@pytest.mark.parametrize(("body", "piece"), REFUSED.values(), ids=REFUSED)
def test_refused(body, piece, tmp_path):
    write(tmp_path / "m.onnx", body)
    with pytest.raises(ValueError, match=f"m.onnx is not a row of layers: .*{piece}"):
        fn.onnx.load(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("options", "piece"),
    [
        ({"opset": 0}, "version 0"),
        ({"opset": 99}, "version 99"),
        ({"inputs": "string[batch, 3] x"}, "type 8"),
        ({"inputs": "seq(float[batch, 3]) x"}, "not a tensor"),
        ({"inputs": "float[batch, 1099511627776] x"}, "too long for this file"),
        ({"inputs": "float[batch, 5] x", "body": "y = MatMul(x, W)"}, "takes rows of 3 numbers"),
        ({"inputs": "float[batch, n] x"}, "size of its input .* is not known"),
        ({"inputs": "float[n] x"}, "size of its input .* is not known"),
        (
            {
                "inputs": "float[batch, 1, 28, 28] x",
                "body": "y = Conv<strides = [2, 2], dilations = [2, 2]>(x, kernel)",
            },
            "Conv .*not supported here: it has strides .2, 2. and dilations .2, 2.",
        ),
        ({"inputs": "float[batch, 3] x, float[3] z", "body": "y = Add(x, z)"}, "rows and single rows"),
        ({"inputs": "float[batch, 3] x, bool[batch, 3] z", "body": "y = Where(z, x, x)"}, "type 9"),
        ({"outputs": "float y, float z", "body": "y = Relu(x) z = Tanh(x)"}, r"2 outputs \(y, z\)"),
        (
            {
                "outputs": "float y, int64 z, float w, float x",
                "body": "n = RandomNormalLike(x) y = Add(n, x) [best] z = ArgMax(x) w = Identity(c)",
            },
            "none of its outputs can be a model's: 'y' is random: RandomNormalLike .node 'n'.; "
            "'z' is not floating-point: ArgMax .node 'best'.; 'w' is constant; 'x' is an input; name another",
        ),
    ],
)
def test_refused_ends(options, piece, tmp_path):
    write(tmp_path / "m.onnx", options.pop("body", "y = Relu(x)"), **options)
    with pytest.raises(ValueError, match=piece):
        fn.onnx.load(tmp_path / "m.onnx")


def test_output_by_name(tmp_path):
    write(tmp_path / "m.onnx", "a = Relu(x) y = ConvTranspose(a, cube)")
    assert fn.onnx.load(tmp_path / "m.onnx", output="a").predict([[-1, 0, 2]]).tolist() == [[0, 0, 2]]
    with pytest.raises(ValueError, match="no node gives 'nothing'"):
        fn.onnx.load(tmp_path / "m.onnx", output="nothing")


def test_paths(tmp_path):
    with pytest.raises(FileNotFoundError):
        fn.onnx.load(tmp_path / "nowhere")
    with pytest.raises(OSError, match="not a regular file"):
        fn.onnx.load(tmp_path)
    with pytest.raises(ValueError, match="dtype"):
        fn.onnx.load(GRAPHS / "sklearn_values.onnx", dtype="int8")
    assert fn.onnx.load(os.fspath(GRAPHS / "sklearn_values.onnx"), dtype="float64").dtype == "float64"
