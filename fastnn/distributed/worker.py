"""What a worker does: it trains one model of `fastnn.fit_many`."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from .._version import __version__
from . import parcels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: What a worker answers: what became of the model, or why it was not begun.
TRAINED, OTHER_VERSION, LACKS_DATA = "trained", "other version", "lacks data"
GIVEN_UP = "given up"  # which no caller waits for

_COUNT = ".arrays"  # ending of a file whose name says how many there are
# The data that were sent last, and the folder of that call.
_sent: tuple[str, Sequence[NDArray[Any]]] = ("", ())


class _WhileThere(threading.Event):
    """Set as soon as a folder is gone, which the caller deletes when it no longer waits."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def is_set(self) -> bool:
        return not os.path.exists(self._folder)


def train(
    version: str, name: str, content: bytes, folder: str, arrays: Sequence[NDArray[Any]] | None = None
) -> tuple[str, Any]:
    """Train what `parcels.pack` packed.

    Parameters
    ----------
    version : str
        Of the caller's fastnn.
    name : str
        Of a file in `folder` that says that this has begun.
    content : bytes
    folder : str
        Where the data are, unless they are given. Training ends when it is deleted, where the worker sees it.
    arrays : list of array, optional
        The data.

    Returns
    -------
    (str, Any)
        `TRAINED` and what `parcels.pack_result` packed; `OTHER_VERSION` and that; `LACKS_DATA` and who;
        or `GIVEN_UP`.
    """
    if version != __version__:
        return OTHER_VERSION, __version__
    stop = _WhileThere(folder) if os.path.isdir(os.path.dirname(folder)) else None
    if stop is not None and stop.is_set():
        return GIVEN_UP, None  # before it has begun
    with contextlib.suppress(OSError):
        open(os.path.join(folder, name), "wb").close()
    if arrays is None:
        sent = _sent
        try:
            arrays = sent[1] if sent[0] == folder else _read(folder)
        except OSError:
            return LACKS_DATA, (socket.gethostname(), os.getpid())
    model, task, threads = parcels.unpack(content, arrays)
    error = None
    try:
        model.train(task, threads, stop=stop)
    except KeyboardInterrupt:
        if stop is None or not stop.is_set():
            raise
        return GIVEN_UP, None  # an interrupt would end a worker of Dask
    except Exception as failure:
        error = failure
    return TRAINED, parcels.pack_result(model, task, error, arrays)


def keep_and_train(
    version: str, name: str, content: bytes, folder: str, arrays: Sequence[NDArray[Any]]
) -> tuple[str, Any]:
    """See `train`; the data are kept for other models of the same call."""
    global _sent
    _sent = folder, arrays
    return train(version, name, content, folder, arrays)


def write(folder: str, arrays: Sequence[NDArray[Any]]) -> None:
    """Write the data into a folder, for all workers that can read it."""
    for i, array in enumerate(arrays):
        np.save(os.path.join(folder, f"{i}.npy"), array)
    open(os.path.join(folder, f"{len(arrays)}{_COUNT}"), "wb").close()


def _read(folder: str) -> list[NDArray[Any]]:
    """Map the data into memory, which all workers of a machine then share."""
    counts = [int(name.removesuffix(_COUNT)) for name in os.listdir(folder) if name.endswith(_COUNT)]
    if not counts:
        raise FileNotFoundError(f"no data in {folder}")
    count = counts[0]
    return [np.load(os.path.join(folder, f"{i}.npy"), mmap_mode="r") for i in range(count)]
