"""Writes the body of a C file: one function a layer, the weights they read, and the calls in their order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import array_checks
from . import elementary, learning, vector
from .names import identifier, in_comment

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_ALIGNED = 16  # numbers that begin at a multiple of 64 bytes in float32


@dataclass
class Value:
    """A tensor: the input, or a part of the scratch memory.

    Attributes
    ----------
    name : str
        Its address in C.
    size : int
        How many numbers it has.
    start : int or None
        Where it begins in the scratch memory; None is the input, which is never written to.
    readers : int
        How often it is still going to be read.
    mask : Value or None
        For each time step, 1 or 0: whether it is there; None if all are.
    """

    name: str
    size: int
    start: int | None = None
    readers: int = 1
    mask: Value | None = None


class Writer:
    """Collects the parts of a file.

    Parameters
    ----------
    prefix : str
        Of all names.
    dtype : {"float32", "float64"}
    weights : str
        Where functions find the weights: the name of an array or of an argument.

    Attributes
    ----------
    name : str
        Of the layer that is being written.
    parameters : mapping of str to array
        Those of that layer.
    keeps_state : bool
        Whether recurrent layers go on from a state that the caller keeps, one time step at a time.
    quantizes : bool
        Whether matrices are written as integers of 8 bits: see `quantize`.
    """

    def __init__(self, prefix: str, dtype: str, weights: str) -> None:
        self.prefix, self.dtype = prefix, np.dtype(dtype)
        self.name, self.comment = "", ""
        self.parameters: Mapping[str, NDArray[Any]] = {}
        self.real = "float" if self.dtype == np.float32 else "double"
        self.keeps_state = self.quantizes = False
        self.codes: list[NDArray[np.int8]] = []
        self.n_codes = 0
        self.scratch = self.n_state = 0
        self.functions: list[str] = []
        self.calls: list[str] = []
        self.numbers: list[NDArray[Any]] = []
        self.n_numbers = 0
        self._weights = weights
        self._helpers: dict[str, str] = {}
        self._free: list[tuple[int, int]] = []
        self._places: dict[bytes, str] = {}
        self._end = 0
        self._names: dict[str, int] = {}
        self._constants = elementary.constants(self.dtype)

    # --- text

    def text(self, template: str) -> str:
        """A template with its prefix, its type and its numbers."""

        def polynomial(match: re.Match[str]) -> str:
            return elementary.polynomial(match[1], match[2], self.dtype)

        def name(match: re.Match[str]) -> str:
            return self._constants.get(match[1], match[0])

        template = re.sub(r"\$\{(\w+):(\w+)\}", polynomial, template)
        template = template.replace("$p_", f"{self.prefix}_").replace("$P_", f"{self.prefix.upper()}_")
        template = re.sub(r"\$(\w+)", name, template.replace("$f(", self._constants["f"] + "("))
        return re.sub(r"\b(\d+\.\d*(?:e[+-]?\d+)?)r\b", rf"\1{self._constants['f']}", template)

    def number(self, value: float) -> str:
        """A number of the type, exact to the bit."""
        return elementary.literal(value, self.dtype)

    def helper(self, name: str) -> str:
        """The name in C of a function that several layers call; it is written once."""
        if name not in self._helpers:
            needs, own, by_libm = (elementary.FUNCTIONS | vector.FUNCTIONS | learning.FUNCTIONS)[name]
            for other in needs:
                self.helper(other)
            text = own
            if by_libm:
                text = f"\n#ifdef $P_USE_LIBM\n{by_libm}#else{own}#endif\n"
            self._helpers[name] = self.text(text)
        return f"{self.prefix}_{name}"

    @property
    def helpers(self) -> str:
        """The text of all functions that were asked for."""
        return "".join(self._helpers.values())

    def new_name(self, base: str) -> str:
        """A name for something of the layer that is being written."""
        name = f"{self.prefix}_{identifier(base)}"
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count}"

    def define(self, what: str, declarations: Sequence[str], lines: Sequence[str]) -> str:
        """Write a function of the layer, and give its name.

        Parameters
        ----------
        what : str
            What it computes, for its name.
        declarations : sequence of str
            Of its arguments.
        lines : sequence of str
            Its body.
        """
        name = self.new_name(f"{self.name}_{what}")
        declared = ", ".join(map(self.text, declarations))
        body = "\n".join(f"    {line}" if line else "" for line in map(self.text, lines))
        comment, self.comment = self.comment, ""
        head = f"/* {in_comment(comment)} */\n" if comment else ""
        self.functions.append(f"{head}static inline void {name}({declared})\n{{\n{body}\n}}\n")
        return name

    def function(self, what: str, arguments: Sequence[tuple[str, str]], lines: Sequence[str]) -> None:
        """Write a function of the layer, and the call of it; arguments are declarations and expressions."""
        name = self.define(what, [declaration for declaration, _ in arguments], lines)
        self.calls.append(f"{name}({', '.join(expression for _, expression in arguments)});")

    def call(self, helper: str, *arguments: str) -> None:
        """Write a call of a helper."""
        self.calls.append(f"{self.helper(helper)}({', '.join(arguments)});")

    # --- memory

    def new(self, size: int) -> Value:
        """A tensor of some numbers, in memory that is free."""
        room = -(-size // _ALIGNED) * _ALIGNED
        for i, (start, free) in enumerate(self._free):
            if free >= room:
                self._free[i : i + 1] = [(start + room, free - room)] if free > room else []
                break
        else:
            start = self._end
            if self._free and sum(self._free[-1]) == self._end:  # it ends in free memory
                start = self._free.pop()[0]
            self._end = start + room
            self.scratch = max(self.scratch, self._end)
        return Value(f"scratch + {start}" if start else "scratch", size, start)

    def read(self, value: Value, times: int = 1) -> None:
        """Say that a tensor has been read; its memory is free after the last time."""
        value.readers -= times
        if value.readers == 0 and value.start is not None:
            room = -(-value.size // _ALIGNED) * _ALIGNED
            merged: list[tuple[int, int]] = []
            for start, size in sorted([*self._free, (value.start, room)]):
                if merged and sum(merged[-1]) == start:
                    merged[-1] = (merged[-1][0], merged[-1][1] + size)
                else:
                    merged.append((start, size))
            self._free = merged

    def over(self, x: Value, size: int | None = None) -> Value:
        """Where an elementwise function of a tensor goes: its own memory if nobody else reads that."""
        if x.start is not None and x.readers == 1:
            return x
        y = self.new(x.size if size is None else size)
        y.mask = x.mask
        self.read(x)
        return y

    def state(self, size: int) -> str:
        """The address in C of numbers that the caller keeps from one time step to the next."""
        start, self.n_state = self.n_state, self.n_state + size
        return f"state->values + {start}" if start else "state->values"

    def begin(self, *, keeps_state: bool) -> None:
        """Begin another function of the same network, in the same memory and with the same weights."""
        self.keeps_state, self.calls = keeps_state, []
        self._free, self._end = [], 0

    # --- weights

    def weights(self, *arrays: ArrayLike) -> str:
        """The address in C of numbers, one array after the other."""
        with np.errstate(over="ignore"):
            values = np.concatenate([np.asarray(array, self.dtype).ravel() for array in arrays])
        array_checks.finite(f"the numbers of layer {self.name}", values)
        known = self._places.get(values.tobytes())
        if known is not None:  # written already, for another function
            return known
        start = self.n_numbers
        room = -(-values.size // _ALIGNED) * _ALIGNED
        self.numbers.append(np.concatenate([values, np.zeros(room - values.size, self.dtype)]))
        self.n_numbers += room
        place = self._places[values.tobytes()] = f"{self._weights} + {start}" if start else self._weights
        return place

    def integers(self, codes: NDArray[np.int8]) -> str:
        """The address in C of weights that are integers of 8 bits."""
        key = b"codes" + codes.tobytes()
        if key not in self._places:
            start = self.n_codes
            room = -(-codes.size // 64) * 64
            self.codes.append(np.concatenate([codes.ravel(), np.zeros(room - codes.size, np.int8)]))
            self.n_codes += room
            name = f"{self.prefix}_codes"
            self._places[key] = f"{name} + {start}" if start else name
        return self._places[key]

    def table(self, what: str, integers: Sequence[int]) -> str:
        """The name of a constant array of integers, for a function of the layer."""
        name = self.new_name(f"{self.name}_{what}")
        self.functions.append(
            f"static const int {name}[{len(integers)}] = {{\n{listed(map(str, integers))}\n}};\n"
        )
        return name


def data(x: Value, weights: str | None, y: Value) -> list[tuple[str, str]]:
    """Arguments of a function that reads a tensor, and weights if there are any, and writes a tensor."""
    arguments = [("const $real *$P_RESTRICT x", x.name)]
    if weights is not None:
        arguments.append(("const $real *$P_RESTRICT w", weights))
    return [*arguments, ("$real *$P_RESTRICT y", y.name)]


def indented(lines: Sequence[str]) -> list[str]:
    """Lines of a block."""
    return [f"    {line}" for line in lines]


def listed(words: Any) -> str:
    """Words as lines of an initializer."""
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) > 98:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])
