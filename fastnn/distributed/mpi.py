"""Data moved by MPI, with mpi4py."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MPI:
    """See `Transport`.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI as mpi

        if not isinstance(comm, mpi.Intracomm):
            raise TypeError(f"comm must be an intracommunicator, as MPI.COMM_WORLD is, got {comm!r}")
        self._comm, self._in_place = comm, mpi.IN_PLACE
        self.size, self.rank = comm.Get_size(), comm.Get_rank()

    def all_gather(self, rows: NDArray[Any]) -> None:  # noqa: D102
        self._comm.Allgather(self._in_place, rows)

    def all_to_all(self, sent: NDArray[Any], received: NDArray[Any]) -> None:  # noqa: D102
        self._comm.Alltoall(sent, received)

    def broadcast(self, values: NDArray[Any]) -> None:  # noqa: D102
        self._comm.Bcast(values, 0)

    def gather_objects(self, value: Any) -> list[Any]:  # noqa: D102
        return list(self._comm.allgather(value))

    def abort(self) -> None:  # noqa: D102
        sys.stderr.flush()
        self._comm.Abort(1)
