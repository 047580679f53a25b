"""How many bytes a model takes, in parts: what a fit or a prediction allocates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..engine.executor import Executor


def memory(executor: Executor, batch_size: int) -> dict[str, int]:
    """Bytes of the parts of a built model that trains with such batches, or without a loss, that predicts.

    Exact, but for what is as long as the data: the order of the samples, data that has to be converted.
    """
    built, constants = executor.built, executor.state.constants
    graph, itemsize = built.graph, np.dtype(executor.dtype).itemsize
    weights = (graph.n_parameters + graph.n_statistics) * itemsize
    result = {"parameters": weights}
    if executor.loss is None:
        buffers = built.prediction_sizes()
    else:
        buffers = built.training_sizes(executor.head, executor.metrics, batch_size)
        state = executor.optimizer.state_vectors() * graph.n_parameters * itemsize
        result |= {
            "gradients": buffers.gradient_bytes(graph.n_parameters, itemsize),
            "optimizer state": state,
            "last finite state": weights + state,
        }
    result["preprocessing"] = constants.nbytes
    return result | {"buffers": buffers.buffer_bytes(len(graph.ops), itemsize)}


def readable(count: int) -> str:
    """Bytes in units of 1,024, as Keras shows them."""
    size, units = float(count), ["bytes", "KB", "MB", "GB", "TB", "PB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        del units[0]
    return f"{count:,} bytes" if units[0] == "bytes" else f"{size:,.2f} {units[0]}"
