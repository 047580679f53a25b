"""The first half of a fit: layers adapt to the data, and the model is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data import coding
from ..engine.weightless import check_rows
from ..layers import preprocessing

if TYPE_CHECKING:
    from ..engine.executor import Executor
    from ..layers.base import Layer
    from .arguments import FitArguments


def adapt_and_build(executor: Executor, layers: tuple[Layer, ...], task: FitArguments) -> None:
    """Adapt layers that are not yet, and build the model if it is not; unchanged if that fails."""
    dtype, x = executor.dtype, task.data.X
    if executor.is_built and all([layer.adapted for layer in layers]):
        executor.build(task.shape)
        executor.columns.take_names(task.names)
        return
    with preprocessing.undone_on_error(layers):
        if not all(layer.adapted for layer in layers):
            preprocessing.adapt(layers, x, task.sample_weight, dtype, task.shape, again=False)
            coding.take(layers, task.found)
            output = executor.shape_of_output(task.shape)
            preprocessing.adapt_to_targets(layers[-1], *task.data[1:], output)
            executor.refresh_constants()
            if task.validation is not None:
                check_rows(layers, task.validation.X, dtype, "validation X", task.shape)
            check_rows(layers, x, dtype, "X", task.shape)
        executor.build(task.shape)
        executor.columns.take_names(task.names)
