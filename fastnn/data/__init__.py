"""What `fit` is given: arrays and tables, checked; and readers of what does not fit into memory.

>>> import fastnn as fn
>>> fn.data.Parquet, fn.data.Arrow, fn.data.Rows
(<class 'fastnn.data.Parquet'>, <class 'fastnn.data.Arrow'>, <class 'fastnn.data.Rows'>)
"""

import importlib
from typing import TYPE_CHECKING, Any

from .._public import set_module
from ..checks.hints import nearest

if TYPE_CHECKING:
    from .column_files import Arrow, Parquet
    from .row_reader import Rows

__all__ = ["Arrow", "Parquet", "Rows"]

# Imported on first use: few programs need them.
_LATER = {"Arrow": ".column_files", "Parquet": ".column_files", "Rows": ".row_reader"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{nearest(name, __all__)}")
    globals()[name] = value = getattr(importlib.import_module(_LATER[name], __name__), name)
    set_module(__name__, [value])
    return value


def __dir__() -> list[str]:
    return __all__
