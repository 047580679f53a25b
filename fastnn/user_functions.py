"""User-defined activations, losses and schedules: registered by name, compiled, and pickled."""

from __future__ import annotations

import contextlib
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
    from collections.abc import Callable, Iterable, Iterator

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

    def n_targets(self, n_out: int) -> int:  # noqa: D102
        count = super().n_targets(n_out)
        if self.rowwise:
            _try_on_rows(self.kernel, self.name, n_out, count)
        return count


@dataclass(frozen=True, repr=False)
class UserSchedule(UserDefined, Schedule):
    """A schedule from `register_schedule`."""


def _user_activation(name: str, kernel: str) -> UserActivation:
    return UserActivation(name, kernel, {}, from_output=False)


def _user_loss(name: str, kernel: str, **settings: Any) -> UserLoss:
    return UserLoss(name, kernel, {}, **settings)


def _user_schedule(name: str, kernel: str) -> UserSchedule:
    return UserSchedule(name, kernel, {})


_KINDS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "activation": (activations, _user_activation),
    "loss": (losses, _user_loss),
    "schedule": (schedules, _user_schedule),
}
_SETTINGS = ("rowwise", "n_columns")  # of a loss
_UNTOUCHED = -1.7e301  # no number that a function gives
_functions: dict[str, Functions] = {}  # of each kernel
_from_pickles: set[str] = set()  # kernels whose functions came from pickles only


def make_known(what: str, name: Any, replace: Any, functions: Functions, **settings: Any) -> Any:
    """Make a specification from functions and settings, and register it under a free name."""
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
    made = room.TABLE[name] = make(name, kernel, **settings)
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
        settings = {key: fields[key] for key in _SETTINGS if fields.get(key)}
        kernel = _find(what, name, carried) or _take_in(what, name, carried, settings)
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


def _take_in(
    what: str, name: str, carried: dict[str, tuple[Carried, int]] | None, settings: dict[str, Any]
) -> str:
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
        room.TABLE[name] = make(name, kernel, **settings)
    _from_pickles.add(kernel)
    return kernel


@contextlib.contextmanager
def named(specifications: Iterable[UserDefined]) -> Iterator[None]:
    """A block in which the names of specifications refer to them, as in the process where they were made."""
    before = []
    for made in specifications:
        room, make = _KINDS[made.kernel.split(".")[1]]
        before.append((room.TABLE, made.name, room.TABLE.get(made.name)))
        settings = {key: value for key in _SETTINGS if (value := getattr(made, key, None))}
        room.TABLE[made.name] = make(made.name, made.kernel, **settings)
    try:
        yield
    finally:
        for table, name, value in reversed(before):
            if value is not None:
                table[name] = value


@functools.cache
def _try_on_rows(kernel: str, name: str, n_out: int, n_targets: int) -> None:
    """Raise a ValueError if functions of rows of these sizes read beyond them, or do not write all of one.

    The compiled loop does not check indices.
    """
    y, t = np.arange(1, n_out + 1) / n_out, np.zeros(n_targets)
    out = np.full(n_out, _UNTOUCHED)
    sizes = f"rows of {n_out} outputs and {n_targets} targets"
    for role, (function, count) in _functions.get(kernel, {}).items():
        plain = getattr(function, "py_func", function)
        try:
            with np.errstate(all="ignore"):
                plain(*(y, t, out)[:count])
        except IndexError as error:
            raise ValueError(f"{role} of the loss {name!r} does not fit {sizes}: {error}") from error
        except ArithmeticError:  # 0 / 0 of numbers, which is no error in the loop
            return
    untouched = np.flatnonzero(out == _UNTOUCHED)
    if untouched.size:
        raise ValueError(
            f"derivative of the loss {name!r} must write all of out, of {sizes}; it does not write "
            f"out[{untouched[0]}]"
        )


def _make(what: str, name: str, functions: dict[str, tuple[Callable[..., Any], int]], dtype: str) -> Any:
    """The kernels of user-defined functions for a dtype, if they can be compiled."""
    from .kernels.custom import elementwise, scalar

    of_rows = what == "loss" and functions["derivative"][1] == 3
    check = scalar.check_of_rows if of_rows else scalar.check
    for role, (function, count) in functions.items():
        try:
            slow = check(function, count, np.dtype(dtype).type)
        except scalar.Refused as error:
            kind = (
                "numbers that returns a number, and"
                if not of_rows
                else "arrays, which it only reads but for out;"
            )
            raise CompilationError(
                f"{role} of the {what} {name!r} cannot run in the compiled loop, in {dtype}: {error}. It "
                f"must be a function of {kind} may not raise, print or make arrays"
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
    return getattr(elementwise, "row_loss" if of_rows else what)(*arguments)
