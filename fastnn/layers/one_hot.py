"""One-hot coding of columns of categories: `OneHot`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import shown
from .category_columns import CategoryColumns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor


class OneHot(CategoryColumns):
    """Encode columns of categories: a column of zeros and ones for each category replaces each of them.

    A first layer of a model. The new columns take the place of the old one, in the order of the
    categories. These are integers of any size or text, and are read before the data is converted to
    the model's dtype: tables, lists and arrays of objects may hold text in these columns.

    In samples of several axes, such as sequences, the columns are the channels of the last axis, each with
    the same categories at all positions. These are then integers of at most ``2**24`` in size.

    Inside compiled code (`fastnn.forward`), where an input is an array of numbers, a category is an
    integer of at most ``2**24`` in size. Of a column with larger ones, or with text, the input is the number
    of the category in `categories`.

    Parameters
    ----------
    columns : int or sequence of int, optional
        The columns to code, all if not given; negative ones count from the last. The others pass
        through.
    categories : "auto" or sequence of sequences of int or str
        The categories of each of these columns; "auto" uses those that `Model.fit` or `adapt` find,
        sorted.
    handle_unknown : {"error", "ignore"}
        What happens with other values: a ValueError, or zeros in all columns. In the user's compiled code,
        where nothing is checked, they become zeros.

    Examples
    --------
    >>> import fastnn as fn
    >>> layer = fn.OneHot(0).adapt([[7, 0.5], [9, 0.5], [7, 0.1]])
    >>> layer.categories
    [array([7., 9.])]
    >>> layer([[9, 0.3]])
    array([[0. , 1. , 0.3]], dtype=float32)
    >>> fn.OneHot(0).adapt([["red", 0.5], ["blue", 0.5]])([["red", 0.3]])
    array([[0. , 1. , 0.3]], dtype=float32)
    """

    kind = "one_hot"
    kernels = ("layers.one_hot.forward",)

    def widths(self, sizes: list[int]) -> list[int]:  # noqa: D102
        return sizes

    def constants(self, *inputs: Shape) -> NDArray[np.float64]:  # noqa: D102
        if not self._statistics:
            return np.zeros(0)
        return np.concatenate(self.counts_and_categories(self.columns_of(inputs[0])))

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        *places, columns = inputs[0].shape
        settings = (self._number("categories").size, math.prod(places), columns)
        shape = self.output_shape(inputs[0].shape)
        return graph.op("layers.one_hot", inputs, shape, settings=settings, constants=True)

    def __repr__(self) -> str:
        settings: dict[str, Any] = self._settings()
        settings |= shown.other(OneHot, {"handle_unknown": self.handle_unknown})
        return shown.call("OneHot", () if self.columns is None else (list(self.columns),), settings)
