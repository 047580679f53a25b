"""What travels to a worker and back: models as safetensors files, the rest pickled, the data by number."""

from __future__ import annotations

import copy
import io
import pickle
import traceback
from dataclasses import replace
from types import FunctionType
from typing import TYPE_CHECKING, Any

from .. import user_functions
from ..engine.data_set import DataSet
from ..io import checkpoint
from ..io.load import from_content
from ..io.pickled_functions import MAIN
from ..layers.base import walk
from ..training.adapt import adapt_and_build
from ..training.callback import function_of
from ..training.history import History

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..model import Model
    from ..training.arguments import FitArguments


class Arrays:
    """The data of many models, each array once: pickles refer to them by their indices.

    Attributes
    ----------
    kept : list of array
    """

    def __init__(self, kept: Sequence[NDArray[Any]] = ()) -> None:
        self.kept: list[NDArray[Any]] = []
        self._numbers: dict[Any, int] = {}
        for array in kept:
            self.keep(array)

    def keep(self, array: NDArray[Any]) -> None:
        """Keep an array, unless the same memory is kept already."""
        if self._numbers.setdefault(_memory(array), len(self.kept)) == len(self.kept):
            self.kept.append(array)

    def number(self, value: Any) -> int | None:
        """The index of an array that is kept; None for anything else."""
        return self._numbers.get(_memory(value)) if hasattr(value, "__array_interface__") else None


def _memory(array: Any) -> Any:
    interface = array.__array_interface__
    return tuple(interface[name] for name in ("data", "shape", "strides", "typestr"))[:4]


class _Pickler(pickle.Pickler):
    """Refuses what another process would look for in its own main program."""

    def __init__(self, file: Any, arrays: Arrays) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._arrays = arrays

    def persistent_id(self, value: Any) -> int | None:
        return self._arrays.number(value)

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, FunctionType)) and value.__module__ in MAIN:
            raise pickle.PicklingError(f"{value!r} is part of the main program")
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, arrays: Sequence[NDArray[Any]]) -> None:
        super().__init__(io.BytesIO(content))
        self._arrays = arrays

    def persistent_load(self, number: int) -> Any:
        return self._arrays[number]


def _dumps(value: Any, arrays: Arrays) -> bytes:
    """Pickle a value; lambdas, nested functions and those of the main program by value."""
    file = io.BytesIO()
    try:
        _Pickler(file, arrays).dump(value)
    except Exception:  # anything: then it is tried by value
        from numba import cloudpickle  # only here: it takes Numba's import, also where it is restored

        class ByValue(cloudpickle.Pickler):  # type: ignore[misc]
            def persistent_id(self, value: Any) -> int | None:
                return arrays.number(value)

        file = io.BytesIO()
        ByValue(file).dump(value)
    return file.getvalue()


def _loads(content: bytes, arrays: Sequence[NDArray[Any]]) -> Any:
    return _Unpickler(content, arrays).load()


def ready(model: Model, task: FitArguments) -> tuple[Model, FitArguments]:
    """A model that is built for what it is to be trained on: itself, or a copy.

    Raises
    ------
    TypeError, ValueError
        If it cannot be built for these data.
    """
    data = DataSet(*task.data)  # without the addresses in this process
    held_out = None if task.validation is None else DataSet(*task.validation)
    built = replace(task, data=data, validation=held_out, history=History(), found={}, sample_weight=None)
    if model.executor.is_built and all(layer.adapted for layer in model.layers):
        return model, built
    twin, found = copy.deepcopy(model), task.found
    pairs = zip(model.layers, twin.layers, strict=True)
    found = {id(its): found[id(own)] for own, its in pairs if id(own) in found}
    adapt_and_build(twin.executor, twin.layers, replace(task, found=found))
    return twin, built


def pack(model: Model, task: FitArguments, threads: int, arrays: Arrays) -> bytes:
    """A model that is `ready`, and what to train it on; its data are kept in `arrays`.

    Raises
    ------
    TypeError
        If a function or a callback cannot be pickled; it says which.
    ValueError
        If the model holds NaN or infinity.
    """
    content = checkpoint.content(model, training=True)
    values = [*task.data, *(task.validation or ()), task.lengths, task.validation_lengths]
    for array in values:
        if array is not None:
            arrays.keep(array)
    own = _user_defined(model)
    metrics = model.executor.metric_functions
    try:
        return _dumps((content, own, metrics, task, threads), arrays)
    except Exception as error:  # anything that pickling may raise
        parts: dict[str, Any] = {
            f"the callback {function_of(each) or each!r}": each for each in task.callbacks
        }
        parts |= {f"shuffle={task.shuffle!r}": task.shuffle}
        parts |= {f"the metric {each!r}": each for each in metrics}
        names = [name for name, part in parts.items() if not _can_be_pickled(part)]
        what = " and ".join(names) or "what it is trained with"
        reason = f"{type(error).__name__}: {error}"
        raise TypeError(f"{what} cannot be pickled, and so not be sent to a worker: {reason}") from error


def unpack(content: bytes, arrays: Sequence[NDArray[Any]]) -> tuple[Model, FitArguments, int]:
    """What `pack` packed."""
    file, own, metrics, task, threads = _loads(content, arrays)
    with user_functions.named(own):
        return from_content(file, metrics), task, threads


def pack_result(
    model: Model, task: FitArguments, error: Exception | None, arrays: Sequence[NDArray[Any]]
) -> bytes:
    """What training has changed."""
    task.history.error = None
    states = [_state(callback) for callback in task.callbacks]
    file = checkpoint.content(model, training=True)
    return _dumps((file, task.history, model.stop_training, states, _sendable(error)), Arrays(arrays))


def take_result(model: Model, task: FitArguments, content: bytes, arrays: Sequence[NDArray[Any]]) -> None:
    """Let a model, its history and its callbacks become what `pack_result` packed."""
    file, history, stop_training, states, error = _loads(content, arrays)
    with user_functions.named(_user_defined(model)):
        trained = from_content(file)
    model.executor.weights_lock.run_fit(_take_over, model, task, trained)
    vars(task.history).update(vars(history))
    task.history.error = _loads(error, ())
    model.history, model.stop_training = task.history, stop_training
    for callback, state in zip(task.callbacks, states, strict=True):
        callback.model = model
        vars(callback).update(state)


def _take_over(model: Model, task: FitArguments, trained: Model) -> None:
    """All that training changes in a model."""
    executor, optimizer = model.executor, trained.optimizer
    adapt_and_build(executor, model.layers, task)
    if type(model.optimizer) is not type(optimizer):
        model.optimizer = optimizer
    elif model.optimizer != optimizer:
        vars(model.optimizer).update(vars(optimizer))
    for (_, layer), (_, other) in zip(walk(model.layers), walk(trained.layers), strict=True):
        if not layer.children and layer.trainable != other.trainable:
            layer.trainable = other.trainable
    with executor.weights_lock.change():
        executor.state.restore(trained.state)
        executor.state.callbacks = trained.state.callbacks


def _user_defined(model: Model) -> list[Any]:
    """The activations, the loss and the schedule of which a file holds the names only."""
    values = [value for _, layer in walk(model.layers) for value in vars(layer).values()]
    values += [model.loss, *vars(model.optimizer).values()]
    return [value for value in values if isinstance(value, user_functions.UserDefined)]


def _can_be_pickled(value: Any) -> bool:
    try:
        _dumps(value, Arrays())
    except Exception:
        return False
    return True


def _state(callback: Any) -> dict[str, Any]:
    """What a callback knows; nothing for a function, which the caller has as it was."""
    if function_of(callback) is not None:
        return {}
    return {name: value for name, value in vars(callback).items() if name != "_model"}


def _sendable(error: Exception | None) -> bytes:
    """An exception, or one that says the same where it could not be restored."""
    if error is not None:
        error.add_note("In the worker:\n" + "".join(traceback.format_exception(error)).rstrip())
    try:
        content = _dumps(error, Arrays())
        _loads(content, ())
    except Exception:
        content = _dumps(RuntimeError(f"{type(error).__name__}: {error}"), Arrays())
    return content
