"""Unknown attributes are rejected: otherwise a misspelt setting would be ignored silently.

Unknown arguments are as well, by Python itself, but not in each version with the name that was meant.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from .hints import nearest

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
    "out_features": ("units",),
    "hidden_size": ("units",),
    "out_channels": ("filters",),
    "p": ("rate",),
    "num_embeddings": ("input_dim",),
    "embedding_dim": ("output_dim",),
}


class _SignatureOfInit:
    """The signature of a class, for help and editors: that of its ``__init__``, not of `KnownArguments`."""

    def __get__(self, instance: object, cls: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        if cls.__init__ is object.__init__:  # type: ignore[misc]
            return inspect.Signature()
        found = inspect.signature(cls.__init__)  # type: ignore[misc]
        return found.replace(parameters=list(found.parameters.values())[1:])


class KnownArguments:
    """Base of classes whose error for an unknown argument says which one may have been meant."""

    __signature__ = _SignatureOfInit()

    if not TYPE_CHECKING:  # a type checker knows the arguments by `__init__`

        def __new__(cls, *args, **settings):  # noqa: D102
            if (args or settings) and cls.__init__ is object.__init__:
                raise TypeError(f"{cls.__name__}() takes no arguments")
            code = getattr(cls.__init__, "__code__", None)
            if code is not None and not code.co_flags & inspect.CO_VARKEYWORDS:
                known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
                for name in settings:
                    if name not in known:
                        raise TypeError(
                            f"{cls.__name__}() got an unexpected keyword argument {name!r}"
                            f"{_meant(name, known) or _those(known)}"
                        )
            return super().__new__(cls)


class KnownAttributes(KnownArguments):
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
    return _meant(name, sorted(settable)) or f"; it has {', '.join(sorted(settable))}"


def _meant(name: str, known: Collection[str]) -> str:
    """``; did you mean 'units'?``, if a known name is what others call it, or similar."""
    for meant in _SYNONYMS.get(name, ()):
        if meant.partition(".")[0] in known:
            return f"; did you mean {meant!r}?"
    return nearest(name, known)


def _those(known: Collection[str]) -> str:
    return f"; it has {', '.join(known)}" if known else "; it has none"


def _can_be_set(value: Any) -> bool:
    """Whether a class attribute is a setting, and neither a method nor a read-only property."""
    return value.fset is not None if isinstance(value, property) else not callable(value)
