"""Column names: those that a model was fitted with, and those of the table passed now."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks.hints import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 5


def check(known: tuple[str, ...] | None, given: tuple[str, ...], name: str = "X") -> None:
    """Raise a ValueError unless the names are the same, in the same order.

    Parameters
    ----------
    known : tuple of str or None
        Of the columns that the model was fitted with; empty if they had no names, None if it is not fitted.
    given : tuple of str
        Those of the current table; empty if it has none.
    name : str
        Its name in messages.

    Warns
    -----
    UserWarning
        If only one of the two has names, so that they cannot be compared.
    """
    if known is None or known == given:
        return
    if not given:
        text = f"{name} has no column names, but the model was fitted with a table that has"
        warnings.warn(f"{text}: {_shown(known)}", UserWarning, stacklevel=4)
    elif not known:
        text = f"{name} has column names, but the model was fitted without names"
        warnings.warn(f"{text}: {_shown(given)}", UserWarning, stacklevel=4)
    elif sorted(known) == sorted(given):
        raise ValueError(
            f"the columns of {name} must be in the order of those that the model was fitted with, "
            f"{_shown(known)}, got {_shown(given)}; use X[model.feature_names_in_]"
        )
    else:
        unknown = [column for column in given if column not in set(known)]
        missing = [column for column in known if column not in set(given)]
        parts = [f"unknown: {_shown(unknown)}"] if unknown else []
        parts += [f"missing: {_shown(missing)}"] if missing else []
        near = nearest(unknown[0], missing) if unknown else ""
        parts = parts or [f"got {_shown(given)}, expected {_shown(known)}"]  # one is there twice
        raise ValueError(
            f"{name} must have the columns that the model was fitted with; {'; '.join(parts)}{near}"
        )


def _shown(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


def as_array(names: tuple[str, ...] | None) -> NDArray[Any] | None:
    """The names as in scikit-learn, an array of objects; None if there are none."""
    return np.array(names, dtype=object) if names else None
