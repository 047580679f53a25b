"""What a model's table shows of layers made of layers."""

import copy

import numpy as np
import pytest

import fastnn as fn
from fastnn.compiler import loader
from fastnn.display.memory import memory, readable
from fastnn.engine.mult_adds import mult_adds


def nested():
    block = fn.Residual([fn.LayerNormalization(), fn.Dense(16, "relu"), fn.Dense(16)])
    joined = fn.Concatenate([None, [fn.Dense(3), fn.Add([None, fn.Activation("relu")])]])
    return fn.Model(
        [fn.Dense(16), block, joined, fn.Residual(fn.Dense(4), shortcut=fn.Dense(4)), fn.Dense(2)]
    )


TABLE = """
layer                          output shape  parameters  mult-adds
------------------------------------------------------------------
Dense(16)                      (n, 16)               80         64
Residual                       (n, 16)              576        512
  body: Sequential             (n, 16)              576        512
    LayerNormalization()       (n, 16)               32          0
    Dense(16, 'relu'), frozen  (n, 16)              272        256
    Dense(16)                  (n, 16)              272        256
  shortcut: identity           (n, 16)                0          0
Concatenate                    (n, 19)               51         48
  0: identity                  (n, 16)                0          0
  1: Sequential                (n, 3)                51         48
    Dense(3)                   (n, 3)                51         48
    Add                        (n, 3)                 0          0
      0: identity              (n, 3)                 0          0
      1: Activation('relu')    (n, 3)                 0          0
Residual                       (n, 4)               160        152
  body: Dense(4)               (n, 4)                80         76
  shortcut: Dense(4)           (n, 4)                80         76
Dense(2)                       (n, 2)                10          8
------------------------------------------------------------------
Total parameters: 877 (3.43 KB), float32
Trainable parameters: 605 (2.36 KB)
Non-trainable parameters: 272 (1.06 KB): 272 frozen
Total mult-adds of a sample: 784
"""


def test_what_is_in_a_container_is_indented(capsys):
    model = nested().build(4)
    model.layers[1].body.layers[1].trainable = False
    model.summary()
    assert capsys.readouterr().out.startswith(TABLE.lstrip() + "Memory to predict: ")


def test_before_it_is_built(capsys):
    nested().summary()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:4]] == ["Dense(16)", "Residual"]
    assert lines[5].split() == ["LayerNormalization()", "(n,", "?)", "?", "?"]
    assert lines[-1].startswith("not built yet") and len(lines) == 22


def test_html_keeps_the_indentation():
    html = nested().build(4)._repr_html_()
    depths = [float(part.split("em")[0]) for part in html.split("padding-left:")[1:]]
    assert depths[:5] == [0.5, 0.5, 1.7, 2.9, 2.9]


# --- 80 columns


class Long(fn.Dropout):
    def __repr__(self):
        return f"Long({', '.join(f'setting_{i}={i}' for i in range(40))}, {'x' * 100})"


def deep(depth):
    layer = fn.Dense(4, "relu", kernel_initializer=fn.initializers.uniform(-0.125, 0.125))
    for _ in range(depth):
        layer = fn.Residual([layer])
    return layer


GRU = fn.GRU(10, return_sequences=True, recurrent_initializer="glorot_uniform")
WIDE = {
    "long names": ([Long(0.5), fn.Dense(4)], 3),
    "40 deep": ([deep(40)], 4),
    "many axes": ([fn.Reshape((1000, 1, 1000, 1, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1)), fn.Flatten()], 10_000_000),
    "many parameters": ([fn.Dense(3200, "relu"), fn.Dense(3200), fn.Dense(1)], 3200),
    "many products": ([fn.Conv2D(2, 99, padding="same")], (10_000, 10_000, 3)),
    "both directions": ([fn.Concatenate([fn.Bidirectional(GRU), None, fn.LSTM(7, return_sequences=True)])],
                        (12, 3)),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "shape"), WIDE.values(), ids=WIDE)
@pytest.mark.parametrize("built", [False, True])
def test_it_fits_into_80_columns(layers, shape, built, capsys):
    model = fn.Model(copy.deepcopy(layers), "mse", metrics=["mae"], seed=0)
    (model.build(shape) if built else model).summary(batch_size=1)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    if built:
        assert any(line.startswith(f"Total parameters: {model.parameters.size:,} (") for line in lines)


# --- mult-adds


def total(layers, shape):
    return mult_adds(fn.Model(layers, seed=0).build(shape).executor.graph.ops)


HEADS = {"num_heads": 2, "key_dim": 3, "value_dim": 5}
PRODUCTS = {
    "dense": ([fn.Dense(5)], 7, 7 * 5),
    "dense on an axis": ([fn.Dense(5, "relu")], (3, 7), 3 * 7 * 5),
    "no products": ([fn.LayerNormalization(), fn.Dropout(0.1), fn.Activation("tanh")], (3, 7), 0),
    "valid": ([fn.Conv2D(6, (3, 2))], (8, 9, 4), 6 * 8 * (3 * 2 * 4) * 6),
    "same": ([fn.Conv2D(6, 3, padding="same")], (8, 9, 4), 8 * 9 * (3 * 3 * 4) * 6),
    "strides": ([fn.Conv2D(6, 3, strides=(2, 3))], (8, 9, 4), 3 * 3 * (3 * 3 * 4) * 6),
    "dilation": ([fn.Conv2D(6, 3, dilation_rate=2)], (8, 9, 4), 4 * 5 * (3 * 3 * 4) * 6),
    "groups": ([fn.Conv2D(6, 3, groups=2)], (8, 9, 4), 6 * 7 * (3 * 3 * 2) * 6),
    "series": ([fn.Conv1D(6, 3, padding="causal")], (20, 4), 20 * (3 * 4) * 6),
    "transposed": ([fn.Conv2DTranspose(6, 3, strides=2)], (8, 9, 4), 8 * 9 * 4 * (3 * 3 * 6)),
    "depthwise": ([fn.DepthwiseConv2D(3, depth_multiplier=2)], (8, 9, 4), 6 * 7 * 9 * (4 * 2)),
    "separable": ([fn.SeparableConv2D(6, 3)], (8, 9, 4), 6 * 7 * (9 * 4 + 4 * 6)),
    "pooling": ([fn.MaxPooling2D(2), fn.Flatten()], (8, 8, 4), 0),
    "simple RNN": ([fn.SimpleRNN(5)], (11, 3), 11 * (3 + 5) * 5),
    "GRU": ([fn.GRU(5)], (11, 3), 11 * (3 + 5) * 3 * 5),
    "LSTM": ([fn.LSTM(5, return_sequences=True)], (11, 3), 11 * (3 + 5) * 4 * 5),
    "both directions": ([fn.Bidirectional(fn.GRU(5))], (11, 3), 2 * 11 * (3 + 5) * 3 * 5),
    "embedding": ([fn.Embedding(100, 8)], 6, 0),
    "attention": (
        [fn.MultiHeadAttention(**HEADS)], (7, 4), 7 * 4 * 2 * (3 + 3 + 5) + 2 * 7 * 7 * (3 + 5) + 7 * 10 * 4
    ),
    "causal attention": (
        [fn.MultiHeadAttention(**HEADS, use_causal_mask=True)], (7, 4),
        7 * 4 * 2 * (3 + 3 + 5) + 2 * 28 * (3 + 5) + 7 * 10 * 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "shape", "expected"), PRODUCTS.values(), ids=PRODUCTS)
def test_mult_adds(layers, shape, expected):
    assert total(copy.deepcopy(layers), shape) == expected


def test_mult_adds_of_layers_add_up(capsys):
    layers = [fn.Dense(20, "tanh"), fn.Dense(1), fn.Derivatives(first=[0, 1], second=0)]
    fn.Model(layers, seed=0).build(2).summary()
    lines = capsys.readouterr().out.splitlines()
    # the outputs, two first derivatives and a second one
    assert [line.split()[-1] for line in lines[2:5]] == ["40", "20", "180"]
    assert "Total mult-adds of a sample: 240" in lines


# --- memory


def allocated(net):
    """Bytes of a network's own arrays, each once: of the gradients, and of all others."""
    shared = ("parameters", "statistics", "constants", "limits")
    arrays = {array.ctypes.data: array for name, array in net._asdict().items() if name not in shared}
    gradients = sum(each.nbytes for each in arrays.values() if each.ctypes.data == net.gradients.ctypes.data)
    return gradients, sum(each.nbytes for each in arrays.values()) - gradients


MEMORY = {
    "dense": ([fn.Dense(40, "relu"), fn.Dense(3)], 20, "cross_entropy", fn.Adam(), 32),
    "parts": ([fn.Dense(40, "tanh", l2=1e-3), fn.Dense(2)], 20, "mse", fn.SGD(), 3000),
    "images": (
        [fn.Conv2D(4, 3), fn.BatchNormalization(), fn.Flatten(), fn.Dense(1)],
        (12, 12, 1), "mse", fn.Adam(), 64,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "shape", "loss", "optimizer", "rows"), MEMORY.values(), ids=MEMORY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_memory_is_what_is_allocated(layers, shape, loss, optimizer, rows, dtype):
    model = fn.Model(copy.deepcopy(layers), loss, optimizer, dtype=dtype, seed=0).build(shape)
    executor = model.executor
    found = memory(executor, rows)
    y = np.zeros(rows, int) if loss == "cross_entropy" else np.zeros((rows, executor.n_out))
    X = np.zeros((rows, *executor.input_shape))
    model.fit(X, y, batch_size=rows, shuffle=False, callbacks=[lambda epoch, logs: None])
    gradients, buffers = allocated(executor.network("train", rows))
    state, kept = executor.state, executor.last_finite_state
    assert found == {
        "parameters": state.parameters.nbytes + state.statistics.nbytes,
        "gradients": gradients,
        "optimizer state": state.optimizer.nbytes,
        "last finite state": sum(
            array.nbytes for array in (kept.parameters, kept.statistics, kept.optimizer)
        ),
        "preprocessing": state.constants.nbytes,
        "buffers": buffers,
    }


def test_the_memory_of_a_prediction():
    model = fn.Model([fn.Standardize(), fn.Dense(40, "relu"), fn.Dense(3)], seed=0).adapt(np.eye(4))
    model.build(4)
    _, buffers = allocated(model.executor.new_predictor())
    assert memory(model.executor, 1) == {"parameters": 4 * 323, "preprocessing": 4 * 8, "buffers": buffers}


def test_no_kernel_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr(loader, "address", lambda kernel, dtype: pytest.fail(f"{kernel} is loaded"))
    fn.Model([fn.Conv2D(3, 3), fn.Flatten(), fn.Dense(2)], "mse", seed=0).build((9, 9, 2)).summary()
    assert "Memory to train with batch_size=32: " in capsys.readouterr().out


def test_the_size_of_a_batch_is_checked():
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        fn.Model([fn.Dense(1)]).build(1).summary(batch_size=0)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1.00 KB"),
        (40_000_000, "38.15 MB"),
        (3 << 40, "3.00 TB"),
    ],
)
def test_bytes_are_shown_as_keras_shows_them(count, text):
    assert readable(count) == text
