"""The ONNX operators that are supported. To add one: a function of a `Call`, and a row in `TABLE`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import (
    _arithmetic,
    _import_convolutions,
    _import_normalizations,
    _import_pools,
    _import_sequences,
    _layout,
    _linear_models,
    _places,
    _products,
    _sums,
)
from ._call import Call, moving

Operator = Callable[[Call], Any]
_OLD = ("broadcast", "consumed_inputs")
_WINDOWS = ("kernel_shape", "strides", "pads", "auto_pad", "ceil_mode", "dilations")
_COORDINATES = ("mode", "coordinate_transformation_mode", "nearest_mode", "axes", "cubic_coeff_a")
_RESIZED = (*_COORDINATES, "exclude_outside", "extrapolation_value", "antialias", "keep_aspect_ratio_policy")
_STATES = ("hidden_size", "direction", "activations", "layout")
_REDUCED = ("axes", "keepdims", "noop_with_empty_axes")

# For each operator its function, and the attributes that it reads or that do not matter.
TABLE: dict[str, tuple[Operator, Sequence[str]]] = {
    "Add": (_arithmetic.add, ("axis", *_OLD)),
    "Sub": (_arithmetic.subtract, ("axis", *_OLD)),
    "Mul": (_arithmetic.multiply, ("axis", *_OLD)),
    "Div": (_arithmetic.divide, ("axis", *_OLD)),
    "Mod": (_arithmetic.modulo, ("fmod",)),
    "Pow": (_arithmetic.power, _OLD),
    "Neg": (_arithmetic.negate, _OLD),
    "Sqrt": (_arithmetic.root, _OLD),
    "Clip": (_arithmetic.clip, ("min", "max", *_OLD)),
    "Max": (lambda call: _arithmetic.limit(call, 0), _OLD),
    "Min": (lambda call: _arithmetic.limit(call, 1), _OLD),
    "HardSigmoid": (_arithmetic.hard_sigmoid, ("alpha", "beta", *_OLD)),
    "Celu": (_arithmetic.celu, ("alpha",)),
    "BatchNormalization": (
        _import_normalizations.batch_normalization,
        ("epsilon", "momentum", "spatial", "is_test", "training_mode", *_OLD),
    ),
    "LayerNormalization": (_import_normalizations.layer_normalization, ("axis", "epsilon", "stash_type")),
    "RMSNormalization": (_import_normalizations.rms_normalization, ("axis", "epsilon", "stash_type")),
    "GroupNormalization": (
        _import_normalizations.group_normalization,
        ("num_groups", "epsilon", "stash_type"),
    ),
    "InstanceNormalization": (_import_normalizations.instance_normalization, ("epsilon", *_OLD)),
    "Dropout": (_arithmetic.dropout, ("ratio", "is_test", "seed", *_OLD)),
    "Where": (_arithmetic.where, ()),
    "Equal": (_arithmetic.equal, _OLD),
    "Cast": (_arithmetic.cast, ("to", "saturate")),
    "MatMul": (_products.matmul, ()),
    "Gemm": (_products.gemm, ("alpha", "beta", "transA", "transB", "broadcast")),
    "Shape": (_places.shape, ("start", "end")),
    "Reshape": (_places.reshape, ("shape", "allowzero", *_OLD)),
    "Flatten": (
        lambda call: moving(call, lambda x: _layout.flattened(x, call.attributes["axis"])),
        ("axis",),
    ),
    "Transpose": (_places.transpose, ("perm",)),
    "Squeeze": (_places.squeeze, ("axes",)),
    "Unsqueeze": (_places.unsqueeze, ("axes",)),
    "Slice": (_places.slice, ("starts", "ends", "axes")),
    "Gather": (_places.gather, ("axis",)),
    "Split": (_places.split, ("axis", "split", "num_outputs")),
    "Concat": (_places.concat, ("axis",)),
    "Expand": (_places.expand, ()),
    "Tile": (_places.tile, ()),
    "ConstantOfShape": (_places.constant_of_shape, ("value",)),
    "Pad": (_import_pools.pad, ("pads", "paddings", "mode", "value")),
    "Trilu": (_sums.triangle, ("upper",)),
    "Abs": (_sums.absolute, _OLD),
    "ReduceSum": (lambda call: _sums.reduced(call, mean=False), _REDUCED),
    "ReduceMean": (lambda call: _import_pools.reduced(call, mean=True), _REDUCED),
    "ReduceMax": (lambda call: _import_pools.reduced(call, mean=False), _REDUCED),
    "ReduceL1": (_sums.absolute_sum, _REDUCED),
    "AveragePool": (lambda call: _import_pools.pool(call, mean=True), (*_WINDOWS, "count_include_pad")),
    "MaxPool": (lambda call: _import_pools.pool(call, mean=False), (*_WINDOWS, "storage_order")),
    "GlobalAveragePool": (lambda call: _import_pools.whole_pool(call, mean=True), ()),
    "GlobalMaxPool": (lambda call: _import_pools.whole_pool(call, mean=False), ()),
    "Resize": (_import_pools.resize, _RESIZED),
    "Upsample": (_import_pools.resize, ("mode", "scales")),
    "Conv": (
        _import_convolutions.convolution,
        ("kernel_shape", "strides", "pads", "auto_pad", "group", "dilations"),
    ),
    "ConvTranspose": (
        _import_convolutions.transposed,
        (
            "kernel_shape",
            "strides",
            "pads",
            "auto_pad",
            "group",
            "dilations",
            "output_padding",
            "output_shape",
        ),
    ),
    "RNN": (lambda call: _import_sequences.recurrent(call, "RNN"), _STATES),
    "GRU": (lambda call: _import_sequences.recurrent(call, "GRU"), (*_STATES, "linear_before_reset")),
    "LSTM": (lambda call: _import_sequences.recurrent(call, "LSTM"), (*_STATES, "input_forget")),
    "ai.onnx.ml.Scaler": (_linear_models.scaler, ("offset", "scale")),
    "ai.onnx.ml.Normalizer": (_linear_models.normalizer, ("norm",)),
    "ai.onnx.ml.LinearRegressor": (
        _linear_models.linear_regressor,
        ("coefficients", "intercepts", "post_transform", "targets"),
    ),
    "ai.onnx.ml.LinearClassifier": (
        _linear_models.linear_classifier,
        (
            "coefficients",
            "intercepts",
            "post_transform",
            "classlabels_ints",
            "classlabels_strings",
            "multi_class",
        ),
    ),
}
SEVERAL_OUTPUTS = (
    "Split",
    "RNN",
    "GRU",
    "LSTM",
    "ai.onnx.ml.LinearClassifier",
)  # operators whose other outputs are known, too
