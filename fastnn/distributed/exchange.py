"""What ranks tell each other in the middle of a step, where layers take the rows of all for one batch."""

from __future__ import annotations

import contextlib
import ctypes
from typing import TYPE_CHECKING

from ..compiler import loader
from ..layers.batch_normalization import BatchNormalization
from ..memory.buffers import address
from .ranks import Doing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..engine.graph import Graph
    from ..engine.network import Network
    from .ranks import Ranks

_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)
_KERNELS = {
    field: f"layers.synchronized_batch_normalization.{field}"
    for field in ("share_moments", "share_gradients")
}
_HEAD = 8  # bytes of a message: see `kernels.driver.ranks`


def exchanged(graph: Graph, itemsize: int) -> list[int]:
    """Bytes of the messages in the middle of a step: two of each synchronized layer, forward and back."""
    return [
        _HEAD + itemsize * sum(place.size for place in node.own_statistics)
        for node in graph.nodes
        if isinstance(node.layer, BatchNormalization) and node.layer.synchronized
        for _ in range(2)
    ]


class Exchange:
    """What compiled code calls so that all ranks have each other's messages; they are in `Ranks.room`.

    Parameters
    ----------
    ranks : Ranks
    dtype : str
        Of the numbers.
    """

    def __init__(self, ranks: Ranks, dtype: str) -> None:
        loader.prepare((kernel, dtype) for kernel in _KERNELS.values())
        self._entries = {field: loader.address(kernel, dtype) for field, kernel in _KERNELS.items()}
        self._ranks = ranks
        self._error: BaseException | None = None
        self._function = _ENTRY(self._meet)
        self._address = ctypes.cast(self._function, ctypes.c_void_p).value

    def _meet(self, _: int, net: int) -> None:
        if self._error is None:  # otherwise the step is lost, and only has to end
            try:
                self._ranks.meet(Doing.EXCHANGE)
            except BaseException as error:  # which a C function cannot raise
                self._error = error

    @contextlib.contextmanager
    def of(self, net: Network) -> Iterator[None]:
        """Let the ops of a network call it meanwhile."""
        fields, room = net.fields, self._ranks.room
        fields.exchange, fields.ranks = self._address, self._ranks.size
        fields.messages, fields.message_size = address(room), room.strides[0]
        for field, entry in self._entries.items():
            setattr(fields, field, entry)
        try:
            yield
        finally:
            fields.exchange = 0

    def check(self) -> None:
        """Raise what an exchange of this step has raised."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
