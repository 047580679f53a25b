"""Unknown attributes are rejected: otherwise a misspelt setting would be ignored silently."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

#: Names that settings have in other libraries, and their names here.
_SYNONYMS = {
    "lr": ("learning_rate", "optimizer.learning_rate"),
    "learning_rate": ("optimizer.learning_rate",),
    "clipnorm": ("global_clipnorm", "optimizer.global_clipnorm"),
    "max_norm": ("global_clipnorm",),
    "decay": ("weight_decay",),
    "eps": ("epsilon",),
    "betas": ("beta_1",),
    "requires_grad": ("trainable",),
    "frozen": ("trainable",),
    "kernel": ("weights",),
}


class KnownAttributes:
    """Base of classes that reject unknown attributes.

    A class has what its body or its annotations name, and the parameters of its ``__init__``. What begins
    with an underscore is free, and so is everything in subclasses outside of fastnn.
    """

    _attribute_names: ClassVar[frozenset[str] | None] = None  # None: any

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        ours = cls.__module__.partition(".")[0] == "fastnn"
        cls._attribute_names = _names(cls) if ours else None

    if not TYPE_CHECKING:  # a type checker would assume that any name can be set

        def __setattr__(self, name: str, value: Any) -> None:
            known = self._attribute_names
            if known is not None and name not in known and not name.startswith("_"):
                raise AttributeError(
                    f"{type(self).__name__} has no attribute {name!r}{_hint(type(self), name)}"
                )
            super().__setattr__(name, value)


def _names(kind: type) -> frozenset[str]:
    names: set[str] = set()
    for base in kind.__mro__:
        names.update(vars(base), inspect.get_annotations(base))
        if (code := getattr(vars(base).get("__init__"), "__code__", None)) is not None:
            names.update(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    return frozenset(names)


def _hint(kind: type, name: str) -> str:
    """The attribute that may have been meant, or a list of all."""
    settable = [
        known
        for known in _names(kind) - {"self", "args", "kwargs"}
        if not known.startswith("_") and _can_be_set(getattr(kind, known, None))
    ]
    for meant in _SYNONYMS.get(name, ()):
        if meant.partition(".")[0] in settable:
            return f"; did you mean {meant!r}?"
    near = difflib.get_close_matches(name, sorted(settable), 1)
    return f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(sorted(settable))}"


def _can_be_set(value: Any) -> bool:
    """Whether a class attribute is a setting, and neither a method nor a read-only property."""
    return value.fset is not None if isinstance(value, property) else not callable(value)
