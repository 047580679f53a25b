"""User-defined functions in a form that can be pickled, for use in another process."""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import Any

# Module and name; or the pickled function itself, where no other process could import it.
Carried = tuple[str, str] | bytes

#: Names of the main program's module: another process has another one.
MAIN = ("__main__", "__mp_main__")


def carry(function: Any) -> Carried | None:
    """What `fetch` restores the function from; None for one that cannot be pickled.

    Functions of modules are referred to by name. Lambdas, nested functions and those of the main program are
    pickled by value, with the globals and captured variables that they use.
    """
    plain = getattr(function, "py_func", function)
    module, name = getattr(plain, "__module__", None), getattr(plain, "__qualname__", None)
    if module in sys.modules and module not in MAIN and name is not None:
        found: Any = sys.modules[module]
        for part in name.split("."):
            found = getattr(found, part, None)
        if getattr(found, "py_func", found) is plain:
            return module, name
    from numba import cloudpickle  # Numba is needed in any case, since it compiles these functions

    try:
        content: bytes = cloudpickle.dumps(plain)
    except Exception:  # anything that pickling a captured object may raise
        return None
    return content


def fetch(carried: Carried) -> Any:
    """The function that was passed to `carry`.

    Raises
    ------
    ImportError
        If its module, or the name in it, does not exist.
    """
    if isinstance(carried, bytes):
        return pickle.loads(carried)
    module, name = carried
    found: Any = importlib.import_module(module)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise ImportError(f"the module {module!r} has no {name!r} here") from error
    return found
