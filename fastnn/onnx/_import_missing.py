"""Missing values that are replaced, as a layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.impute import Impute
from ._layout import BATCH
from ._steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..layers.base import Layer
    from ._assembly import Assembly
    from ._rows import Rows


def imputed(
    assembly: Assembly,
    x: Rows,
    fill: NDArray[Any],
    imputed: NDArray[Any] | None = None,
    indicated: NDArray[Any] | None = None,
) -> Rows:
    """Numbers in place of NaN as `fastnn.onnx.export` writes them, which does not say how they were found."""
    n, axes = x.sizes[-1], [axis for axis, size in enumerate(x.sizes) if size != BATCH]
    chosen = np.ones(n, bool) if imputed is None else imputed
    places = np.zeros(0, np.int64) if indicated is None else indicated
    if fill.shape != (n,) or chosen.shape != (n,) or places.ndim != 1:
        raise ValueError("it does not have one number for each column of the last axis")
    if places.tolist() != sorted({*places.tolist()} & {*np.flatnonzero(chosen).tolist()}):
        raise ValueError("it marks other columns than those that it fills, or not in their order")
    columns = None if imputed is None else np.flatnonzero(chosen).tolist()
    numbers = {
        "fill_values": np.where(chosen, assembly.numbers("fill", fill), 0.0),
        "had_missing": np.zeros(n),
    }
    numbers["had_missing"][places] = 1

    def make() -> Layer:
        layer = Impute(add_indicator=indicated is not None, columns=columns)
        layer.set_statistics(numbers)
        return layer

    takes = tuple(x.sizes[axis] for axis in axes)
    gives = (*takes[:-1], n + places.size)
    made = Step(math.prod(gives), make=make, takes=takes, gives=gives)
    return assembly.layer(x, axes, made, [*x.sizes[:-1], gives[-1]])
