"""User-defined activations, losses and schedules: registered by name, compiled, and pickled."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import activations, losses, schedules
from .activations import Activation
from .checks import validate
from .compiler import loader
from .errors import CompilationError
from .io.pickled_functions import Carried, carry, fetch
from .losses import Loss
from .schedules import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    Functions = dict[str, tuple[Callable[..., Any], int]]


class UserDefined:
    """Made from user-defined functions, which its pickles, and those of models that use it, include.

    Loading such a pickle registers it there, unless another one has the same name: then each keeps its own
    functions, and the name refers to the one that was registered there.
    """

    kernel: str
    name: str

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy."""
        what = self.kernel.split(".")[1]
        return restore, (what, self.name, dict(vars(self)), _carried(self.kernel))


@dataclass(frozen=True, repr=False)
class UserActivation(UserDefined, Activation):
    """An activation from `register_activation`."""


@dataclass(frozen=True, repr=False)
class UserLoss(UserDefined, Loss):
    """A loss from `register_loss`."""


@dataclass(frozen=True, repr=False)
class UserSchedule(UserDefined, Schedule):
    """A schedule from `register_schedule`."""


def _user_activation(name: str, kernel: str) -> UserActivation:
    return UserActivation(name, kernel, {}, from_output=False)


def _user_loss(name: str, kernel: str) -> UserLoss:
    return UserLoss(name, kernel, {})


def _user_schedule(name: str, kernel: str) -> UserSchedule:
    return UserSchedule(name, kernel, {})


_KINDS: dict[str, tuple[Any, Callable[[str, str], Any]]] = {
    "activation": (activations, _user_activation),
    "loss": (losses, _user_loss),
    "schedule": (schedules, _user_schedule),
}
_functions: dict[str, Functions] = {}  # of each kernel
_from_pickles: set[str] = set()  # kernels whose functions came from pickles only


def make_known(what: str, name: Any, replace: Any, functions: Functions) -> Any:
    """Make a specification from functions, and register it under a free name."""
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeError(f"name must be a string that is an identifier, got {name!r}")
    replace = validate.boolean("replace", replace)
    room, make = _KINDS[what]
    kernel = getattr(room.TABLE.get(name), "kernel", None)
    own = kernel in _functions
    if name in room.TABLE and not (own and (replace or kernel in _from_pickles)):
        hint = ", or replace=True to replace it" if own else ""
        raise ValueError(f"{name!r} is the name of another {what}; choose another one{hint}")
    kernel = _register(what, name, functions)
    made = room.TABLE[name] = make(name, kernel)
    return made


def _register(what: str, name: str, functions: Functions) -> str:
    """Register functions as a kernel; returns its name."""
    kernel = f"custom.{what}.{name}"
    if kernel in _functions:  # models that use it keep it
        kernel += f".{len(_functions)}"
    _functions[kernel] = functions
    loader.register(kernel, functools.partial(_make, what, name, functions))
    return kernel


def _carried(kernel: str) -> dict[str, tuple[Carried, int]] | None:
    """The functions of a kernel in a form that can be pickled; None if one of them cannot."""
    found = {}
    for role, (function, count) in _functions.get(kernel, {}).items():
        content = carry(function)
        if content is None:
            return None
        found[role] = content, count
    return found or None


def restore(
    what: str, name: str, fields: dict[str, Any], carried: dict[str, tuple[Carried, int]] | None
) -> Any:
    """Restore a pickled specification, and register its functions.

    Pickles name it `fastnn.custom.restore`.
    """
    kernel = fields["kernel"]
    if carried is None or _carried(kernel) != carried:  # not a copy within this process
        kernel = _find(what, name, carried) or _take_in(what, name, carried)
    kind = type(_KINDS[what][1](name, kernel))
    return kind(**{key: kernel if value == fields["kernel"] else value for key, value in fields.items()})


def _find(what: str, name: str, carried: dict[str, tuple[Carried, int]] | None) -> str | None:
    """The kernel of these functions, or of this name if there are none; None if it is not registered."""
    made = getattr(_KINDS[what][0].TABLE.get(name), "kernel", None)
    if carried is None:
        return made if made in _functions else None
    stem = f"custom.{what}.{name}"
    known = (kernel for kernel in _functions if kernel == stem or kernel.startswith(f"{stem}."))
    return next((kernel for kernel in known if _carried(kernel) == carried), None)


def _take_in(what: str, name: str, carried: dict[str, tuple[Carried, int]] | None) -> str:
    """Register functions from a pickle; returns the name of their kernel."""
    if carried is None:
        raise ValueError(
            f"the {what} {name!r} is not registered here, and its functions could not be pickled; write them "
            f"with def in a module, or register it here first, by fn.register_{what}"
        )
    try:
        functions = {role: (fetch(content), count) for role, (content, count) in carried.items()}
    except ImportError as error:
        raise ImportError(
            f"the functions of the {what} {name!r} were not found here: {error}; make their module "
            f"importable, or register the {what} first, by fn.register_{what}"
        ) from error
    found = _find(what, name, carried)  # importing its module may have registered it
    if found is not None:
        return found
    kernel = _register(what, name, functions)
    room, make = _KINDS[what]
    if name not in room.TABLE or getattr(room.TABLE[name], "kernel", None) in _from_pickles:
        room.TABLE[name] = make(name, kernel)
    _from_pickles.add(kernel)
    return kernel


def _make(what: str, name: str, functions: dict[str, tuple[Callable[..., Any], int]], dtype: str) -> Any:
    """The kernels of user-defined functions for a dtype, if they can be compiled."""
    from .kernels.custom import elementwise, scalar

    for role, (function, count) in functions.items():
        try:
            slow = scalar.check(function, count, np.dtype(dtype).type)
        except scalar.Refused as error:
            raise CompilationError(
                f"{role} of the {what} {name!r} cannot run in the compiled loop, in {dtype}: {error}. It "
                "must be a function of numbers that returns a number, and may not raise, print or make arrays"
            ) from error
        if slow:
            warnings.warn(
                f"{role} of the {what} {name!r} computes in float64 in a float32 model, which is slower: "
                "start sums with type(x)(0), and use constants of the dtype of x: type(x)(0.5)",
                stacklevel=2,
            )
    arguments = [function for function, _ in functions.values()]
    if what == "activation":
        return elementwise.activation(*arguments, takes_output=functions["derivative"][1] == 2)
    return getattr(elementwise, what)(*arguments)
