"""Attention of a sequence to itself: `MultiHeadAttention`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import initializers
from ..checks import shown, validate
from ..engine.ops import ParameterSpec
from .base import Layer
from .dense import lower_product
from .parameter import Parameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor
    from ..initializers import Initializer

_SETTINGS = ("value_dim", "dropout", "use_bias", "use_causal_mask", "kernel_initializer", "bias_initializer")


class MultiHeadAttention(Layer):
    """Attention of a sequence to itself: each time gets a mean of what the others have, by learned weights.

    In each head queries, keys and values, Q, K and V, are projections of the input, and
    ``softmax(Q K' / sqrt(key_dim)) V`` is its output; the outputs of all heads are projected to as many
    features as the input has. This is Keras's layer of the same name with one input for query, key and value.
    A. Vaswani et al., *Attention Is All You Need*, NeurIPS 2017.

    Input and output are of shape (time, features).

    Parameters
    ----------
    num_heads : int
    key_dim : int
        Numbers of a query and of a key, for each head.
    value_dim : int, optional
        Numbers of a value, for each head; `key_dim` if not given.
    dropout : float, 0 <= dropout < 1
        Fraction of the attention weights that is dropped in training.
    use_bias : bool
        Whether the projections have a bias.
    use_causal_mask : bool
        Whether a time sees only itself and what is before it.
    kernel_initializer, bias_initializer : str or Initializer
        Name, or one of `fastnn.initializers`; each projection is drawn by itself, with Keras's fan.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown.

    Examples
    --------
    A block of a transformer, of two residual parts:

    >>> import numpy as np
    >>> import fastnn as fn
    >>> attention = [fn.LayerNormalization(), fn.MultiHeadAttention(4, 8, use_causal_mask=True)]
    >>> dense = [fn.LayerNormalization(), fn.Dense(64, "gelu"), fn.Dense(16)]
    >>> model = fn.Model([fn.Residual(attention), fn.Residual(dense)], seed=0).build((10, 16))
    >>> model.predict(np.ones((3, 10, 16))).shape
    (3, 10, 16)
    """

    kind = "multi_head_attention"

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        use_causal_mask: bool = False,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
    ) -> None:
        super().__init__()
        self.num_heads = validate.integer("num_heads", num_heads, low=1)
        self.key_dim = validate.integer("key_dim", key_dim, low=1)
        given = self.key_dim if value_dim is None else value_dim
        self.value_dim = validate.integer("value_dim", given, low=1)
        self.dropout = validate.number("dropout", dropout, low=0.0, below=1.0)
        self.use_bias = validate.boolean("use_bias", use_bias)
        self.use_causal_mask = validate.boolean("use_causal_mask", use_causal_mask)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    projection_weights = Parameter(
        "Weights of queries, keys and values, of shape (features, num_heads * (2 * key_dim + value_dim)): "
        "the queries of all heads come first, then the keys, then the values."
    )

    projection_bias = Parameter(
        "Bias of queries, keys and values, of shape (num_heads * (2 * key_dim + value_dim),)."
    )

    output_weights = Parameter("Weights of the output, of shape (num_heads * value_dim, features).")

    output_bias = Parameter("Bias of the output, of shape (features,).")

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        if len(inputs[0]) != 2:
            raise ValueError(
                f"{self.label} expects an input of shape (time, features), got {inputs[0]}; put "
                "fn.Reshape((time, features)) before it"
            )
        return inputs[0]

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        features, heads = inputs[0][-1], self.num_heads
        widths = heads * self.key_dim, heads * self.key_dim, heads * self.value_dim
        fans = [(heads * features, width * features // heads) for width in widths]
        inner = heads * self.value_dim
        drawn = _Projections(self.kernel_initializer, widths, fans)
        specs = [ParameterSpec("projection_weights", (features, sum(widths)), drawn)]
        if self.use_bias:
            bias = _Projections(self.bias_initializer, widths, fans)
            specs.append(ParameterSpec("projection_bias", (sum(widths),), bias))
        fan = inner, features * heads
        specs.append(ParameterSpec("output_weights", (inner, features), self.kernel_initializer, fan))
        if self.use_bias:
            specs.append(ParameterSpec("output_bias", (features,), self.bias_initializer))
        return specs

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        (x,) = inputs
        length, features = self.output_shape(x.shape)
        heads, values = self.num_heads, self.num_heads * self.value_dim
        projected = self._project(graph, x, "projection", 2 * heads * self.key_dim + values)
        attended = graph.op(
            "layers.attention",
            [projected],
            (length, values),
            settings=(heads, self.key_dim, length, self.use_causal_mask, self.dropout),
            saves="x",
            scratch_per_row=heads * length * length,
            shared_scratch=(self.key_dim + self.value_dim + 3) * length,
            multiplications=length * length * (heads * self.key_dim + values),
            drops=self.dropout > 0,
        )
        return self._project(graph, attended, "output", features)

    def _project(self, graph: Graph, x: Tensor, name: str, units: int) -> Tensor:
        bias = f"{name}_bias" if self.use_bias else None
        return lower_product(graph, x, units, f"{name}_weights", bias)

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {
            "name": self.kind,
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_causal_mask": self.use_causal_mask,
            "kernel_initializer": self.kernel_initializer.config(),
            "bias_initializer": self.bias_initializer.config(),
        }

    def __repr__(self) -> str:
        settings = shown.other(MultiHeadAttention, {name: getattr(self, name) for name in _SETTINGS})
        if self.value_dim == self.key_dim:
            settings.pop("value_dim", None)
        return shown.call("MultiHeadAttention", (self.num_heads, self.key_dim), settings)


class _Projections:
    """Draws the columns of several projections side by side, each with its own fan."""

    def __init__(
        self, initializer: Initializer, widths: tuple[int, ...], fans: list[tuple[int, int]]
    ) -> None:
        self._initializer, self._widths, self._fans = initializer, widths, fans
        self.is_safe = initializer.is_safe

    def draw(
        self, shape: Shape, generator: np.random.Generator, fan: tuple[int, int] | None = None
    ) -> NDArray[Any]:
        """See `engine.ops.Initializer`."""
        parts = [
            self._initializer.draw((*shape[:-1], width), generator, own)
            for width, own in zip(self._widths, self._fans, strict=True)
        ]
        return np.concatenate(parts, axis=-1)
