"""How settings are shown: what was given, without what is so anyway."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any


def spec(name: str, settings: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    """``'relu'``, or ``huber(delta=0.5)`` where a setting is another one than by default."""
    given = other(table[name], settings) if inspect.isfunction(table.get(name)) else dict(settings)
    return call(name, (), given) if given else repr(name)


def other(function: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings of a function that differ from its defaults."""
    defaults = {each.name: each.default for each in inspect.signature(function).parameters.values()}
    return {
        name: value
        for name, value in settings.items()
        if name in defaults and repr(value) != repr(defaults[name])
    }


def call(name: str, values: tuple[Any, ...], settings: Mapping[str, Any]) -> str:
    """A call as it is written."""
    parts = [*map(repr, values), *(f"{key}={value!r}" for key, value in settings.items())]
    return f"{name}({', '.join(parts)})"
