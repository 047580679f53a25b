"""What data-parallel training needs of a library that moves data between processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Transport(Protocol):
    """Processes, its ranks, that call the same methods in the same order.

    None of them adds anything up: the order of sums is not left to the library. Arrays are C-contiguous, of
    the same size and dtype on all ranks, and are read and written where they are.

    Attributes
    ----------
    size, rank : int
        How many processes there are, and the number of this one.
    """

    size: int
    rank: int

    def all_gather(self, rows: NDArray[Any]) -> None:
        """Fill `rows`, of shape (size, n), of which each rank has written its own row."""

    def all_to_all(self, sent: NDArray[Any], received: NDArray[Any]) -> None:
        """Write ``received[i]`` with what rank i has in its ``sent[rank]``; both of shape (size, n)."""

    def broadcast(self, values: NDArray[Any]) -> None:
        """Write `values` with those of rank 0."""

    def gather_objects(self, value: Any) -> list[Any]:
        """The values of all ranks, small objects that can be pickled."""

    def abort(self) -> None:
        """End all processes, where what the others are doing cannot be known."""


class Alone:
    """A single process, which has nobody to exchange anything with."""

    size, rank = 1, 0

    def all_gather(self, rows: NDArray[Any]) -> None:
        """Nothing to do: its row is there."""

    def all_to_all(self, sent: NDArray[Any], received: NDArray[Any]) -> None:
        """Copy."""
        received[...] = sent

    def broadcast(self, values: NDArray[Any]) -> None:
        """Nothing to do."""

    def gather_objects(self, value: Any) -> list[Any]:
        """The value."""
        return [value]

    def abort(self) -> None:
        """Nothing to do: its error is raised."""


def connect(comm: Any) -> Transport:
    """The transport of a communicator.

    Parameters
    ----------
    comm : mpi4py communicator, process group of `torch.distributed`, or Transport

    Raises
    ------
    TypeError
        If it is none of these.
    """
    transport: Any = comm
    if hasattr(comm, "Allgather"):
        from .mpi import MPI

        transport = MPI(comm)
    elif type(comm).__module__.startswith("torch."):
        from .gloo import Gloo

        transport = Gloo(comm)
    elif isinstance(comm, type) or not all(hasattr(comm, name) for name in _NAMES):
        raise TypeError(
            "comm must be a communicator of mpi4py (MPI.COMM_WORLD) or a process group of torch.distributed "
            f"(torch.distributed.group.WORLD), got {comm!r}"
        )
    return Alone() if transport.size == 1 else transport


_NAMES = ("size", "rank", "all_gather", "all_to_all", "broadcast", "gather_objects", "abort")
