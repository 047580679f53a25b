"""What pickles, tracebacks and `help` call public classes and functions."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType
from typing import Any


def set_module(module: str, values: Iterable[Any]) -> None:
    """Give classes and functions the name of the module that users import them from.

    A file can then move without breaking pickles that name its classes.
    """
    for value in values:
        if isinstance(value, (type, FunctionType)):
            value.__module__ = module
