"""How settings are shown: without those that have their default values."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any


def spec(name: str, settings: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    """``'relu'``, or ``huber(delta=0.5)`` if a setting differs from its default."""
    given = other(table[name], settings) if inspect.isfunction(table.get(name)) else dict(settings)
    return call(name, (), given) if given else repr(name)


def other(function: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults of a function."""
    defaults = {each.name: each.default for each in inspect.signature(function).parameters.values()}
    return {
        name: value
        for name, value in settings.items()
        if name in defaults and repr(value) != repr(defaults[name])
    }


def call(name: str, values: tuple[Any, ...], settings: Mapping[str, Any]) -> str:
    """A call as source code."""
    parts = [*map(repr, values), *(f"{key}={value!r}" for key, value in settings.items())]
    return f"{name}({', '.join(parts)})"
