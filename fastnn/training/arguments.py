"""FitArguments: a call of `fit`, whose arguments are all checked before anything changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..checks import validate
from ..data import coding, missing, names, sample_checks, weights
from ..data.rows import as_rows, as_samples, sample_shape, sizes_of
from ..data.split import kept, validation
from ..data.tables import column_names
from ..engine.data_set import DataSet
from ..engine.lengths import check_lengths
from ..engine.weightless import check_rows
from .callback import Callback, as_callback
from .history import History

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..distributed.ranks import Ranks
    from ..engine.executor import Executor
    from ..engine.samples import KnownSamples


@dataclass
class FitArguments:
    """A call of `fit`, checked: what to train on and for how long, and the record of it.

    Attributes
    ----------
    data : DataSet
        Checked arrays, samples as rows.
    shape : tuple of int
        Of a sample of X.
    sample_weight : array or None
        As the user gave them, perhaps with another common scale, without those of the classes.
    validation : DataSet or None
    lengths, validation_lengths : array or None
        Time steps of each sample, of X and of the validation's.
    epochs : int
        How many.
    initial_epoch : int
        Number of the first.
    rows : int
        Samples of a step.
    shuffle : bool or callable
        True is ignored where a step takes the whole data set. A function gives the order of the samples
        of an epoch.
    callbacks : list of Callback
    names : tuple of str
        Of the columns of X, if it is a table.
    found : dict
        The categories of layers that are not adapted yet: see `coding.find`.
    history : History
        Filled during training.
    resume : bool
        Whether to resume the epoch that was interrupted, if there is one, and the state of the
        callbacks.
    ranks : Ranks or None
        The processes that train together, if there are several.
    sizes : sequence of int
        How many samples each process has, or each shard; empty without `ranks`.
    own_rows : int
        How many samples of a batch may have to be computed at once, at most.
    shards : int or None
        Parts of the samples whose sums do not depend on the number of processes.
    n_validation : int
        How many samples are evaluated by all of them.
    """

    data: DataSet
    shape: tuple[int, ...]
    sample_weight: NDArray[Any] | None
    validation: DataSet | None
    epochs: int
    rows: int
    shuffle: bool | Callable[[int], Any]
    callbacks: list[Callback]
    names: tuple[str, ...] = ()
    found: coding.Found = field(default_factory=dict)
    history: History = field(default_factory=History)
    resume: bool = False
    initial_epoch: int = 0
    lengths: NDArray[np.int64] | None = None
    validation_lengths: NDArray[np.int64] | None = None
    ranks: Ranks | None = None
    sizes: Sequence[int] = ()
    n_validation: int = 0
    own_rows: int = 0
    shards: int | None = None

    @property
    def n_samples(self) -> int:
        """How many samples there are, those of all processes."""
        return sum(self.sizes) if self.sizes else len(self.data.X)


def check_samples(
    executor: Executor,
    X: Any,
    y: Any,
    sample_weight: Any,
    shape: tuple[int, ...] | None = None,
    name: str = "",
    penalties: bool = False,
    found: coding.Found | None = None,
    coded: bool = False,
    table: Any = None,
) -> DataSet:
    """Samples, targets and weights, checked before anything changes; with all penalties, or without.

    `found` is for `coding.coded`, unless X is `coded`; `table` is what X was made of.
    """
    layers, loss, dtype = executor.layers, executor.loss, executor.dtype
    if loss is None:
        raise ValueError("the model has no loss; give one: fn.Model(layers, loss=...)")
    shape, table = executor.input_shape or shape or sample_shape(X), X if table is None else table
    executor.require_fits(table, shape, f"{name}X")
    n_in, X = None if shape is None else math.prod(shape), as_rows(X, shape, f"{name}X")
    if not coded:
        X = coding.coded(layers, X, dtype, f"{name}X", n_in=n_in, found=found, shape=shape)
    nan = missing.columns(layers, shape or sizes_of(X)[-1:] or (0,))
    x = sample_checks.features(X, dtype, n_in, name=f"{name}X", keep_mapped=True, table=table, missing=nan)
    check_rows(layers, x, dtype, f"{name}X", shape or x.shape[1:], table)
    output = executor.shape_of_output(shape or x.shape[1:])
    y, n_out = as_rows(y, executor.head.target_shape(output), f"{name}y"), math.prod(output)
    y, present = missing.filled(y, loss, dtype, f"{name}y")
    target = sample_checks.targets(y, loss, n_out, x.shape, dtype, prefix=name)
    outputs = weights.of_outputs(loss, n_out)
    counts = weights.scale_counts(loss, layers if penalties else ())
    weight = weights.of_samples(
        sample_weight, len(x), dtype, counts, prefix=name, outputs=outputs, present=present
    )
    return DataSet(x, target, weight)


def check_call(
    executor: Executor, X: Any, y: Any, sample_weight: Any, lengths: Any, penalties: bool = False
) -> tuple[DataSet, NDArray[np.int64] | None]:
    """Samples or a single one, their targets, weights and lengths, checked; then the model is built."""
    given = X, y
    if sample_weight is None and lengths is None and (known := executor.samples.take(X, y)) is not None:
        return known, None
    X, y, sample_weight = as_samples(X, y, sample_weight, executor.input_shape, executor.shape_of_target)
    executor.columns.check_names(X)
    data = check_samples(executor, X, y, sample_weight, penalties=penalties)
    executor.require_adapted()
    shape = executor.shape_of_input(X, data[0])
    lengths = check_lengths(executor, lengths, len(data[0]), shape)
    executor.build(shape)
    keep_samples(executor, *given, None)
    return data, lengths


def keep_samples(executor: Executor, X: Any, y: Any, known: KnownSamples | None) -> None:
    """Put back what `SamplePool.take` gave for samples, or know others like them from now on."""
    if known is not None:
        executor.samples.put_back(known)
    elif executor.input_shape is not None and executor.output_shape is not None:
        executor.samples.learn(X, y, executor.dtype, executor.input_shape, executor.output_shape)


def check_fit_arguments(
    executor: Executor,
    check: Callable[..., Any],
    X: Any,
    y: Any,
    *,
    epochs: Any,
    batch_size: Any,
    shuffle: Any,
    sample_weight: Any,
    class_weight: Any,
    validation_data: Any,
    validation_split: Any,
    callbacks: Any,
    resume: Any = False,
    initial_epoch: Any = 0,
    lengths: Any = None,
    validation_lengths: Any = None,
) -> FitArguments:
    """A call of `fit` with its arguments checked.

    `check` is `check_samples` of this executor, or does the same.
    """
    executor.load_kernels(training=True)
    given_names = column_names(X)
    executor.columns.check_names(X)
    split = validation_split if validation_data is None else 0.0
    layers, dtype = executor.layers, executor.dtype
    found = coding.find(
        layers,
        X,
        lambda n: weights.counting(sample_weight, n, dtype, kept(split, n)),
        shape=executor.input_shape,
    )
    x, target, present = check(X, y, None, found=found)
    assert executor.loss is not None
    shape = executor.shape_of_input(X, x)
    n_out = math.prod(executor.shape_of_output(shape))
    outputs = weights.of_outputs(executor.loss, n_out)
    given_weight = weights.sample_weights(sample_weight, len(x), outputs=outputs)
    data, held_out = validation(
        validation_data, validation_split, x, target, weights.times(given_weight, present)
    )
    lengths = check_lengths(executor, lengths, len(x), shape)
    x, target, _ = data
    n = len(x)
    given_weight, present = (None if w is None else w[:n] for w in (given_weight, present))
    given_weight, weight = weights.of_training(
        given_weight, present, class_weight, target, executor.loss, layers, n_out
    )
    if held_out is not None:
        Xv, yv, held_weight = held_out
        if validation_data is not None:
            known = executor.columns.names or given_names
            names.check(known, column_names(Xv), "validation X")
        from_split = validation_data is None
        options = {"name": "validation ", "found": found, "coded": from_split}
        held_out = check(Xv, yv, held_weight, shape, **options)
    validation_lengths = _validation_lengths(
        executor, validation_lengths, lengths, held_out, validation_data is None, shape
    )
    rows = n if batch_size is None else min(n, validate.integer("batch_size", batch_size, low=1))
    initial_epoch = validate.integer("initial_epoch", initial_epoch, low=0)
    epochs = validate.integer("epochs", epochs, low=0)
    if epochs < initial_epoch:
        raise ValueError(
            f"training continues until epoch number epochs={epochs}, as in Keras, and cannot begin with "
            f"initial_epoch={initial_epoch}; for {epochs} more epochs give epochs={initial_epoch + epochs}"
        )
    if not callable(shuffle):
        shuffle = _shuffled(shuffle)
    resume = validate.boolean("resume", resume)
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be a sequence, got {callbacks!r}")
    called = [as_callback(callback) for callback in callbacks]
    executor.check_optimizer()
    return FitArguments(
        DataSet(x, target, weight),
        shape,
        given_weight,
        held_out,
        epochs - initial_epoch,
        rows,
        shuffle,
        called,
        given_names,
        found,
        resume=resume,
        initial_epoch=initial_epoch,
        lengths=None if lengths is None else lengths[:n],
        validation_lengths=validation_lengths,
    )


def _validation_lengths(
    executor: Executor,
    given: Any,
    lengths: NDArray[np.int64] | None,
    held_out: Any,
    is_split: bool,
    shape: tuple[int, ...],
) -> NDArray[np.int64] | None:
    """The lengths of the validation samples: given ones, or the last of all where they are split off."""
    if held_out is None or is_split:
        if given is not None:
            raise ValueError("validation_lengths are those of validation_data, which was not given")
        return None if held_out is None or lengths is None else lengths[-len(held_out[0]) :]
    if (given is None) != (lengths is None):
        without = "validation_lengths" if given is None else "lengths"
        raise ValueError(f"{without} must be given too: either all samples have lengths or none")
    return check_lengths(executor, given, len(held_out[0]), shape, "validation_lengths")


def single_step(executor: Executor, data: DataSet) -> FitArguments:
    """One step by checked samples, of a built model."""
    assert executor.input_shape is not None
    return FitArguments(data, executor.input_shape, None, None, 1, len(data.X), False, [])


def _shuffled(shuffle: Any) -> bool:
    try:
        return validate.boolean("shuffle", shuffle)
    except TypeError as error:
        what = "True, False, or a function that gives the order of an epoch's samples"
        raise TypeError(f"shuffle must be {what}, got {shuffle!r}") from error
