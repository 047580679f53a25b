"""Tables: data with columns that have names and dtypes of their own, as those of pandas and polars."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_table(value: Any) -> bool:
    """Whether it has columns: a DataFrame of pandas or polars, a Table of pyarrow, or the like."""
    if isinstance(value, (np.ndarray, list, tuple)):
        return False
    return (hasattr(value, "columns") or hasattr(value, "column_names")) and len(
        getattr(value, "shape", ())
    ) == 2


def column_names(value: Any) -> tuple[str, ...]:
    """Names of the columns of a table; none of anything else, and none unless all of them are text."""
    if not is_table(value):
        return ()
    for attribute in ("columns", "column_names"):  # pyarrow's columns are the data
        names = getattr(value, attribute, None)
        if names is not None and len(names) == value.shape[1] and all(isinstance(n, str) for n in names):
            return tuple(map(str, names))
    return ()
