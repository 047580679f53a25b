"""Functions of the user's as data: what a pickle takes along so that another process has them."""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import Any

# A place, as module and name; or the function itself, where no other process could import it.
Carried = tuple[str, str] | bytes

_MAIN = ("__main__", "__mp_main__")  # another process has another main program


def carry(function: Any) -> Carried | None:
    """What `fetch` makes the function of; None for one that cannot leave this process.

    A function of a module is named. Lambdas, functions within functions and those of the main program are
    written out, with the globals and captured variables that they use.
    """
    plain = getattr(function, "py_func", function)
    module, name = getattr(plain, "__module__", None), getattr(plain, "__qualname__", None)
    if module in sys.modules and module not in _MAIN and name is not None:
        found: Any = sys.modules[module]
        for part in name.split("."):
            found = getattr(found, part, None)
        if getattr(found, "py_func", found) is plain:
            return module, name
    from numba import cloudpickle  # Numba compiles these functions: it is there in any case

    try:
        content: bytes = cloudpickle.dumps(plain)
    except Exception:  # whatever the reduction of an object that it has captured raises
        return None
    return content


def fetch(carried: Carried) -> Any:
    """The function that `carry` was given.

    Raises
    ------
    ImportError
        If its module, or the name in it, is not there.
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
