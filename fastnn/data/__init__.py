"""What `fit` is given: arrays and tables, checked; and readers of what does not fit into memory.

>>> import fastnn as fn
>>> fn.data.Parquet, fn.data.Rows
(<class 'fastnn.data.Parquet'>, <class 'fastnn.data.Rows'>)
"""

import importlib
from typing import TYPE_CHECKING, Any

from .._public import set_module

if TYPE_CHECKING:
    from .parquet import Parquet
    from .row_reader import Rows

__all__ = ["Parquet", "Rows"]

# Imported on first use: few programs need them.
_LATER = {"Parquet": ".parquet", "Rows": ".row_reader"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(importlib.import_module(_LATER[name], __name__), name)
    set_module(__name__, [value])
    return value


def __dir__() -> list[str]:
    return __all__
