"""Data moved by a process group of torch.distributed, such as gloo's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Gloo:
    """See `Transport`.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup
    """

    def __init__(self, group: Any) -> None:
        import torch.distributed

        self._torch, self._dist, self._group = torch, torch.distributed, group
        self.size, self.rank = group.size(), group.rank()

    def all_gather(self, rows: NDArray[Any]) -> None:  # noqa: D102
        every = self._torch.from_numpy(rows)
        self._dist.all_gather(list(every.unbind()), every[self.rank], self._group)

    def all_to_all(self, sent: NDArray[Any], received: NDArray[Any]) -> None:  # noqa: D102
        given, written = self._torch.from_numpy(sent), self._torch.from_numpy(received)
        self._dist.all_to_all_single(written, given, group=self._group)

    def broadcast(self, values: NDArray[Any]) -> None:  # noqa: D102
        self._dist.broadcast(self._torch.from_numpy(values), group=self._group, group_src=0)

    def gather_objects(self, value: Any) -> list[Any]:  # noqa: D102
        values = [None] * self.size
        self._dist.all_gather_object(values, value, self._group)
        return values

    def abort(self) -> None:
        """Leave the group, which the others then find broken."""
        self._dist.destroy_process_group()
