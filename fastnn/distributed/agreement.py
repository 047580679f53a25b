"""The start of a fit by several processes: their arguments, checked on each, and compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._version import __version__
from ..compiler import cache_key
from ..data import weights
from ..engine.graph import lower
from .exchange import exchanged
from .ranks import Ranks, describe, raise_for
from .shards import check_shards, shard_sizes
from .sums import class_counts
from .transport import Alone, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..engine.executor import Executor
    from ..training.arguments import FitArguments

# Bytes of all ranks' messages of a step, if gradients travel in those in which the ranks meet.
_IN_MESSAGES = 1 << 17
# Exponents of two between which the largest weight must be: see `weights`.
_EXPONENTS = 16
_SHOWN = 300  # characters of a setting in a message


def agree(
    comm: Any,
    executor: Executor,
    check: Callable[..., FitArguments],
    options: dict[str, Any],
    shards: Any = None,
) -> tuple[Ranks, FitArguments]:
    """A call of `fit` that all ranks make, each with its own rows.

    Parameters
    ----------
    comm
        Of `fit`: see `connect`; None is a process alone.
    executor : Executor
    check : function
        ``check(**options)`` is `check_fit_arguments` with all other arguments.
    options : dict
        Of `fit`.
    shards
        Of `fit`.

    Raises
    ------
    TypeError, ValueError
        What `check` raises on this rank; a ValueError also if models, settings, versions or data of the ranks
        do not go together.
    RankError
        If it raises on another rank.
    """
    ranks, failure = Ranks(Alone() if comm is None else connect(comm)), None
    given = options["batch_size"], options["sample_weight"], options["class_weight"]
    batch_size, sample_weight, class_weight = given
    try:
        task = check(**options)
        if ranks.size > 1 or shards is not None:
            _check_alone(executor, task, sample_weight, class_weight)
        if shards is not None:
            shards = check_shards(executor, task, shards, ranks, options["validation_split"])
        told: Any = {"shards": shards, **_settings(executor, task, *given)}
    except BaseException as error:
        failure, told = error, describe(error)
    found = ranks.gather_objects((failure is None, told))
    if failure is not None:
        raise failure
    for rank, (is_right, own) in enumerate(found):
        if not is_right:
            raise_for(rank, *own)
    settings = [own for _, own in found]
    for rank, own in enumerate(settings):
        _compare(settings[0], own, rank)
    ranks.open(_room(executor, task, ranks.size))
    with ranks.telling():
        if (ranks.size > 1 or shards is not None) and _is_balanced(class_weight):
            table = _balanced(ranks, executor, task, class_weight)
            task = check(**options | {"class_weight": table})
        task.ranks = ranks
        task.sizes, held_out = ([own[name] for own in settings] for name in ("rows", "validation rows"))
        task.n_validation, task.own_rows = sum(held_out), len(task.data.X)
        if shards is not None:
            task.shards, task.sizes = shards, shard_sizes("samples", task.sizes, shards)
            task.own_rows = max(task.sizes)
            if task.validation is not None:
                shard_sizes("validation samples", held_out, shards)
        n = task.n_samples
        task.rows = n if batch_size is None else min(n, batch_size)
        task.callbacks = [own for own in task.callbacks if ranks.rank == 0 or not own.first_rank_only]
    return ranks, task


def room(size: int, ranks: int, others: Sequence[int] = ()) -> int:
    """Bytes of a message of a step, all of which are of the same size.

    Parameters
    ----------
    size : int
        Of the gradient, which is exchanged by itself where that is too much.
    ranks : int
    others : sequence of int
        Sizes of the other messages of a step.
    """
    if ranks == 1:
        return 0
    travels = size * (ranks - 1) * (len(others) + 1) <= _IN_MESSAGES
    return -(-max([size * travels, *others]) // 64) * 64


def _room(executor: Executor, task: FitArguments, ranks: int) -> int:
    if ranks == 1:
        return 0
    itemsize = np.dtype(executor.dtype).itemsize
    graph = lower(executor.layers, task.shape)
    return room(graph.n_parameters * itemsize, ranks, exchanged(graph, itemsize))


def _check_alone(executor: Executor, task: FitArguments, sample_weight: Any, class_weight: Any) -> None:
    """Refuse what needs the rows of all ranks in one place."""
    for layer in executor.layers:
        if not layer.adapted:
            raise ValueError(
                f"{layer!r} is not adapted to data yet, and with comm or shards it would be to a part of it; "
                "call model.adapt(X) first, with the same samples on all ranks"
            )
    if executor.metric_functions and task.validation is not None:
        names = ", ".join(function.__name__ for function in executor.metric_functions)
        raise ValueError(
            f"with comm or shards, user-defined metrics ({names}) cannot be computed, since no rank "
            "has all validation samples; leave them out, or validate in a callback"
        )
    if _is_balanced(class_weight) and executor.loss is not None and executor.loss.missing_targets != "raise":
        raise ValueError(
            "with comm or shards and missing targets, class_weight='balanced' must be given as numbers"
        )
    if sample_weight is not None:
        largest = float(np.max(sample_weight))
        if abs(math.frexp(largest)[1]) > _EXPONENTS:
            raise ValueError(
                f"with comm or shards, the largest of sample_weight must be in {2.0**-_EXPONENTS:.2g} ... "
                f"{2.0**_EXPONENTS:.2g} on each rank, got {largest:g}"
            )


def _settings(
    executor: Executor, task: FitArguments, batch_size: Any, sample_weight: Any, class_weight: Any
) -> dict[str, Any]:
    """What must be the same on all ranks, by what messages call it; and how many rows this one has."""
    layers = {f"layer {i}": (repr(layer), layer.trainable) for i, layer in enumerate(executor.layers)}
    return {
        "the version of fastnn": __version__,
        "the compiled code (versions of Numba and llvmlite, settings, kind of CPU)": cache_key.key(),
        "dtype": executor.dtype,
        "compute_dtype": executor.compute_dtype,
        "the shape of a sample": task.shape,
        "the names of columns": task.names,
        "the number of layers": len(layers),
        **layers,
        "loss": repr(executor.loss),
        "the numbers of a target": task.data.y.shape[1],
        "metrics": executor.log_names,
        "optimizer": repr(executor.optimizer),
        "epochs": task.epochs,
        "initial_epoch": task.initial_epoch,
        "batch_size": batch_size,
        "shuffle": "a function" if callable(task.shuffle) else task.shuffle,
        "resume": task.resume,
        "class_weight": repr(class_weight),
        "sample_weight": "none" if sample_weight is None else f"{np.ndim(sample_weight)} axes",
        "lengths": "none" if task.lengths is None else "given",
        "validation data": "none" if task.validation is None else "given",
        "rows": len(task.data.X),
        "validation rows": 0 if task.validation is None else len(task.validation.X),
    }


def _compare(first: dict[str, Any], own: dict[str, Any], rank: int) -> None:
    for name, value in first.items():
        if name not in ("rows", "validation rows") and own.get(name) != value:
            raise ValueError(
                f"{name} must be the same on all ranks, but is {_shown(value)} on rank 0 and "
                f"{_shown(own.get(name))} on rank {rank}"
            )


def _shown(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], bool):  # a layer
        value = value[0] + ("" if value[1] else ", not trainable")
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _is_balanced(class_weight: Any) -> bool:
    each = class_weight if isinstance(class_weight, (list, tuple)) else [class_weight]
    return any(isinstance(own, str) for own in each)


def _balanced(ranks: Ranks, executor: Executor, task: FitArguments, class_weight: Any) -> Any:
    """Numbers in place of "balanced", by how often each class is among the rows of all ranks."""
    assert executor.loss is not None
    found = weights.classes(task.data.y, executor.loss)
    columns = found[:, np.newaxis] if found.ndim == 1 else found
    counts = ranks.gather_objects([np.bincount(column) for column in columns.T])
    tables = [_balance(class_counts(own)) for own in zip(*counts, strict=True)]
    if found.ndim == 1:
        return tables[0]
    each = class_weight if isinstance(class_weight, (list, tuple)) else [class_weight] * len(tables)
    return [table if isinstance(own, str) else own for own, table in zip(each, tables, strict=True)]


def _balance(counts: NDArray[np.int64]) -> dict[int, float]:
    present = np.flatnonzero(counts)
    return {int(i): float(counts.sum() / (len(present) * counts[i])) for i in present}
