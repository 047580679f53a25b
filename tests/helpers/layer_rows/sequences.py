"""Rows of layers of sequences: recurrent ones, attention, masks."""

import numpy as np

import fastnn as fn
from tests.helpers.recurrent_reference import (
    bidirectional,
    gru,
    lstm,
    masked,
    padded,
    recurrent,
    relu,
    simple_rnn,
)
from tests.helpers.reference import ACTIVATIONS


def attention(heads, key_dim, *, causal=False):
    """In the words of the paper, head by head."""

    def reference(x, p):
        projected = x @ p["projection_weights"] + p.get("projection_bias", 0)
        queries, keys, values = np.split(projected, [heads * key_dim, 2 * heads * key_dim], axis=-1)
        outputs = []
        for parts in zip(*(np.split(each, heads, axis=-1) for each in (queries, keys, values)), strict=True):
            query, key, value = parts
            scores = query @ key.swapaxes(1, 2) / np.sqrt(key_dim)
            if causal:
                scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
            outputs.append(ACTIVATIONS["softmax"][0](scores) @ value)
        return np.concatenate(outputs, axis=-1) @ p["output_weights"] + p.get("output_bias", 0)

    return reference


SEQUENCES = {
    "multi_head_attention": (
        lambda: fn.MultiHeadAttention(2, 3),
        (5, 4),
        attention(2, 3),
    ),
    "multi_head_attention of the past": (
        lambda: fn.MultiHeadAttention(3, 2, 5, use_bias=False, use_causal_mask=True),
        (4, 6),
        attention(3, 2, causal=True),
    ),
    "multi_head_attention with dropout": (
        lambda: fn.MultiHeadAttention(1, 9, dropout=0.3),
        (1, 3),
        attention(1, 9),
    ),
    "simple_rnn": (lambda: fn.SimpleRNN(4), (5, 3), recurrent(simple_rnn), {"onnx": "float32"}),
    "simple_rnn of relu": (
        lambda: fn.SimpleRNN(17, "relu", use_bias=False, return_sequences=True),
        (3, 2),
        recurrent(simple_rnn, activation=relu, sequences=True),
        {"onnx": "float32"},
    ),
    "gru": (lambda: fn.GRU(5), (6, 3), recurrent(gru), {"onnx": "float32"}),
    "gru backwards": (
        lambda: fn.GRU(18, use_bias=False, return_sequences=True, go_backwards=True),
        (4, 2),
        recurrent(gru, sequences=True, backwards=True),
        {"onnx": "float32"},
    ),
    "lstm": (lambda: fn.LSTM(5), (6, 3), recurrent(lstm), {"onnx": "float32"}),
    "gru with dropout": (lambda: fn.GRU(3, dropout=0.4), (4, 5), recurrent(gru), {"onnx": "float32"}),
    "bidirectional": (
        lambda: fn.Bidirectional(fn.LSTM(4)),
        (5, 3),
        bidirectional(lstm, np.hstack),
        {"onnx": "float32"},
    ),
    "bidirectional sum of sequences": (
        lambda: fn.Bidirectional(fn.GRU(5, return_sequences=True), "sum"),
        (4, 2),
        bidirectional(gru, sum, sequences=True),
        {"onnx": "float32"},
    ),
    "masked lstm": (
        lambda: fn.Sequential([fn.Masking(), fn.LSTM(4, return_sequences=True), fn.SimpleRNN(3)]),
        (6, 3),
        masked(recurrent(lstm, sequences=True, path="1."), recurrent(simple_rnn, path="2.")),
        {"onnx": False, "draw": padded, "differentiable": False},
    ),
    "masked bidirectional gru": (
        lambda: fn.Sequential([fn.Masking(), fn.Bidirectional(fn.GRU(4))]),
        (5, 2),
        masked(bidirectional(gru, np.hstack, path="1.")),
        {"onnx": False, "draw": padded, "differentiable": False},
    ),
    "lstm backwards": (
        lambda: fn.LSTM(17, use_bias=False, return_sequences=True, go_backwards=True),
        (4, 2),
        recurrent(lstm, sequences=True, backwards=True),
        {"onnx": "float32"},
    ),
}
