"""Graphs in ONNX's text format, one for each operator that becomes a layer or a part of one."""

import numpy as np

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
PHOTO = "float[batch, 2, 5, 6] x"
SERIES = "float[batch, 4, 4] x"
# Attention of two heads with two features each.
HEADS = " ".join(
    [
        *(
            f"{name}0 = MatMul(x, {weights}) {name}1 = Reshape({name}0, heads) "
            f"{name} = Transpose<perm = {perm}>({name}1)"
            for name, weights, perm in (
                ("q", "A", [0, 2, 1, 3]),
                ("k", "B", [0, 2, 3, 1]),
                ("v", "C", [0, 2, 1, 3]),
            )
        ),
        "m = MatMul(q, k) {mask} w = Softmax<axis = -1>(p) a = MatMul(w, v)",
        "t = Transpose<perm = [0, 2, 1, 3]>(a) f = Reshape(t, times4) y = MatMul(f, A)",
    ]
)
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
    # branches
    "residual": (ROW, "r = Relu(x) y = Add(r, x)"),
    "two branches side by side": (ROW, "r = Relu(x) y = Concat<axis = 1>(r, x)"),
    "branches behind a product": (
        ROW,
        "m = MatMul(x, W) r = Relu(m) s = Tanh(m) d = Add(r, s) y = MatMul(d, V)",
    ),
    "difference of branches": (ROW, "m = MatMul(x, W) r = Relu(m) s = Tanh(m) y = Sub(r, s)"),
    "branches of other scales": (
        ROW,
        "a = Sub(x, c) p = Relu(a) d = Div(x, positive) q = Tanh(d) y = Concat<axis = 1>(p, q)",
    ),
    "residual in a row of residuals": (ROW, "r = Relu(x) a = Add(r, x) t = Tanh(a) y = Add(t, a)"),
    "residual around a residual": (ROW, "r = Relu(x) t = Tanh(r) a = Add(r, t) y = Add(a, x)"),
    "branches of axes": (
        "float[batch, 2, 3] x",
        "r = Relu(x) t = Transpose<perm = [0, 2, 1]>(x) s = Tanh(t) u = Transpose<perm = [0, 2, 1]>(s) "
        "y = Concat<axis = 1>(r, u)",
    ),
    "layer normalization": (ROW, "y = LayerNormalization(x, c, b3)"),
    "layer normalization without a shift": (
        ROW,
        "m = MatMul(x, U) y = LayerNormalization<epsilon = 0.1>(m, c)",
    ),
    "layer normalization of positions": ("float[batch, 2, 3] x", "y = LayerNormalization(x, c, b3)"),
    "layer normalization over two axes": ("float[batch, 2, 3] x", "y = LayerNormalization<axis = 1>(x, T)"),
    "layer normalization written out": (
        ROW,
        "m = ReduceMean(x, last) d = Sub(x, m) q = Pow(d, two) v = ReduceMean(q, last) e = Add(v, one) "
        "s = Sqrt(e) n = Div(d, s) g = Mul(n, c) y = Add(g, b3)",
    ),
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
    "a single sample flattened": ("float[1, 3, 1] x", "f = Flatten<axis = 0>(x) y = MatMul(f, W)"),
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
    # images, channels first, become images with their channels last
    "convolutions": (
        PHOTO,
        "k = Conv<pads = [1, 1, 1, 1]>(x, filters, b4) r = Relu(k) "
        'q = Conv<auto_pad = "SAME_UPPER", strides = [2, 2]>(r, more) t = Tanh(q) f = Flatten(t) '
        "y = MatMul(f, W27)",
    ),
    "largest of windows": (
        PHOTO,
        "m = MaxPool<kernel_shape = [2, 2], strides = [1, 2]>(x) k = Conv<pads = [1, 1, 1, 1]>(m, filters) "
        "r = Relu(k) y = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(r)",
    ),
    "means of windows": (
        PHOTO,
        "m = AveragePool<kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1>(x) f = Flatten(m) "
        "y = MatMul(f, W18)",
    ),
    "mean of each channel": (
        PHOTO,
        "k = Conv(x, filters) g = GlobalAveragePool(k) f = Flatten(g) y = MatMul(f, V2)",
    ),
    "mean of each channel, reduced": (
        PHOTO,
        "k = Conv(x, filters) g = ReduceMean<keepdims = 0>(k, deep2) y = MatMul(g, V2)",
    ),
    "largest of each channel": (
        PHOTO,
        "g = GlobalMaxPool(x) k = Conv(x, filters) h = ReduceMax(k, deep2) "
        "f = Flatten(g) e = Flatten(h) y = Concat<axis = 1>(f, e)",
    ),
    "larger images": (
        PHOTO,
        'k = Conv(x, filters) u = Resize<coordinate_transformation_mode = "asymmetric", '
        'nearest_mode = "floor">(k, , scales) y = Tanh(u)',
    ),
    "interpolated images": (
        PHOTO,
        'u = Resize<mode = "linear", coordinate_transformation_mode = "half_pixel">(x, , scales) '
        "y = Conv(u, filters)",
    ),
    "padded in another way": (PHOTO, "y = Conv<pads = [2, 1, 0, 1], strides = [2, 2]>(x, filters, b4)"),
    "padded before": (PHOTO, "k = Conv(x, filters) p = Pad(k, around4) y = Conv(p, more)"),
    "normalized images": (
        PHOTO,
        "k = Conv(x, filters) r = Relu(k) y = BatchNormalization<epsilon = 0.1>(r, b4, b4, b4, positive4)",
    ),
    "convolution of channels last": (
        "float[batch, 5, 6, 2] x",
        "t = Transpose<perm = [0, 3, 1, 2]>(x) k = Conv(t, filters, b4) r = Relu(k) "
        "y = Transpose<perm = [0, 2, 3, 1]>(r)",
    ),
    "normalized convolution": (
        PHOTO,
        "k = Conv(x, filters) a = Add(k, deep4) n = BatchNormalization(a, b4, b4, b4, positive4) y = Relu(n)",
    ),
    "depthwise convolution": (PHOTO, "y = Conv<group = 2>(x, each, b4)"),
    "convolution of a series": (
        "float[batch, 4, 7] x",
        "y = Conv<group = 2, dilations = [2], pads = [4, 0]>(x, grouped)",
    ),
    "transposed convolution": (
        PHOTO,
        "k = ConvTranspose<strides = [2, 2], pads = [1, 1, 1, 1]>(x, back, b3) y = Relu(k)",
    ),
    "transposed convolution, cut off": (
        PHOTO,
        "y = ConvTranspose<strides = [2, 2], pads = [2, 1, 0, 1], output_padding = [1, 0]>(x, back)",
    ),
    "residual of images": (
        PHOTO,
        "k = Conv<pads = [1, 1, 1, 1]>(x, same2) r = Relu(k) s = Add(r, x) y = Conv(s, filters)",
    ),
    "channels joined": (
        PHOTO,
        "k = Conv<pads = [1, 1, 1, 1]>(x, filters) r = Relu(k) j = Concat<axis = 1>(r, x) y = Tanh(j)",
    ),
    "softmax over channels": (PHOTO, "k = Conv(x, filters) y = Softmax<axis = 1>(k)"),
    "scaled channels": (PHOTO, "s = Sub(x, shift2) d = Div(s, scale2) y = Conv(d, filters)"),
    "rows of images": (PHOTO, "k = Conv(x, filters) r = Relu(k) y = MatMul(r, V2)"),
    # sequences, with the times first
    "states of a simple network": (
        "float[batch, 4, 3] x",
        "t = Transpose<perm = [1, 0, 2]>(x) "
        's, h = RNN<hidden_size = 2, activations = ["Relu"]>(t, RW, RR, RB) '
        "q = Squeeze(s, second) y = Transpose<perm = [1, 0, 2]>(q)",
    ),
    "states of a network of tanh": (
        "float[batch, 4, 3] x",
        "t = Transpose<perm = [1, 0, 2]>(x) s = RNN<hidden_size = 2>(t, RW, RR) q = Squeeze(s, second) "
        "y = Transpose<perm = [1, 0, 2]>(q)",
    ),
    "last state": (
        "float[batch, 4, 3] x",
        "t = Transpose<perm = [1, 0, 2]>(x) "
        "s, h = GRU<hidden_size = 2, linear_before_reset = 1>(t, GW, GR, GB) "
        "q = Squeeze(h, first) y = MatMul(q, V)",
    ),
    "states backwards": (
        "float[batch, 4, 3] x",
        't = Transpose<perm = [1, 0, 2]>(x) s = LSTM<hidden_size = 2, direction = "reverse">(t, LW, LR, LB) '
        "q = Squeeze(s, second) y = Transpose<perm = [1, 0, 2]>(q)",
    ),
    "states of both directions": (
        "float[batch, 4, 3] x",
        't = Transpose<perm = [1, 0, 2]>(x) s = GRU<hidden_size = 2, direction = "bidirectional", '
        "linear_before_reset = 1>(t, GW2, GR2, GB2, , state) u = Transpose<perm = [0, 2, 1, 3]>(s) "
        "f = Reshape(u, merged) y = Transpose<perm = [1, 0, 2]>(f)",
    ),
    "last states of both directions": (
        "float[batch, 4, 3] x",
        't = Transpose<perm = [1, 0, 2]>(x) s, h = LSTM<hidden_size = 2, direction = "bidirectional">'
        "(t, LW2, LR2) u = Transpose<perm = [1, 0, 2]>(h) f = Flatten(u) y = MatMul(f, V2)",
    ),
    "times before samples": (
        "float[5, batch, 3] x",
        "s = Shape<start = 1, end = 2>(x) n = Concat<axis = 0>(second, s, two) z = ConstantOfShape(n) "
        "o, h = RNN<hidden_size = 2>(x, RW, RR, RB, , z) y = Squeeze(h, first)",
    ),
    # attention
    "attention of two heads": (SERIES, HEADS.replace("{mask}", "p = Div(m, six)")),
    "attention to the past": (SERIES, HEADS.replace("{mask}", "p = Where(future, never, m)")),
    "attention of samples and heads": (
        SERIES,
        "t = Transpose<perm = [1, 0, 2]>(x) s = Shape<start = 1, end = 2>(t) n = Mul(s, two) "
        "h = Concat<axis = 0>(four, n, two) o = Concat<axis = 0>(s, two, four, two) "
        "g = Concat<axis = 0>(four, s, four) q0 = MatMul(t, A) q1 = Add(q0, b4) q2 = Reshape(q1, h) "
        "q3 = Transpose<perm = [1, 0, 2]>(q2) q4 = Mul(q3, half) k0 = MatMul(t, B) k1 = Reshape(k0, h) "
        "k2 = Transpose<perm = [1, 2, 0]>(k1) v0 = MatMul(t, C) v1 = Reshape(v0, h) "
        "v2 = Transpose<perm = [1, 0, 2]>(v1) m = MatMul(q4, k2) w = Softmax<axis = -1>(m) a = MatMul(w, v2) "
        "a0 = Reshape(a, o) a1 = Transpose<perm = [2, 0, 1, 3]>(a0) a2 = Reshape(a1, all4) "
        "a3 = Gemm(a2, B, b4) a4 = Reshape(a3, g) y = Transpose<perm = [1, 0, 2]>(a4)",
    ),
    "attention without projections": (
        SERIES,
        "k = Transpose<perm = [0, 2, 1]>(x) s = MatMul(x, k) w = Softmax<axis = -1>(s) y = MatMul(w, x)",
    ),
    "dense layer over times and samples": (
        SERIES,
        "f = Reshape(x, all4) m = MatMul(f, V2) a = Add(m, b) r = Relu(a) y = Reshape(r, times2)",
    ),
    "a constant before a series": (
        SERIES,
        "s = Shape<end = 1>(x) n = Concat<axis = 0>(s, one1, one1) "
        "c4 = Expand(deep1, n) j = Concat<axis = 1>(c4, x) y = Add(j, places)",
    ),
    # normalization without an operator, and by others
    "root mean square": (
        ROW,
        "q = Pow(x, two) m = ReduceMean(q, last) e = Add(m, one) s = Sqrt(e) n = Reciprocal(s) d = Mul(x, n) "
        "y = Mul(d, c)",
    ),
    "groups of channels": (
        PHOTO,
        "k = Conv(x, filters) g = Reshape(k, groups2) n = InstanceNormalization(g, ones2, zeros2) "
        "s = Shape(k) f = Reshape(n, s) w = Mul(f, deep4c) y = Add(w, deep4)",
    ),
    "each channel": (PHOTO, "k = Conv(x, filters) y = InstanceNormalization<epsilon = 0.1>(k, some4, b4)"),
    "groups of channels by one operator": (
        PHOTO,
        "k = Conv(x, filters) y = GroupNormalization<num_groups = 2>(k, ones2, b)",
    ),
    "mirrored borders": (PHOTO, 'p = Pad<mode = "reflect">(x, around4m) y = Conv(p, filters)'),
    "borders cut off and added": (PHOTO, "k = Conv(x, filters) p = Pad(k, cut4) y = Relu(p)"),
    "a part of images": (PHOTO, "k = Conv(x, filters) s = Slice(k, second, end, two) y = Relu(s)"),
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
    "filters": numbers(4, 2, 3, 3),
    "same2": numbers(2, 2, 3, 3),
    "each": numbers(4, 1, 3, 3),
    "more": numbers(3, 4, 2, 3),
    "back": numbers(2, 3, 4, 4),
    "W27": numbers(27, 2),
    **{f"{name}W": numbers(1, 2 * gates, 3) for name, gates in (("R", 1), ("G", 3), ("L", 4))},
    **{f"{name}R": numbers(1, 2 * gates, 2) for name, gates in (("R", 1), ("G", 3), ("L", 4))},
    **{f"{name}B": numbers(1, 4 * gates) for name, gates in (("R", 1), ("G", 3), ("L", 4))},
    "W18": numbers(18, 2),
    "deep2": np.array([2, 3]),
    "scales": np.array([1, 1, 2, 3], np.float32),
    "around4": np.array([0, 0, 0, 1, 0, 0, 2, 0]),
    "V2": numbers(4, 2),
    "deep4": numbers(1, 4, 1, 1),
    "positive4": np.array([0.5, 1, 2, 1.5], np.float32),
    "shift2": numbers(1, 2, 1, 1),
    "scale2": np.array([2, 0.5], np.float32).reshape(2, 1, 1),
    "whole1": np.ones((1, 3), np.float32),
    "T3": numbers(3, 2),
    "W6": numbers(6, 2),
    "min": np.array([-(2**62)]),
    "free": np.array([0, 1], np.int32),
    "n2": np.array([2], np.int32),
    "flat3": np.array([5, 3]),
    **{f"{name}W2": numbers(2, 2 * gates, 3) for name, gates in (("G", 3), ("L", 4))},
    **{f"{name}R2": numbers(2, 2 * gates, 2) for name, gates in (("G", 3), ("L", 4))},
    "GB2": numbers(2, 12),
    "state": np.zeros((2, 4, 2), np.float32),
    "merged": np.array([0, 0, -1]),
    **{name: numbers(4, 4) for name in "ABC"},
    "heads": np.array([0, 4, 2, 2]),
    "times4": np.array([0, 4, 4]),
    "times2": np.array([-1, 4, 2]),
    "all4": np.array([-1, 4]),
    "four": np.array([4]),
    "one1": np.array([1]),
    "future": np.triu(np.ones((4, 4), bool), 1),
    "never": np.array(-np.inf, np.float32),
    "deep1": numbers(1, 1, 4),
    "places": numbers(1, 5, 4),
    "groups2": np.array([0, 2, -1]),
    "ones2": np.ones(2, np.float32),
    "zeros2": np.zeros(2, np.float32),
    "deep4c": np.array([1, 0, 2, -1], np.float32).reshape(4, 1, 1),
    "some4": np.array([1, 0, 2, -1], np.float32),
    "around4m": np.array([0, 0, 1, 2, 0, 0, 0, 1]),
    "cut4": np.array([0, 0, -1, 0, 0, 0, 1, -1]),
}
