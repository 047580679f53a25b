"""The arguments of a `fit` on data that comes batch by batch, checked before anything changes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..data import coding, missing, names, sample_checks, weights
from ..data.readers import Reader
from ..data.row_reader import Rows
from ..data.row_sources import is_large
from ..data.rows import as_rows, sample_shape, sizes_of
from ..data.tables import column_names, is_table
from ..engine.data_set import DataSet
from ..layers import preprocessing
from .arguments import check_samples
from .batch_loop import BatchArguments, evaluate_source
from .callback import Callback, as_callback
from .pieces import BatchCheck
from .sources import Source, is_indexed, source_of

if TYPE_CHECKING:
    from ..engine.executor import Executor
    from ..layers.base import Layer

#: The defaults of `fit` for what an iterable decides itself.
_BATCH_SIZE = 32


#: Arguments of `fit` that are those of `Rows`.
_OF_ROWS = ("batch_size", "shuffle")
_NO_Y = "y must not be given where X gives batches: these are (X, y)"
_NO_BATCHES = (np.ndarray, str, bytes, bytearray, memoryview, dict, set, frozenset)


def check_batches(
    executor: Executor, X: Any, y: Any, steps_per_epoch: Any, validation_steps: Any, options: dict[str, Any]
) -> BatchArguments | None:
    """A call of `fit`, checked, if X gives batches; None if it is an array.

    `options` are all other arguments.
    """
    if y is not None and type(X) is not np.ndarray and is_large(X):
        X, y = Rows(X, y, options["sample_weight"], **{name: options[name] for name in _OF_ROWS}), None
        options = {**options, "sample_weight": None, "batch_size": _BATCH_SIZE, "shuffle": True}
    if isinstance(X, Reader) or (y is None and (_yields(X) or (type(X) is list and not X))):
        return _checked(executor, X, y, steps_per_epoch, validation_steps, **options)
    for name, value in (("steps_per_epoch", steps_per_epoch), ("validation_steps", validation_steps)):
        if _steps(name, value) is not None:
            raise ValueError(f"{name} is for iterables of batches; for arrays give batch_size")
    return None


def batches_of(X: Any, y: Any, sample_weight: Any = None) -> Source | None:
    """What gives the batches of X, once; None if it is an array."""
    if type(X) is np.ndarray:
        return None
    if y is not None and is_large(X):
        X, y, sample_weight = Rows(X, y, sample_weight, shuffle=False), None, None
    if not isinstance(X, Reader) and not (y is None and _yields(X)):
        return None
    if y is not None:
        raise ValueError(_NO_Y)
    if sample_weight is not None:
        raise ValueError(f"sample_weight is for arrays, not for batches; {_INSTEAD['sample_weight']}")
    return source_of(X, "X", None, 1, "steps")


def evaluate_batches(executor: Executor, source: Source) -> dict[str, float]:
    """Loss and metrics on batches, checked first."""
    _, shape = checked_head(executor, source, None)
    executor.require_adapted()
    executor.build(shape)
    return evaluate_source(executor, source)


def adapt_to_batches(executor: Executor, layers: tuple[Layer, ...], source: Source) -> None:
    """Adapt all layers again, each in a pass through the batches."""
    X, _, _ = source.head()
    names.check(executor.columns.names, source.names or column_names(X), "X")
    shape = executor.input_shape or sample_shape(X) or sizes_of(X)[1:]
    nan, dtype, n_in = missing.columns(layers, shape), executor.dtype, executor.n_in
    found = find_categories(executor, source, again=True)

    def samples(X: Any, y: Any, weight: Any, where: str) -> DataSet:
        name = f"{where}X"
        x = as_rows(X, shape, name)
        x = coding.coded(layers, x, dtype, name, n_in=n_in, found=found, shape=shape)
        x = sample_checks.features(x, dtype, math.prod(shape), name=name, table=X, missing=nan)
        return DataSet(x, None, weights.of_part(weight, len(x), dtype, prefix=where))

    with preprocessing.undone_on_error(layers):
        parts = functools.partial(source.pass_for_layers, samples)
        rows = lambda: ((data.X, data.weight) for data in parts())  # noqa: E731
        preprocessing.adapt_to_parts(layers, rows, dtype, shape, again=True)
        coding.take(layers, found)
        executor.refresh_constants()
        executor.columns.take_names(source.names or column_names(X))


def find_categories(executor: Executor, source: Source, again: bool = False) -> coding.Found:
    """The categories of layers that are not adapted yet, or of all: a pass through the data for each."""

    def counting(X: Any, y: Any, weight: Any, where: str) -> Any:
        samples = coding.Samples(f"{where}X", X)
        n = samples.shape[0] if samples.shape else 0
        own = weights.of_part(weight, n, executor.dtype, prefix=where)
        return samples, np.ones(n, bool) if own is None else own > 0

    parts = functools.partial(source.pass_for_layers, counting)
    return coding.find_in_parts(executor.layers, parts, again=again, shape=executor.input_shape)


def _yields(X: Any) -> bool:
    """Whether X yields batches, as no array does."""
    if X is None or isinstance(X, _NO_BATCHES) or is_table(X) or hasattr(X, "shape"):
        return False
    if isinstance(X, (list, tuple)):
        return _is_batch(X)
    return hasattr(X, "__iter__") or is_indexed(X)


def _is_batch(X: Any) -> bool:
    """Whether a list begins with a batch, and not with a sample."""
    return bool(X) and isinstance(X[0], (list, tuple)) and all(np.ndim(part) > 0 for part in X[0][:2])


def _checked(
    executor: Executor,
    X: Any,
    y: Any,
    steps_per_epoch: Any,
    validation_steps: Any,
    *,
    epochs: Any,
    initial_epoch: Any,
    batch_size: Any,
    shuffle: Any,
    class_weight: Any,
    validation_data: Any,
    callbacks: Any,
    resume: Any,
    **others: Any,
) -> BatchArguments:
    executor.load_kernels(training=True)
    if y is not None:
        raise ValueError(_NO_Y)
    for name, value in others.items():
        if value is not None and not (isinstance(value, (int, float)) and value == 0):
            raise ValueError(f"{name} is for arrays, not for batches; {_INSTEAD[name]}")
    if isinstance(X, Reader) and not shuffle and X.shuffle:
        raise ValueError(f"shuffle={shuffle!r} is for arrays: make X with shuffle=False")
    if callable(shuffle):
        raise ValueError("shuffle must not be a function where X gives batches, which have their order")
    if batch_size != _BATCH_SIZE:
        raise ValueError(
            f"batch_size={batch_size!r} is for arrays: X gives batches, which have their own size"
        )
    if isinstance(class_weight, str):
        raise ValueError(f"class_weight={class_weight!r} needs all targets; give a dict of class to weight")
    initial_epoch = validate.integer("initial_epoch", initial_epoch, low=0)
    epochs = validate.integer("epochs", epochs, low=initial_epoch)
    resume = validate.boolean("resume", resume)
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be a sequence, got {callbacks!r}")
    called = [as_callback(callback) for callback in callbacks]
    steps = _steps("steps_per_epoch", steps_per_epoch)
    validation_steps = _steps("validation_steps", validation_steps)
    executor.check_optimizer()
    source = source_of(X, "X", steps, epochs - initial_epoch, "steps_per_epoch")
    found = find_categories(executor, source)
    data, shape = checked_head(executor, source, class_weight, found=found)
    held_out, validation_source = None, None
    if validation_data is not None:
        if isinstance(validation_data, tuple) and len(validation_data) in (2, 3):
            Xv, yv, weight = (*validation_data, None)[:3]
            if is_large(Xv):
                validation_data = Rows(Xv, yv, weight, shuffle=False)
            else:
                held_out = check_samples(executor, Xv, yv, weight, shape, "validation ", found=found)
        if held_out is None:
            given = validation_data, "validation_data", validation_steps
            validation_source = source_of(*given, max(1, epochs - initial_epoch), "validation_steps")
            checked_head(executor, validation_source, None, shape, "validation ", found)
    return BatchArguments(
        data,
        shape,
        None,
        held_out,
        epochs - initial_epoch,
        source.batch_size,
        False,
        called,
        source.names,
        found,
        resume=resume,
        initial_epoch=initial_epoch,
        source=source,
        validation_source=validation_source,
        class_weight=class_weight,
    )


_INSTEAD = {
    "sample_weight": "yield (X, y, sample_weight)",
    "lengths": "use fn.Masking for sequences of different lengths",
    "validation_lengths": "use fn.Masking for sequences of different lengths",
    "validation_split": "give validation_data",
}


def _steps(name: str, value: Any) -> int | None:
    return None if value is None else validate.integer(name, value, low=1)


def checked_head(
    executor: Executor,
    source: Source,
    class_weight: Any,
    shape: tuple[int, ...] | None = None,
    name: str = "",
    found: coding.Found | None = None,
) -> tuple[DataSet, tuple[int, ...]]:
    """The first batch, checked, and the shape of a sample."""
    X, y, weight = source.head()
    given = source.names or column_names(X)
    names.check(executor.columns.names, given, f"{name}X")
    source.names = given
    name += source.where
    with source.naming_columns(name):
        data = check_samples(executor, X, y, None, shape, name, found=found)
        shape = executor.shape_of_input(X, data.X) if shape is None else shape
        return BatchCheck(executor, class_weight, shape, found)(X, y, weight, name), shape
