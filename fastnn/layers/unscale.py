"""A last layer that undoes the scaling of the target: `Unscale`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..data import array_checks, sample_checks, weights
from ..data.rows import as_rows, sample_shape
from ..engine import weightless
from .preprocessing import Preprocessing
from .scaling import moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..engine.graph import Graph
    from ..engine.ops import Shape, Tensor
    from ..engine.weightless import Blocks

_SMALLEST = float(np.finfo(np.float32).tiny)  # of a scale: smaller numbers are flushed to zero


class Unscale(Preprocessing):
    """A last layer that returns values in the units of the target: ``y = x * scale + mean``.

    `Model.fit` adapts it to the training targets, with the weights of their samples: `mean` and
    `scale` become their mean and standard deviation, output by output. A target of any size is then
    learned as well as a standardized one, and nothing has to be scaled back: `predict`, the metrics,
    `fastnn.forward` and an ONNX graph return values in the units of the target.

    Only the loss, in histories, in `evaluate` and wherever a gradient is computed, is that of the scaled
    target, ``(y - mean) / scale``, and of the input of this layer: this is what training minimizes, and
    what a setting of the loss (`delta` of huber) refers to. With `mse` it is the unexplained fraction of
    the variance. Of an output of several axes each channel of the last axis has one mean and one scale.

    For losses of values: `mse`, `sse`, `mae`, `huber`, `quantile` and user-defined ones.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> price = 250_000 + 40_000 * np.sin(3 * X)
    >>> layers = [fn.Dense(16, "tanh"), fn.Dense(1), fn.Unscale()]
    >>> model = fn.Model(layers, loss="mse", optimizer=fn.Adam(0.01), metrics=["mae"], seed=0)
    >>> history = model.fit(X, price, epochs=300)
    >>> model.evaluate(X, price)["mae"] < 3000
    True
    """

    kind = "unscale"
    names = ("mean", "scale")
    kernels = ("layers.unscale.forward", "layers.scaling.moments")
    of_targets = True

    def __init__(self) -> None:
        super().__init__()

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each output's target, of shape (n_out,), or of each channel's."""
        return self._number("mean")

    @property
    def scale(self) -> NDArray[np.float64]:
        """Standard deviation, like `mean`; 1 where that is 0."""
        return self._number("scale")

    def adapt(self, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Take the numbers from given targets, in place of earlier ones.

        Parameters
        ----------
        y : array of shape (n, *output_shape), or (n,) for one output
        sample_weight : array of shape (n,), optional
            Numbers >= 0.

        Returns
        -------
        Unscale
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described above, or the layer is part of a model with another
            number of outputs; the layer is then as it was.
        """
        dtype = "float64" if self.executor is None else self.executor.dtype
        shape = sample_shape(y)
        given = array_checks.array("y", as_rows(y, shape, "y"), dtype, (1, 2))
        target = given.reshape(-1, 1) if given.ndim == 1 else given
        target = sample_checks.features(target, dtype, None, name="y", given=given.shape, table=y)
        weight = weights.of_samples(sample_weight, len(target), dtype)
        with self._changing() as executor:
            blocks = weightless.blocks([], target, weight, dtype, target.shape[1:])
            n_out = self.columns_of(shape or target.shape[1:])
            self._take_statistics(self.compute_statistics(blocks, n_out))
            if executor is not None:
                executor.refresh_constants()
        return self

    def compute_statistics(self, blocks: Blocks, n_in: int) -> dict[str, NDArray[np.float64]]:  # noqa: D102
        mean, scale = moments("y", blocks, n_in)
        return {"mean": mean, "scale": scale}

    def constants(self, *inputs: Shape) -> NDArray[np.float64]:  # noqa: D102
        if not self._statistics:
            return np.zeros(0)
        n_in = self.columns_of(inputs[0])
        if self.mean.size != n_in:
            raise ValueError(f"{self!r} is adapted to {self.mean.size} outputs, but the model has {n_in}")
        positions = math.prod(inputs[0][:-1])
        return np.concatenate([np.tile(self.mean, positions), np.tile(self.scale, positions)])

    def columns_of(self, shape: Shape) -> int:  # noqa: D102
        return shape[-1]

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:  # noqa: D102
        return graph.op("layers.unscale", inputs, inputs[0].shape, constants=True)

    def _check_numbers(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        if first.size == 0 or first.size != second.size:
            raise ValueError(f"mean and scale must have one shape, got {first.shape} and {second.shape}")
        if second.min() < _SMALLEST:
            raise ValueError(f"scale must be >= {_SMALLEST:g}, got {second.min():g}")

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"name": self.kind}

    def __repr__(self) -> str:
        return "Unscale()"
