"""How many CPUs this process may use: its affinity, its control group's quota, and the environment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cpus() -> int:
    """CPUs that this process may run on; a quota is rounded down."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(count, _quota())))


def from_environment() -> int | None:
    """The number of threads that ``FASTNN_THREADS`` sets, or ``OMP_NUM_THREADS`` limits.

    The latter is what joblib sets in its workers, so that all of them together take as many threads as there
    are CPUs.

    Raises
    ------
    ValueError
        If ``FASTNN_THREADS`` is not a whole number >= 1.
    """
    own = os.environ.get("FASTNN_THREADS", "").strip()
    if own:
        if not own.isdecimal() or int(own) < 1:
            raise ValueError(f"the environment's FASTNN_THREADS must be an integer >= 1, got {own!r}")
        return int(own)
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # one number per level of nesting
    return min(int(given), cpus()) if given.isdecimal() and int(given) > 0 else None


def _quota() -> float:
    """CPUs that the control groups of this process (Linux) may use; infinite without a limit."""
    least = float("inf")
    with contextlib.suppress(OSError):
        for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            names = controllers.split(",")
            if controllers == "":  # version 2: one tree for all controllers
                least = min(least, _least(_GROUPS, path, "cpu.max"))
            elif "cpu" in names:
                for folder in (_GROUPS / controllers, _GROUPS / "cpu"):
                    least = min(least, _least(folder, path, "cpu.cfs_quota_us", "cpu.cfs_period_us"))
    return least


def _least(root: Path, path: str, *names: str) -> float:
    """The smallest quota of a group and its parents. A container sees its own group as the root."""
    least, folder = float("inf"), root / path.lstrip("/")
    for group in (folder, *folder.parents):
        with contextlib.suppress(OSError, ValueError):  # no such file; "max": no quota
            quota, period = " ".join((group / name).read_text(encoding="utf-8") for name in names).split()
            if int(quota) > 0:
                least = min(least, int(quota) / int(period))
        if group == root:
            break
    return least
