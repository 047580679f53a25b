"""The parts of a C file around the functions of its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._version import __version__
from . import elementary
from .names import in_comment
from .writer import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .writer import Writer

_LICENSE = """
 * MIT License, for the code in this file; the numbers are those of whoever trained the network.
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
 * associated documentation files (the "Software"), to deal in the Software without restriction, including
 * without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
 * copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
 * following conditions: The above copyright notice and this permission notice shall be included in all
 * copies or substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
 * LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
 * EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
 * IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR
 * THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 */
"""

_PREAMBLE = """
#ifndef $P_H
#define $P_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#ifdef $P_USE_LIBM
#include <math.h>
#endif

/* -D$P_API= gives the functions external linkage, for programs of several files and other languages. */
#ifndef $P_API
#define $P_API static inline
#endif

#if defined(__GNUC__) || defined(__clang__)
#define $P_RESTRICT __restrict__
#define $P_ALIGNED __attribute__((aligned(64)))
#define $P_COPY __builtin_memcpy
#elif defined(_MSC_VER)
#define $P_RESTRICT __restrict
#define $P_ALIGNED __declspec(align(64))
#elif defined(__cplusplus)
#define $P_RESTRICT
#define $P_ALIGNED
#else
#define $P_RESTRICT restrict
#define $P_ALIGNED
#endif
#ifndef $P_COPY
#include <string.h>
#define $P_COPY memcpy
#endif
"""


class Function(NamedTuple):
    """A function of the file's interface.

    Attributes
    ----------
    head : str
        Its declaration, as a template.
    comment : str
    lines : list of str
        Its body, as templates.
    """

    head: str
    comment: str
    lines: list[str]


def header(name: str, layers: Sequence[tuple[str, str, str]], compared: str) -> str:
    """The first comment: what is in the file, and what it was compared with."""
    cells = [[in_comment(cell) for cell in row] for row in layers]
    widths = [max(len(row[i]) for row in cells) for i in (0, 1)]
    lines = [
        f"{name}: a neural network as C99 and C++17, written by fastnn {__version__}.",
        "",
        *(f"    {a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in cells),
        "",
        *(in_comment(line) for line in compared.splitlines()),
        "",
        "Do not compile it with -ffast-math if NaN must stay NaN. Copyright (c) 2026 the fastnn authors.",
    ]
    body = "\n".join(f" * {line}".rstrip() for line in lines)
    return f"/*\n{body}\n *{_LICENSE}"


def numbers(name: str, values: NDArray[np.floating]) -> str:
    """A constant array, exact to the bit."""
    real = "float" if values.dtype == np.float32 else "double"
    words = [elementary.literal(value, values.dtype) for value in values.ravel().tolist()]
    return (
        f"static const {real} {name}[{max(len(words), 1)}] $P_ALIGNED = {{\n{listed(words or ['0'])}\n}};\n"
    )


def integers(name: str, values: NDArray[np.int8]) -> str:
    """A constant array of integers of 8 bits."""
    body = listed(map(str, values.tolist()))
    return f"static const int8_t {name}[{values.size}] $P_ALIGNED = {{\n{body}\n}};\n"


def assembled(
    c: Writer,
    first: str,
    macros: Sequence[tuple[str, int, str]],
    types: str,
    arrays: Sequence[str],
    functions: Sequence[Function],
) -> str:
    """The whole file.

    Parameters
    ----------
    c : Writer
    first : str
        The first comment.
    macros : sequence of (name, value, comment)
    types : str
        Their definitions, as a template.
    arrays : sequence of str
        Constant arrays, as templates.
    functions : sequence of Function
    """
    defined = "".join(f"#define $P_{name} {value} /* {comment} */\n" for name, value, comment in macros)
    declared = "".join(f"\n/* {f.comment} */\n$P_API {f.head};\n" for f in functions)
    bodies = "".join(
        f"\n$P_API {f.head}\n{{\n" + "".join(f"    {line}\n" if line else "\n" for line in f.lines) + "}\n"
        for f in functions
    )
    largest = max(value for _, value, _ in macros)
    wide = (
        f'\n#if INT_MAX < {largest}\n#error "int is too small for this network"\n#endif\n'
        if largest > 32767
        else ""
    )
    text = [
        first,
        c.text(_PREAMBLE),
        "\n",
        c.text(defined),
        c.text(wide),
        '\n#ifdef __cplusplus\nextern "C" {\n#endif\n',
        c.text(f"\n{types}" if types else ""),
        c.text(declared),
        "\n",
        "\n".join(c.text(array) for array in arrays),
        c.helpers,
        "\n",
        "\n".join(c.functions),
        c.text(bodies),
        c.text("\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* $P_H */\n"),
    ]
    return "".join(text)
