"""A network as data: arrays around the one descriptor that every compiled call takes.

`Network` is a NamedTuple of NumPy arrays, so that it can be an argument of compiled code. The
functions here make it and fill its tables; `launch` calls compiled code with it.

Compiled code relies on addresses in the descriptor. So the arrays of a network, and those of an optimizer's
state, are one whole: what could take one of them for another, or a copy for it, is refused.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn

import numpy as np

from ..checks import validate
from ..compiler import cache_key, loader
from ..kernels.abi import oprow
from ..kernels.abi.descriptor import ALL, BLOCKS, SIZE
from ..memory import guard
from ..memory.buffers import address, allocate
from . import late_entries, loss_rows
from .fields import fields_of
from .network_sizes import WHOLE, network_sizes
from .plan import note_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..losses import Loss
    from ..metrics import Metric
    from .plan import Plan
    from .threads import Parts


class _Whole:
    """Base of tuples whose arrays stay together."""

    __slots__ = ()
    _name: ClassVar[str]
    _instead_of_copy: ClassVar[str]
    _instead_of_replacing: ClassVar[str]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse pickle and deep copies: the arrays hold addresses of each other."""
        raise TypeError(f"{self._name} cannot be copied or pickled; {self._instead_of_copy}")

    def _replace(self, **arrays: Any) -> NoReturn:
        """Refuse other arrays, at whose addresses no compiled code would look."""
        raise TypeError(
            f"the arrays of {self._name} cannot be replaced, got {', '.join(arrays) or 'none'}; "
            f"{self._instead_of_replacing}"
        )

    __replace__ = _replace  # that of copy.replace


class _NetworkArrays(NamedTuple):
    descriptor: NDArray[np.int64]
    workers: NDArray[np.int64]
    ops: NDArray[np.int64]
    predict_ops: NDArray[np.int64]
    input_ops: NDArray[np.int64]
    output_ops: NDArray[np.int64]
    step_ops: NDArray[np.int64]
    extra: NDArray[np.int64]
    parameters: NDArray[Any]
    statistics: NDArray[Any]
    constants: NDArray[Any]
    limits: NDArray[Any]
    gradient: NDArray[Any]
    loss: NDArray[np.float64]
    gradients: NDArray[Any]
    workspace: NDArray[Any]
    scratch: NDArray[Any]
    sums: NDArray[np.float64]
    team: NDArray[np.int64]
    version: NDArray[Any]


class Network(_Whole, _NetworkArrays):
    """Everything that a compiled call needs, and the arrays that keep it alive.

    Attributes
    ----------
    descriptor : int64 array of shape (descriptor.SIZE,)
        Addresses, sizes, positions, as ``kernels/abi/descriptor.py`` names them; see `fields`.
    workers : int64 array of shape (n, descriptor.SIZE)
        The descriptors of the threads, of which there may be as many as parts of a batch.
    ops : int64 array of shape (n, oprow.SIZE)
        The layers' op rows.
    predict_ops, input_ops, output_ops, step_ops : int64 arrays of shape (n, oprow.SIZE)
        The rows for prediction, for gradients with respect to the input, the same for gradients with respect
        to parameters only, and for one time step; (0, oprow.SIZE) if this network is not for that.
    extra : int64 array of shape (n, oprow.SIZE)
        The rows of the loss, the penalties and the metrics, in this order; then what passes know of an
        optimizer.
    parameters : array of shape (n_parameters,)
        The flat vector of the model, which shares it.
    statistics, constants : arrays of shape (n,)
        The running statistics of the model, which shares them; the numbers of preprocessing layers.
    limits : array of shape (n_in,), or (0,) if no number of a sample is an index
        What indices must be less than. In networks for prediction infinity for numbers that must be
        finite; in others NaN.
    gradient : array of shape (n_parameters,)
        That of the latest `fastnn.loss_and_gradient`, `fastnn.train_step` or `fastnn.backward`, in the order
        of the parameters; NaN before. Empty in a network for prediction.
    loss : float64 array of shape (1,)
        That of the latest `fastnn.loss_and_gradient` or `fastnn.train_step`.
    gradients : array of shape (n, n_parameters)
        Of each part of a batch, or one; the first row becomes that of the batch. One more in a network for
        compiled code, which may add up those of several batches.
    workspace : array of shape (size,)
        Activations, and gradients with respect to them, of all rows of a batch.
    scratch : array of shape (n, size)
        Memory of each thread that ops use during a call.
    sums : float64 array
        The gradient's squares, block by block; the loss of each part of a batch; the state of the metrics.
    team : int64 array of shape (2,)
        The team's counter of arrivals, and its sign to give up.
    version : array of shape (0,)
        Its dtype names the sources of the kernels, so that Numba does not take functions from its cache
        that were compiled with others.
    """

    _name = "a network"
    _instead_of_copy = "copy the model and use its network()"
    _instead_of_replacing = "write into them (net.parameters[...] = values), or use fn.clone_workspace(net)"

    @functools.cached_property
    def fields(self) -> Any:
        """The descriptor's fields as attributes, for Python."""
        return fields_of(self.descriptor)

    def new_state(self, n: int) -> NDArray[Any]:
        """What `fastnn.step` carries from one time step to the next, at the start of n sequences: zeros.

        An array of shape (n, numbers): a row may be copied, or set to zeros for another sequence.

        Raises
        ------
        TypeError, ValueError
            If n is not an integer >= 1, or the network cannot run step by step.
        """
        if not len(self.step_ops):
            raise ValueError(
                "the network cannot run one time step at a time; up to the last recurrent layer, layers must "
                "take each time step alone, as fn.Bidirectional, go_backwards and fn.Flatten do not"
            )
        return np.zeros((validate.integer("n", n, low=1), self.fields.state_width), self.parameters.dtype)


class _OptimizerArrays(NamedTuple):
    vectors: NDArray[Any]
    counters: NDArray[np.int64]
    rows: NDArray[np.int64]
    parameters: NDArray[Any]


class OptimizerState(_Whole, _OptimizerArrays):
    """An optimizer's settings and memory, as `fastnn.train_step` takes them; see `Model.optimizer_state`.

    Attributes
    ----------
    vectors : array of shape (k * n_parameters,)
        What the optimizer remembers, k vectors. The model's own.
    counters : int64 array of shape (3,)
        Steps made, epochs finished, samples of the current epoch. The model's own.
    rows : int64 array of shape (n, oprow.SIZE)
        The rows of the optimizer and of its schedule, and the ranges of parameters that are not trained.
    parameters : array of shape (n_parameters,)
        The flat vector of the model whose optimizer it is.
    """

    __slots__ = ()
    _name = "an optimizer's state"
    _instead_of_copy = "copy the model and use its optimizer_state()"
    _instead_of_replacing = "write into them, or use optimizer_state() of the model"


_LOSS, _PENALTIES = range(2)
_BATCH = ("batch_x", "batch_y", "batch_weight")
_NO_OPS = np.zeros((0, oprow.SIZE), np.int64)


@functools.cache
def _version() -> NDArray[Any]:
    """An array without elements; its dtype has the cache's key for its name."""
    return np.zeros(0, [(f"kernels_{cache_key.key()}", np.int8)])


def network(
    plan: Plan,
    parameters: NDArray[Any],
    *,
    statistics: NDArray[Any],
    constants: NDArray[Any],
    batch_size: int,
    cut: Parts = WHOLE,
    n_workers: int | None = None,
    loss: Loss | None = None,
    penalties: Sequence[tuple[int, int, tuple[float, ...]]] = (),
    metrics: Sequence[Metric] = (),
    predict: Plan | None = None,
    inputs: Plan | None = None,
    step: Plan | None = None,
    scales_targets: bool = False,
    limits: NDArray[Any] | None = None,
    passes: int | None = None,
) -> Network:
    """Allocate the workspace of a plan and fill the descriptors.

    Parameters
    ----------
    plan : Plan
        Of the rows of a batch.
    parameters : array of shape (n_parameters,)
    statistics, constants : arrays of shape (n,)
    batch_size : int
        Rows of a step.
    cut : Parts
        How a batch is cut.
    n_workers : int, optional
        Most threads of a call; by default as many as parts.
    loss : Loss, optional
        Without, the network can predict only.
    penalties : sequence of (offset, size, factors)
        The weights that are penalised, as places in the flat vector, and how much: l1, l2, alpha.
    metrics : sequence of Metric
    predict, inputs, step : Plan, optional
        For as many rows: for prediction, if `plan` is for training, for gradients with respect to the
        input, and for one time step.
    scales_targets : bool
        Whether targets are scaled by the numbers of the last op: see `kernels.layers.unscale`.
    limits : array of shape (n_in,), optional
        Of `Network`.
    passes : int, optional
        For passes (see `kernels.embedded.passes`): how many arrays of parameters and statistics there are.
    """
    dtype, count = parameters.dtype.name, parameters.size
    sizes = network_sizes(
        plan, cut=cut, n_workers=n_workers, loss=loss, n_penalties=len(penalties), metrics=metrics,
        predict=predict, inputs=inputs, step=step, scales_targets=scales_targets,
        pass_rows=None if passes is None else optimizer_table_rows(passes),
    )  # fmt: skip
    gradients = allocate(sizes.gradients * count, dtype, "gradients").reshape(sizes.gradients, count)
    workers = sizes.workers
    net = Network(
        descriptor=allocate(SIZE, "int64", "descriptor"),
        workers=allocate(workers * SIZE, "int64", "workers").reshape(workers, SIZE),
        ops=_numbers(plan),
        predict_ops=_numbers(plan if predict is None else predict),
        input_ops=_NO_OPS if inputs is None else _numbers(inputs),
        output_ops=_NO_OPS if inputs is None else np.zeros_like(_numbers(inputs)),
        step_ops=_NO_OPS if step is None else _numbers(step),
        extra=np.zeros((sizes.rows, oprow.SIZE), np.int64),
        parameters=parameters,
        statistics=statistics,
        constants=constants,
        limits=np.zeros(0, dtype) if limits is None else limits,
        gradient=gradients[:1].reshape(-1),
        loss=allocate(1, "float64", "loss"),
        gradients=gradients,
        workspace=allocate(sizes.workspace, dtype, "workspace"),
        scratch=allocate(workers * sizes.scratch, dtype, "scratch").reshape(workers, sizes.scratch),
        sums=allocate(sizes.sums, "float64", "sums"),
        team=allocate(2, "int64", "team"),
        version=_version(),
    )
    guard.poison(net.workspace)
    if predict is inputs is step is None:  # otherwise a gap of one is a tensor of another
        guard.add_zones(net.workspace, plan.gaps)
    fields = net.fields
    fields.n_ops, fields.n_parameters = len(net.ops), parameters.size
    fields.itemsize, fields.multiplications = parameters.itemsize, plan.multiplications
    fields.n_penalties, fields.n_metrics = len(penalties), len(metrics)
    fields.metric_state_size = sizes.metric_state
    fields.n_features, fields.n_outputs, fields.weight_width = plan.n_in, plan.n_out, 1
    fields.batch_size, fields.predict_batch = batch_size, plan.rows
    fields.n_parts, fields.part_gradients = cut
    fields.coupled, fields.n_weights = bool(plan.ops["coupled"].any()), ALL
    fields.predict = loader.address("driver.loop.predict", "float64")
    if step is not None:
        fields.step_features, fields.step_outputs, fields.state_width = step.n_in, step.n_out, step.state
    _point_to_arrays(net)
    if passes is not None:
        gradients[0] = np.nan
        late_entries.enter(fields, dtype)
    note_parameters(plan.ops, parameters.size)
    if inputs is not None:
        if inputs is not plan:
            note_parameters(inputs.ops, parameters.size)
        net.output_ops[...] = net.input_ops
        net.output_ops.view(oprow.OP)["backward_input"][inputs.for_input] = 0
    fields.cost = plan.ops["cost"][plan.ops["backward_weights"] != 0].sum()
    for name, offset in zip(_BATCH, sizes.batch, strict=bool(sizes.batch)):
        setattr(fields, name, fields.workspace + offset * parameters.itemsize)
    loss_rows.fill_penalties(net.extra[_PENALTIES:], penalties, dtype)
    if loss is not None:
        fields.sum_loss = loss.is_sum
        for entry in ("gather", "weight_sum", "sum_gradients", "squares"):
            setattr(fields, entry, loader.address(f"driver.batch.{entry}", dtype))
        loss_rows.fill_loss(net.extra[_LOSS], plan, loss, dtype, sizes.scaled)
        loss_rows.fill_metrics(net.extra[_PENALTIES + len(penalties) :], plan, loss, metrics, dtype)
    return net


def pass_table(net: Network) -> NDArray[np.int64]:
    """What passes know of an optimizer: the last rows of `extra`."""
    return net.extra[_PENALTIES + net.fields.n_penalties + net.fields.n_metrics :]


def optimizer_table_rows(places: int) -> int:
    """Rows of an optimizer: its own, its schedule's, and those of what is frozen of so many arrays."""
    return 2 - (-(places + 2) // int(oprow.SIZE))


def _numbers(plan: Plan) -> NDArray[np.int64]:
    """Op rows as an array that Numba has a short type for."""
    return plan.ops.view(np.int64).reshape(-1, oprow.SIZE)


def _point_to_arrays(net: Network) -> None:
    """Write the addresses of the network's arrays into its descriptors."""
    for name, array in _arrays(net).items():
        setattr(net.fields, name, address(array))
    for worker, memory in zip(net.workers, net.scratch, strict=True):
        fields_of(worker).scratch = address(memory)


def _is_whole(net: Network) -> bool:
    return all(getattr(net.fields, name) == address(array) for name, array in _arrays(net).items())


def _arrays(net: Network) -> dict[str, NDArray[Any] | None]:
    """Fields of the descriptor, and the arrays that they point to."""
    metrics = _PENALTIES + net.fields.n_penalties
    return {
        "ops": net.ops,
        "output_ops": net.output_ops,
        "predict_ops": net.predict_ops,
        "input_ops": net.input_ops,
        "step_ops": net.step_ops,
        "loss": net.extra[_LOSS:],
        "penalties": net.extra[_PENALTIES:],
        "metrics": net.extra[metrics:],
        "pass_optimizer": pass_table(net),
        "parameters": net.parameters,
        "statistics": net.statistics if net.statistics.size else None,
        "constants": net.constants,
        "limits": net.limits,
        "gradient": net.gradients,
        "rows_gradient": net.gradients,
        "workspace": net.workspace,
        "scratch": net.scratch,
        "block_squares": net.sums,
        "losses": net.sums[BLOCKS:],
        "metric_state": net.sums[BLOCKS + net.fields.n_parts :],
        "workers": net.workers,
        "barrier": net.team,
        "abort": net.team[1:],
        "own_address": net.descriptor,
        "own_loss": net.loss,
    }


def clone_workspace(net: Network) -> Network:
    """A network of the same weights with a workspace of its own, for another thread.

    Call it from Python, before the threads begin: it allocates. Each clone is used by one thread at a
    time, like the network itself; `parameters` is the same memory in all.

    Parameters
    ----------
    net : Network
        Of `Model.network`.

    Returns
    -------
    Network
        With `gradient` and `loss` of its own too.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Model([fn.Dense(2)], seed=0).build(3).network()
    >>> other = fn.clone_workspace(net)
    >>> other.parameters is net.parameters, other.workspace is net.workspace
    (True, False)
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, of model.network(), got {net!r}")
    if not _is_whole(net):
        raise ValueError("net must be a Network as model.network() gave it; arrays of this one are others")
    names = ("descriptor", "workers", "extra", "loss", "gradients", "workspace", "scratch", "sums", "team")
    own = {name: _zeros_like(getattr(net, name), name) for name in names}
    for name in ("descriptor", "workers", "extra"):
        own[name][...] = getattr(net, name)
    guard.poison(own["workspace"])
    own["gradients"][:1] = np.nan
    gradient = own["gradients"][:1].reshape(-1)
    clone = Network(**net._asdict() | own | {"gradient": gradient})
    _point_to_arrays(clone)
    clone.fields.pass_rows = clone.fields.has_gradient = 0
    moved = address(clone.workspace) - address(net.workspace)
    for name in _BATCH:
        if place := getattr(net.fields, name):
            setattr(clone.fields, name, place + moved)
    return clone


def _zeros_like(array: NDArray[Any], name: str) -> NDArray[Any]:
    return allocate(array.size, array.dtype.name, name).reshape(array.shape)
