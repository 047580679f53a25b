"""All layers, by the names by which they are saved.

To add one: a subclass of `fastnn.layers.base.Layer` that answers `output_shape`, `parameters`, `lower` and
`config`, in a file of its own, and a line in `TABLE`.
"""

from __future__ import annotations

from typing import Any

from ..checks import validate
from .activation import Activation
from .attention import MultiHeadAttention
from .base import Layer
from .batch_normalization import BatchNormalization
from .bidirectional import Bidirectional
from .containers import Add, Concatenate, Container, Residual, Sequential
from .convolution import Conv1D, Conv2D, Conv2DTranspose
from .dense import Dense
from .depthwise import DepthwiseConv2D, SeparableConv2D
from .derivatives import Derivatives
from .dropout import Dropout, SpatialDropout1D, SpatialDropout2D
from .embedding import Embedding, EntityEmbedding
from .impute import Impute
from .masking import Masking
from .normalization import GroupNormalization, LayerNormalization, RMSNormalization
from .one_hot import OneHot
from .pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from .recurrent import GRU, LSTM, SimpleRNN
from .reshaping import Flatten, Reshape, Select
from .resizing import Cropping1D, Cropping2D, UpSampling1D, UpSampling2D, ZeroPadding1D, ZeroPadding2D
from .scaling import MinMax, Standardize
from .unscale import Unscale

TABLE = {
    kind.kind: kind
    for kind in (
        Dense,
        Activation,
        Dropout,
        Impute,
        Standardize,
        MinMax,
        OneHot,
        Unscale,
        LayerNormalization,
        Conv1D,
        Conv2D,
        Conv2DTranspose,
        DepthwiseConv2D,
        SeparableConv2D,
        Embedding,
        EntityEmbedding,
        BatchNormalization,
        GroupNormalization,
        RMSNormalization,
        MultiHeadAttention,
        UpSampling1D,
        UpSampling2D,
        ZeroPadding1D,
        ZeroPadding2D,
        Cropping1D,
        Cropping2D,
        SpatialDropout1D,
        SpatialDropout2D,
        MaxPooling1D,
        MaxPooling2D,
        AveragePooling1D,
        AveragePooling2D,
        GlobalMaxPooling1D,
        GlobalMaxPooling2D,
        GlobalAveragePooling1D,
        GlobalAveragePooling2D,
        Flatten,
        Reshape,
        Select,
        Sequential,
        Residual,
        Add,
        Concatenate,
        SimpleRNN,
        GRU,
        LSTM,
        Bidirectional,
        Masking,
        Derivatives,
    )
}


def from_config(config: dict[str, Any]) -> Layer:
    """The layer of a saved configuration, with those that it holds."""
    kind = validate.from_table("layer", config["name"], TABLE, type)
    settings = {name: value for name, value in config.items() if name != "name"}
    if issubclass(kind, Container):
        settings |= {name: _held(settings[name]) for name in kind.holds if name in settings}
    layer: Layer = kind(**settings)
    return layer


def _held(value: Any) -> Any:
    """A layer, a list of them, or None, of their saved configurations."""
    if isinstance(value, list):
        return [_held(each) for each in value]
    return from_config(value) if isinstance(value, dict) else value
