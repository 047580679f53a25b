"""The number of threads of NumPy's BLAS library, set while a program runs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

try:
    from threadpoolctl import ThreadpoolController
except ImportError:
    ThreadpoolController = None

#: Whether the number of threads can be set at all.
ADJUSTABLE = ThreadpoolController is not None


@cache
def _controller():
    # Looking for the loaded libraries takes milliseconds, setting their threads microseconds.
    return ThreadpoolController()


def threads(number: int | None) -> AbstractContextManager:
    """Limit BLAS to a number of threads within a ``with`` block; None changes nothing."""
    return nullcontext() if number is None else _controller().limit(limits=number, user_api="blas")
