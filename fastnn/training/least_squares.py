"""Second-order training in compiled code: Levenberg and Marquardt's method, for sums of squares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..compiler import loader
from ..data import array_checks
from ..data.tables import column_names
from ..data.weights import sample_weights, times
from ..engine import launch
from ..engine.data_set import DataSet
from ..engine.frozen import frozen_ranges
from ..kernels.abi.least_squares import (
    COST_CONVERGED,
    FACTOR_BLOCK,
    GRADIENT_CONVERGED,
    LEAST_SQUARES,
    NO_PROGRESS,
    NOT_FINITE_COST,
    SEARCHING,
    STEP_CONVERGED,
)
from ..kernels.abi.oprow import PACK_SIZE
from ..memory.buffers import address, allocate
from .arguments import check_samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..engine.executor import Executor
    from ..model import Model

_MESSAGES = {
    SEARCHING: "max_evaluations is reached",
    COST_CONVERGED: "the cost changes by less than ftol",
    STEP_CONVERGED: "the parameters change by less than xtol",
    GRADIENT_CONVERGED: "the residuals are orthogonal to their derivatives, to within gtol",
    NO_PROGRESS: "no step makes the cost smaller, however short",
}
# Rows at a time of a trial, and about how many bytes of the Jacobian.
_TRIAL_ROWS, _JACOBIAN_BYTES = 32, 1 << 24


@dataclass(frozen=True)
class LeastSquaresResult:
    """How a search ended.

    Attributes
    ----------
    cost : float
        Half the sum of the squares of the residuals, as in SciPy.
    success : bool
        Whether one of the tolerances was met.
    message : str
        Why it ended.
    evaluations : int
        How often the residuals of all samples were computed.
    steps : int
        How many steps were accepted; for each of them the derivatives were computed, too.
    optimality : float
        Largest cosine of the angle between the residuals and a column of the Jacobian, at the last place
        where it was computed.
    history : list of float
        The cost after each evaluation; the first is that of the initial weights.
    """

    cost: float
    success: bool
    message: str
    evaluations: int
    steps: int
    optimality: float
    history: list[float] = field(repr=False)


def levenberg_marquardt(
    model: Model,
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    max_evaluations: int = 200,
    ftol: float = 1e-8,
    xtol: float = 1e-8,
    gtol: float = 1e-8,
    damping: float = 1e-3,
    memory_limit: int = 1 << 31,
) -> LeastSquaresResult:
    """Fit a model to values by the method of Levenberg and Marquardt: the losses `mse` and `sse`.

    For every sample and output there is a residual, ``sqrt(sample_weight) * (output - y)``. A step solves the
    linear least-squares problem of their derivatives with respect to all parameters, damped. So few steps are
    needed that, for networks of up to some thousand parameters, no gradient descent comes close in precision.
    All of it runs in compiled code, in one thread. Dropout is inactive, the model's optimizer is not used,
    and frozen layers (`Layer.trainable`) do not change.

    Parameters
    ----------
    model : Model
        With the loss `mse` or `sse`, and no penalties on weights. In float32 the precision is limited to
        errors of about 1e-6 of the targets; use float64 for more.
    X : array of shape (n, *input_shape)
    y : array of shape (n, *output_shape) or (n,)
    sample_weight : array of shape (n,) or (n, n_out), optional
    max_evaluations : int
        Of the residuals of all samples: one before the first step, and one for each step that is tried.
    ftol, xtol, gtol : float, >= 0
        End where a step changes the cost, or the parameters, by less than this share, or where no cosine of
        the angle between the residuals and a column of the Jacobian is larger: as in SciPy and MINPACK.
    damping : float, > 0
        Of the first step: what is added to the squares of the columns' norms, as a share of them. Larger
        values make for shorter first steps.
    memory_limit : int
        Bytes that may be used: about ``16 * n_parameters**2``, however many samples there are.

    Returns
    -------
    LeastSquaresResult
        The model has the best parameters that were found.

    Raises
    ------
    TypeError, ValueError
        If the model has another loss, or penalties; if an argument, or the data, is not as described above;
        if the outputs are not finite at the start. The model is then unchanged.
    MemoryError
        If more than `memory_limit` would be needed, before anything is allocated.
    KeyboardInterrupt
        The model then has the best parameters that were found.

    Notes
    -----
    J. More, *The Levenberg-Marquardt algorithm: implementation and theory*, Lecture Notes in Mathematics 630
    (1978), for the scaling and the tests of convergence; H. Nielsen, *Damping parameter in Marquardt's
    method*, Technical University of Denmark (1999); M. Hagan, M. Menhaj, *Training feedforward networks with
    the Marquardt algorithm*, IEEE Trans. Neural Networks 5 (1994). The equations are solved by Cholesky
    factors of ``J' J``, which the damping keeps positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn as fn
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = np.sin(3 * X)
    >>> model = fn.Model([fn.Dense(8, "tanh"), fn.Dense(1)], loss="mse", dtype="float64", seed=0)
    >>> result = fn.levenberg_marquardt(model, X, y, max_evaluations=3000)
    >>> model.evaluate(X, y)["loss"] < 1e-8
    True
    """
    require_squares(model, "levenberg_marquardt")
    most = validate.integer("max_evaluations", max_evaluations, low=1)
    tolerances = {"ftol": ftol, "xtol": xtol, "gtol": gtol}
    tolerances = {name: validate.number(name, value, low=0.0) for name, value in tolerances.items()}
    damping = validate.number("damping", damping, above=0.0)
    memory_limit = validate.integer("memory_limit", memory_limit, low=0)
    executor = model.executor
    executor.columns.check_names(X)
    x, target, present = check_samples(executor, X, y, None)
    weight = times(sample_weights(sample_weight, len(x), outputs=target.shape[1]), present)
    weight = None if weight is None else np.ascontiguousarray(weight, model.dtype)
    x = array_checks.array("X", x, model.dtype, (2,))  # a mapped file may have another dtype
    executor.require_adapted()
    shape = executor.shape_of_input(X, x)
    _require_memory(executor.parameter_count(shape), memory_limit)
    executor.build(shape)
    executor.columns.take_names(column_names(X))
    with executor.weights_lock.held():
        search = _Search(executor, DataSet(x, target, weight), tolerances, damping)
        history: list[float] = []
        while len(history) < most and search.goes_on():
            with executor.weights_lock.change():
                search.step()
            if search.fields["evaluations"] > len(history):
                history.append(float(search.fields["cost"]))
    return search.result(history)


def require_squares(model: Model, name: str) -> None:
    """Raise a ValueError of the function `name` if the model's loss is not a sum of squares."""
    if model.loss is not None and model.loss.name not in ("mse", "sse"):
        raise ValueError(
            f"{name} is for the losses 'mse' and 'sse', not {model.loss.name!r}; use fastnn.scipy.minimize"
        )
    for layer in model.layers:
        if any(layer.penalties()):
            raise ValueError(f"{name} does not support the penalties of {layer!r}; use fastnn.scipy.minimize")


def _require_memory(n: int, memory_limit: int) -> None:
    """Raise a MemoryError if the matrices of so many parameters do not fit."""
    memory = 16 * n**2
    if memory > memory_limit:
        raise MemoryError(
            f"levenberg_marquardt of {n} parameters needs about {memory:.3g} bytes, more than "
            f"memory_limit={memory_limit}; use fastnn.scipy.minimize, or an optimizer"
        )


class _Search:
    """The memory of a search, and its steps.

    Attributes
    ----------
    fields : record of `LEAST_SQUARES`
    """

    def __init__(
        self, executor: Executor, data: DataSet, tolerances: dict[str, float], damping: float
    ) -> None:
        self._net, self._data = executor.embedded_network(_TRIAL_ROWS), data
        self._kept: dict[str, NDArray[Any]] = {}
        record = np.zeros(1, LEAST_SQUARES)
        self._record, self.fields = record, record[0]
        n, n_out, dtype = executor.state.parameters.size, data.y.shape[1], executor.dtype
        n_rows = max(1, min(len(data.X) * n_out, _JACOBIAN_BYTES // (8 * max(n, 1))))
        sizes = {
            "pack": PACK_SIZE,
            "rows": n_rows * n,
            "normal": n * n,
            "factor": n * n,
            "block": n * FACTOR_BLOCK,
        }
        sizes |= {"inverse": FACTOR_BLOCK * FACTOR_BLOCK, "gradient": n, "scale": n, "change": n}
        sizes |= {"error": _TRIAL_ROWS * n_out}
        for name, size in sizes.items():
            self._point(name, allocate(size, "float64", f"{name} of levenberg_marquardt"))
        for name in ("gradient_row", "kept"):
            self._point(name, allocate(n, dtype, f"{name} of levenberg_marquardt"))
        frozen = np.array(frozen_ranges(executor.built.graph.parameters), np.int64).reshape(-1, 2)
        self._point("frozen", frozen)
        self._point("target", data.y)
        if data.weight is not None:
            self._point("weight", data.weight)
            self.fields["weight_width"] = 1 if data.weight.ndim == 1 else data.weight.shape[1]
        self.fields["n_frozen"], self.fields["n_rows"] = len(frozen), n_rows
        self.fields["product"] = loader.address("linalg.gemm.product", "float64")
        self.fields["damping"], self.fields["growth"] = damping, 2.0
        for name, value in tolerances.items():
            self.fields[name] = value
        launch.set_data(self._net, DataSet(data.X, None, None))
        self._call = loader.function("training.levenberg_marquardt.step", dtype)

    def _point(self, name: str, array: NDArray[Any]) -> None:
        self._kept[name], self.fields[name] = array, address(array)

    def goes_on(self) -> bool:
        """Whether there is another step to try."""
        return bool(self.fields["status"] == SEARCHING)

    def step(self) -> None:
        """Compute the residuals at one more place; the parameters are the better ones of the two.

        Raises
        ------
        ValueError
            If they are not finite at the start.
        """
        self._call(address(self._record), self._net.fields.own_address)
        if self.fields["status"] == NOT_FINITE_COST:
            raise ValueError(
                "the outputs are not finite, or too large to be squared, at the initial weights; "
                "build the model again with another seed, or scale the data"
            )

    def result(self, history: list[float]) -> LeastSquaresResult:
        """What is known at the end."""
        fields = self.fields
        status = int(fields["status"])
        return LeastSquaresResult(
            float(fields["cost"]),
            status in (COST_CONVERGED, STEP_CONVERGED, GRADIENT_CONVERGED),
            _MESSAGES[status],
            int(fields["evaluations"]),
            int(fields["steps"]),
            float(fields["optimality"]),
            history,
        )
