"""Learned vectors in place of integers or categories: `Embedding`, `EntityEmbedding`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import initializers
from ..checks import shown, validate
from ..data.categories import LARGEST
from ..engine.ops import ParameterSpec
from .base import Layer
from .category_columns import CategoryColumns
from .parameter import Parameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Graph
    from ..engine.index_limits import IndexLimits, Origins
    from ..engine.ops import Shape, Tensor
    from ..initializers import Initializer

# What finding a vector takes, in multiplications of a product.
_MULTIPLICATIONS_OF_A_LOOK_UP = 1000


class Embedding(Layer):
    """Replace each integer by a learned vector, as in Keras.

    Row ``x`` of the weights is the output for the integer ``x``: ``y = weights[x]``. The integers are
    0 ... ``input_dim - 1``: numbers of words, of users, codes of categories. Inputs of shape (n, time) become
    outputs of shape (n, time, output_dim). They are numbers of the samples themselves: the layer is the
    first, or stands behind `Select`, `Flatten` or `Reshape`, also in a branch of `Concatenate`; layers before
    it may prepare other columns. Arrays of integers, and of floats that are integers, are accepted; others
    are refused wherever samples come in. In the user's compiled code, where nothing is checked, what is not
    such an integer becomes zeros.

    The gradient is zero for vectors that do not occur in a batch. As with dense gradients in Keras and
    PyTorch, optimizers nevertheless go through all of them: with a momentum (`Adam`, `RMSprop`, `SGD` with
    momentum) or weight decay, vectors change in steps in which they do not occur. There is no gradient with
    respect to the input.

    Parameters
    ----------
    input_dim : int, 1 <= input_dim <= 2**24
        How many integers there are. float32 holds no more exactly.
    output_dim : int
        Length of the vectors.
    embeddings_initializer : str or Initializer
        Name, or one of `fastnn.initializers`.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown.

    Examples
    --------
    >>> import fastnn as fn
    >>> layer = fn.Embedding(1000, 8)
    >>> layer([[4, 20, 4]]).shape
    (1, 3, 8)

    A column of a table beside the others:

    >>> embedded = [fn.Select(0), fn.Embedding(7, 3), fn.Flatten()]
    >>> model = fn.Model([fn.Concatenate([embedded, fn.Select([1, 2])]), fn.Dense(1)], loss="mse", seed=0)
    >>> model.predict([[6, 0.5, -0.5]]).shape
    (1, 1)
    """

    kind = "embedding"
    supports_masking = True

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: str | Initializer = "uniform"
    ) -> None:
        super().__init__()
        self.input_dim = validate.integer("input_dim", input_dim, low=1)
        if self.input_dim > LARGEST:
            raise ValueError(
                f"input_dim must be <= 2**24, since float32 holds no larger integers exactly, got {input_dim}"
            )
        self.output_dim = validate.integer("output_dim", output_dim, low=1)
        self.embeddings_initializer = initializers.get(embeddings_initializer)

    weights = Parameter("The vectors, of shape (input_dim, output_dim).")

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: D102
        return (*inputs[0], self.output_dim)

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        return [ParameterSpec("weights", (self.input_dim, self.output_dim), self.embeddings_initializer)]

    @property
    def takes_indices(self) -> bool:  # noqa: D102
        return True

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:  # noqa: D102
        limits.require(origins, self.input_dim, self.label)
        return None

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        return graph.op(
            "layers.embedding.embedding",
            inputs,
            self.output_shape(inputs[0].shape),
            parameters=["weights"],
            settings=(self.input_dim,),
            multiplications=inputs[0].size * (self.output_dim + _MULTIPLICATIONS_OF_A_LOOK_UP),
            matrix=(self.input_dim, self.output_dim),
        )

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {
            "name": self.kind,
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": self.embeddings_initializer.config(),
        }

    def __repr__(self) -> str:
        settings = shown.other(Embedding, {"embeddings_initializer": self.embeddings_initializer})
        return shown.call("Embedding", (self.input_dim, self.output_dim), settings)


class EntityEmbedding(CategoryColumns):
    """Replace columns of categories by learned vectors, one for each category.

    A layer before all others with weights, like `OneHot`; C. Guo, F. Berkhahn, *Entity Embeddings of
    Categorical Variables*, 2016. The numbers of a vector take the place of the old column, and the other
    columns pass through. Categories are integers of any size or text, found and looked up as by `OneHot`;
    so is what the user's compiled code takes, and samples of several axes.

    The gradient is zero for categories that do not occur in a batch; see `Embedding` for what optimizers
    do nevertheless.

    Parameters
    ----------
    output_dim : int, sequence of int, or "auto"
        Length of the vectors, or one length for each of the columns. "auto" is ``min(50, (n + 1) // 2)`` for
        n categories, the rule of the first version of the library fast.ai (J. Howard and others, 2018).
    columns : int or sequence of int, optional
        The columns to embed, all if not given; negative ones count from the last.
    categories : "auto" or sequence of sequences of int or str
        The categories of each of these columns; "auto" uses those that `Model.fit` or `adapt` find. Small
        integers are sorted.
    handle_unknown : {"error", "ignore"}
        What happens with other values: a ValueError, or a vector of zeros. In the user's compiled code, where
        nothing is checked, they become zeros.
    embeddings_initializer : str or Initializer
        Name, or one of `fastnn.initializers`.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown.

    Examples
    --------
    >>> import fastnn as fn
    >>> X = [["red", 0.5], ["blue", 0.1], ["green", 0.7], ["red", 0.2]]
    >>> model = fn.Model([fn.EntityEmbedding(2, columns=0), fn.Dense(1)], loss="mse", seed=0)
    >>> history = model.fit(X, [1.0, 2.0, 3.0, 1.0], epochs=5)
    >>> layer = model.layers[0]
    >>> layer.categories[0].tolist(), layer.weights[0].shape
    (['blue', 'green', 'red'], (3, 2))
    >>> layer([["red", 0.5]])[0, :2].tolist() == layer.weights[0][2].tolist()
    True
    """

    kind = "entity_embedding"
    kernels: tuple[str, ...] = ("layers.embedding.entity.forward",)

    def __init__(
        self,
        output_dim: int | Sequence[int] | str = "auto",
        columns: int | Sequence[int] | None = None,
        categories: str | Sequence[Sequence[int | str]] = "auto",
        handle_unknown: str = "error",
        embeddings_initializer: str | Initializer = "uniform",
    ) -> None:
        super().__init__(columns, categories, handle_unknown)
        self.output_dim = _output_dim(output_dim)
        if isinstance(self.output_dim, tuple):
            counts = [len(known) for known in (self.columns, self.sizes or None) if known is not None]
            if any(count != len(self.output_dim) for count in counts):
                raise ValueError(f"output_dim must have one length for each column, got {output_dim!r}")
        self.embeddings_initializer = initializers.get(embeddings_initializer)

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The vectors of each column, of shape (number of categories, length), in the order of `columns`.

        Views into the model's parameters, which can be written to; rows are in the order of `categories`. The
        parameters are called ``weights_3`` for column 3.
        """
        executor = self.executor
        if executor is None or executor.graph is None:
            return list(self.views.values()) or [self.parameter("weights")]
        (shape,) = executor.graph.node(self).inputs
        return [self.parameter(_name(column)) for column in self.coded_columns(shape[-1])]

    @property
    def has_parameters(self) -> bool:  # noqa: D102
        return True

    def set_categories(self, known: Sequence[NDArray[Any]]) -> None:  # noqa: D102
        super().set_categories([np.sort(of) if of.dtype.kind == "f" else of for of in known])

    def widths(self, sizes: list[int]) -> list[int]:  # noqa: D102
        if self.output_dim == "auto":
            return [min(50, (size + 1) // 2) for size in sizes]
        if isinstance(self.output_dim, tuple):
            if len(self.output_dim) != len(sizes):
                raise ValueError(f"{self!r} has {len(self.output_dim)} lengths for {len(sizes)} columns")
            return list(self.output_dim)
        return [int(self.output_dim)] * len(sizes)

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:  # noqa: D102
        if not self.adapted:
            return []
        columns = self.coded_columns(self.columns_of(inputs[0]))
        shapes = zip(self.sizes, self.widths(self.sizes), strict=True)
        by_column = sorted(zip(columns, shapes, strict=True))  # as they are in the samples
        return [ParameterSpec(_name(j), shape, self.embeddings_initializer) for j, shape in by_column]

    def constants(self, *inputs: Shape) -> NDArray[np.float64]:  # noqa: D102
        if not self.adapted:
            return np.zeros(0)
        n_in = self.columns_of(inputs[0])
        counts, categories = self.counts_and_categories(n_in)
        dimensions = np.zeros(n_in)
        dimensions[self.coded_columns(n_in)] = self.widths(self.sizes)
        return np.concatenate([counts, dimensions, categories])

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        specs = self.parameters(inputs[0].shape)
        numbers, n_coded = sum(math.prod(spec.shape) for spec in specs), len(specs)
        *places, columns = inputs[0].shape
        positions = math.prod(places)
        return graph.op(
            "layers.embedding.entity",
            inputs,
            self.output_shape(inputs[0].shape),
            parameters=[specs[0].name],
            settings=(self._number("categories").size, numbers, n_coded, positions, columns),
            constants=True,
            scratch_per_row=n_coded * positions,
            multiplications=positions
            * (sum(self.widths(self.sizes)) + n_coded * _MULTIPLICATIONS_OF_A_LOOK_UP),
            matrix=(numbers, 1),
        )

    def _check_numbers(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        super()._check_numbers(first, second)
        column = np.repeat(np.arange(first.size), first.astype(int))
        if not np.array_equal(np.lexsort((second, column)), np.arange(second.size)):
            raise ValueError("the categories of a column must be sorted")

    def config(self) -> dict[str, Any]:  # noqa: D102
        output_dim = list(self.output_dim) if isinstance(self.output_dim, tuple) else self.output_dim
        initializer = self.embeddings_initializer.config()
        return {**super().config(), "output_dim": output_dim, "embeddings_initializer": initializer}

    def __repr__(self) -> str:
        settings: dict[str, Any] = {} if self.columns is None else {"columns": list(self.columns)}
        settings |= self._settings()
        settings |= shown.other(
            EntityEmbedding,
            {
                "handle_unknown": self.handle_unknown,
                "embeddings_initializer": self.embeddings_initializer,
            },
        )
        return shown.call("EntityEmbedding", (self.config()["output_dim"],), settings)


def _name(column: int) -> str:
    """What the vectors of a column are called."""
    return f"weights_{column}"


def _output_dim(value: Any) -> int | tuple[int, ...] | str:
    if isinstance(value, str):
        if value != "auto":
            raise ValueError(
                f"output_dim must be 'auto', an integer or a sequence of integers, got {value!r}"
            )
        return value
    if isinstance(value, Iterable):
        lengths = tuple(validate.integer("a length of output_dim", each, low=1) for each in value)
        if not lengths:
            raise ValueError("output_dim must not be empty")
        return lengths
    return validate.integer("output_dim", value, low=1)
