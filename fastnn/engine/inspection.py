"""What a model computes inside, and derivatives with respect to its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import hints
from ..data import array_checks, missing, sample_checks
from ..data.rows import as_rows
from ..kernels.abi.oprow import OP
from ..memory import buffers
from . import launch
from .data_set import DataSet
from .lengths import check_lengths
from .weightless import check_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .executor import Executor
    from .graph import Node
    from .ops import Shape

_ROWS = 32  # that a network computes at a time


def samples(executor: Executor, X: Any) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Checked samples as rows of the model's dtype; and (n,), or () for a single sample.

    NaN is accepted where `Impute` takes it; the derivative with respect to it is 0.

    Raises
    ------
    TypeError, ValueError
        As `Model.predict`; ValueError also if the model is not built.
    """
    shape, dtype = executor.built.graph.input.shape, executor.dtype
    executor.columns.check_names(X)
    given = executor.columns.coded(X) if len(shape) == 1 else as_rows(X, shape, "X")
    nan = missing.columns(executor.layers, shape)
    checked = array_checks.array("X", given, dtype, (1, 2), missing=nan)
    x = checked if checked.ndim == 2 else checked.reshape(1, -1)
    x = sample_checks.features(x, dtype, executor.n_in, given=checked.shape, table=X, missing=nan)
    check_rows(executor.layers, x, dtype, "X", shape)
    return x, (len(x),) if checked.ndim == 2 else ()


def sequences(
    executor: Executor, X: Any, lengths: Any
) -> tuple[NDArray[Any], tuple[int, ...], NDArray[np.int64] | None]:
    """What `samples` gives, and the checked lengths, if any are given."""
    x, leading = samples(executor, X)
    return x, leading, check_lengths(executor, lengths, len(x), executor.built.graph.input.shape)


def find_layer(executor: Executor, layer: Any, name: str = "layer") -> Node:
    """The node of a layer: by its number (negative ones count from the end), its path, or itself.

    Raises
    ------
    ValueError
        If there is none, or the model is not built.
    """
    nodes = {node.path: node for node in executor.built.graph.nodes}
    if isinstance(layer, int) and not isinstance(layer, bool):
        key = str(layer + len(executor.layers) if layer < 0 else layer)
    else:
        key = next((path for path, node in nodes.items() if node.layer is layer), layer)
    if not isinstance(key, str) or key not in nodes:
        near = hints.nearest(layer, nodes)
        raise ValueError(
            f"{name} must be the number, the path or the object of a layer of the model, one of "
            f"{', '.join(nodes)}, got {layer!r}{near}"
        )
    return nodes[key]


class Inspector:
    """A model up to one of its layers: outputs, and their derivatives with respect to the input.

    The weights are those of the model when a method is called. All arrays are of the model's dtype, with
    samples as rows of numbers.

    Parameters
    ----------
    executor : Executor
        Built.
    node : Node, optional
        All of the model if not given.
    lengths : array of int, optional
        Checked, of the samples that the methods are given.
    """

    def __init__(
        self, executor: Executor, node: Node | None = None, lengths: NDArray[np.int64] | None = None
    ) -> None:
        self._executor, self._lengths = executor, lengths
        executor.require_adapted()
        self.output_shape: Shape = executor.built.graph.output.shape if node is None else node.output
        self._net = executor.built.for_derivatives(executor.state, node, _ROWS, lengths is not None)
        self._n_out = int(np.prod(self.output_shape))

    def outputs(self, x: NDArray[Any]) -> NDArray[Any]:
        """Of shape (n, n_out)."""
        result = buffers.empty((len(x), self._n_out), x.dtype.name, "the output")
        with self._executor.weights_lock.exclusive():
            # Checked before, and NaN may be right.
            launch.predict(self._net, x, result, check=False, lengths=self._lengths)
        return result

    def input_gradient(self, x: NDArray[Any], dy: NDArray[Any]) -> NDArray[Any]:
        """Of shape (n, n_in): the derivatives of ``sum(dy * outputs)``; dy of shape (n, n_out)."""
        result = buffers.empty(x.shape, x.dtype.name, "the gradient")
        self._derivatives("input_gradient", x, result, np.ascontiguousarray(dy, x.dtype))
        return result

    def jacobian(self, x: NDArray[Any]) -> NDArray[Any]:
        """Of shape (n, n_out, n_in)."""
        result = buffers.empty((len(x), self._n_out, x.shape[1]), x.dtype.name, "the Jacobian")
        self._derivatives("jacobian", x, result)
        return result

    def _derivatives(
        self, entry: str, x: NDArray[Any], result: NDArray[Any], dy: NDArray[Any] | None = None
    ) -> None:
        lengths = self._lengths
        with self._executor.weights_lock.exclusive():
            if lengths is None:
                launch.derivatives(entry, self._net, x, result, dy)
                return
            for start in range(0, len(x), _ROWS):  # where lengths are read, the rows at hand are the first
                rows = slice(start, start + _ROWS)
                own = None if dy is None else dy[rows]
                launch.derivatives(entry, self._net, x[rows], result[rows], own, lengths[rows])


def loss_input_gradient(
    executor: Executor, x: NDArray[Any], y: NDArray[Any], lengths: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Derivatives of the loss of all samples as one batch with respect to them, of shape (n, n_in).

    x and y as `training.arguments.check_samples` gives them; the executor has a loss.
    """
    with executor.weights_lock.exclusive():
        net = executor.network("input", len(x), lengths)
        launch.set_data(net, DataSet(x, y, None), lengths)
        launch.run("gradient", net)
        at = net.ops.view(OP)["dx"][0, 0]
        return net.workspace[at : at + x.size].reshape(x.shape).copy()
