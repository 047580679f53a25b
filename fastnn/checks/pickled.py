"""How specifications are pickled: in terms that later versions understand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any


def by_config(specification: Any, get: Callable[[Any], Any], table: Any) -> tuple[Any, ...]:
    """For ``__reduce__``: a call of `get` with name and settings, as they are saved in files.

    A specification without a registered name, or that differs from the one of its name, is pickled field by
    field.
    """
    if specification.name in table:
        config = specification.config()
        if get(config) == specification:
            return get, (config,)
    values = tuple(getattr(specification, field.name) for field in fields(specification))
    return type(specification), values
