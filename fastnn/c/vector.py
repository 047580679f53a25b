"""Functions over vectors as C text: products in blocks of columns, activations, sums of a row.

Weights lie block by block: 64 columns of all rows, then 32, 16 and 8, and what is left column by column. A
block's sums stay in registers; blocks of few columns have several of each, so that additions do not wait
for each other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .elementary import Helper

#: Columns of the blocks.
WIDTHS = (64, 32, 16, 8)
_SUMS = 64  # numbers that are added up at a time


def _block(width: int) -> str:
    """Add a product with a matrix of so many columns."""
    count = _SUMS // width
    sums = range(count)
    lines = [
        "",
        f"/* y[0 ... {width - 1}] += x[0 ... n - 1] times a matrix of {width} columns. */",
        f"static inline void $p_add_{width}("
        "const $real *$P_RESTRICT x, int n, const $real *$P_RESTRICT w, $real *$P_RESTRICT y)",
        "{",
        "    $real " + ", ".join(f"s{k}[{width}]" for k in sums) + ";",
    ]
    if count > 1:
        lines.append(f"    const int whole = n - n % {count};")
    lines += [
        f"    for (int j = 0; j < {width}; j++) {{",
        "        s0[j] = y[j];",
        *(f"        s{k}[j] = 0.0r;" for k in sums[1:]),
        "    }",
        f"    for (int i = 0; i < {'whole' if count > 1 else 'n'}; i += {count}) {{",
        f"        const $real *$P_RESTRICT row = w + (ptrdiff_t)i * {width};",
        "        const $real " + ", ".join(f"x{k} = x[i + {k}]" if k else "x0 = x[i]" for k in sums) + ";",
        f"        for (int j = 0; j < {width}; j++) {{",
        *(f"            s{k}[j] += x{k} * row[{f'{k * width} + ' if k else ''}j];" for k in sums),
        "        }",
        "    }",
    ]
    if count > 1:
        lines += [
            "    for (int i = whole; i < n; i++)",
            f"        for (int j = 0; j < {width}; j++)",
            f"            s0[j] += x[i] * w[(ptrdiff_t)i * {width} + j];",
        ]
    terms = [f"s{k}[j]" for k in sums]
    while len(terms) > 1:
        terms = [f"({a} + {b})" for a, b in zip(terms[::2], terms[1::2], strict=True)]
    lines += [
        f"    for (int j = 0; j < {width}; j++)",
        f"        y[j] = {terms[0] if count == 1 else terms[0][1:-1]};",
        "}",
        "",
    ]
    return "\n".join(lines)


def _of_codes(text: str) -> str:
    """The same function of weights that are integers of 8 bits."""
    for name in ("w", "row"):
        text = text.replace(f"const $real *$P_RESTRICT {name}", f"const int8_t *$P_RESTRICT {name}")
    return text.replace("$p_add_", "$p_add_codes_").replace("$p_dot", "$p_dot_codes")


def blocks(columns: int) -> list[tuple[int, int]]:
    """First column and width of each block; the columns behind the last one stand by themselves."""
    found, first = [], 0
    for width in WIDTHS:
        while columns - first >= width:
            found.append((first, width))
            first += width
    return found


def own_functions(name: str, columns: int, *, codes: bool) -> str:
    """The functions of a product with a matrix of so many columns, under another name."""
    texts = [_block(width) for width in dict.fromkeys(width for _, width in blocks(columns))]
    text = "".join(texts).replace("$p_add_", f"{name}_")
    return _of_codes(text) if codes else text


def laid_out(matrix: NDArray[Any]) -> NDArray[Any]:
    """The numbers of a matrix in the order in which blocks read them."""
    parts = [matrix[:, first : first + width].ravel() for first, width in blocks(matrix.shape[1])]
    rest = sum(width for _, width in blocks(matrix.shape[1]))
    return np.concatenate([*parts, matrix[:, rest:].T.ravel()])


def product(
    rows: int,
    columns: int,
    *,
    x: str = "x",
    w: str = "w",
    y: str = "y",
    first: str = "",
    count: str = "",
    codes: bool = False,
    own: str = "",
) -> tuple[list[str], list[str]]:
    """Lines that add ``x @ w`` to y, and the helpers they need; optionally of some of the rows only.

    `first` and `count` are expressions: x begins with number `first` of the rows, and has `count` numbers.
    With `codes` the weights are integers of 8 bits. `own` is the name of functions that no other
    product calls, so that compilers make them for its number of rows: see `own_functions`.
    """
    lines, helpers, n = [], [], count or str(rows)
    add, dot = ("add_codes", "dot_codes") if codes else ("add", "dot")
    for start, width in blocks(columns):
        if not own:
            helpers.append(f"{add}_{width}")
        at = [f"{start * rows}"] if start else []
        at += [f"{first} * {width}"] if first else []
        here = " + ".join([w, *at])
        lines.append(f"{own or f'$p_{add}'}_{width}({x}, {n}, {here}, {f'{y} + {start}' if start else y});")
    rest = sum(width for _, width in blocks(columns))
    if rest < columns:
        helpers.append(dot)
        at = [f"{rest * rows}"] if rest else []
        at += [f"j * {rows}"] + ([first] if first else [])
        here = " + ".join([w, *at])
        lines.append(f"for (int j = 0; j < {columns - rest}; j++)")
        lines.append(f"    {y}[{f'{rest} + ' if rest else ''}j] += $p_{dot}({x}, {n}, {here});")
    return lines, helpers


def _elementwise(name: str, expression: str, *needs: str, settings: Sequence[str] = ()) -> dict[str, Helper]:
    """An activation of numbers; x and y may be the same."""
    arguments = "".join(f", $real {setting}" for setting in settings)
    text = f"""
static inline void $p_{name}_all(const $real *x, int n{arguments}, $real *y)
{{
    for (int i = 0; i < n; i++) {{
        const $real v = x[i];
        y[i] = {expression};
    }}
}}
"""
    return {f"{name}_all": (needs, text, "")}


def _derivative(
    name: str, derivative: str, value: str = "", *needs: str, settings: Sequence[str] = ()
) -> dict[str, Helper]:
    """The way back through an activation: u is its input, f what `value` says; dy and dx may be the same."""
    arguments = "".join(f", $real {setting}" for setting in settings)
    text = f"""
static inline void $p_{name}_back(const $real *x, int n{arguments}, const $real *dy, $real *dx)
{{
    for (int i = 0; i < n; i++) {{
        const $real u = x[i];
        {f"const $real f = {value};" if value else ""}
        dx[i] = dy[i] * ({derivative});
    }}
}}
"""
    return {f"{name}_back": (needs, text, "")}


_SELU = (1.0507009873554805, 1.6732632423543772)
_GELU = 2 * math.sqrt(2 / math.pi)

_DOT = """
/* The sum of x[i] * w[i]. */
static inline $real $p_dot(const $real *$P_RESTRICT x, int n, const $real *$P_RESTRICT w)
{
    $real s[16];
    const int whole = n - n % 16;
    $real rest = 0.0r;
    for (int i = whole; i < n; i++)
        rest += x[i] * w[i];
    if (whole == 0)
        return rest;
    for (int j = 0; j < 16; j++)
        s[j] = 0.0r;
    for (int i = 0; i < whole; i += 16)
        for (int j = 0; j < 16; j++)
            s[j] += x[i + j] * w[i + j];
    for (int j = 0; j < 8; j++)
        s[j] += s[j + 8];
    for (int j = 0; j < 4; j++)
        s[j] += s[j + 4];
    return ((s[0] + s[2]) + (s[1] + s[3])) + rest;
}
"""

FUNCTIONS: dict[str, Helper] = {
    **{f"add_{width}": ((), _block(width), "") for width in WIDTHS},
    "dot": ((), _DOT, ""),
    **{f"add_codes_{width}": ((), _of_codes(_block(width)), "") for width in WIDTHS},
    "dot_codes": ((), _of_codes(_DOT), ""),
    "copy": (
        (),
        """
static inline void $p_copy(const $real *x, int n, $real *y)
{
    for (int i = 0; i < n; i++)
        y[i] = x[i];
}
""",
        "",
    ),
    "put_columns": (
        (),
        """
/* Copy n columns at each position into columns of rows of a width. */
static inline void $p_put_columns(const $real *x, int positions, int n, $real *y, int width)
{
    for (int p = 0; p < positions; p++, x += n, y += width)
        for (int i = 0; i < n; i++)
            y[i] = x[i];
}
""",
        "",
    ),
    "add": (
        (),
        """
/* y += x. */
static inline void $p_add(const $real *x, int n, $real *y)
{
    for (int i = 0; i < n; i++)
        y[i] += x[i];
}
""",
        "",
    ),
    "affine": (
        (),
        """
/* y = x * w[0 ... n - 1] + w[n ... 2 n - 1] at each position; x and y may be the same. */
static inline void $p_affine(const $real *x, int positions, int n, const $real *w, $real *y)
{
    for (int p = 0; p < positions; p++, x += n, y += n)
        for (int i = 0; i < n; i++)
            y[i] = x[i] * w[i] + w[n + i];
}
""",
        "",
    ),
    "scale": (
        (),
        """
/* y = (x - w[0 ... n - 1]) / w[n ... 2 n - 1] at each position; x and y may be the same. */
static inline void $p_scale(const $real *x, int positions, int n, const $real *w, $real *y)
{
    for (int p = 0; p < positions; p++, x += n, y += n)
        for (int i = 0; i < n; i++)
            y[i] = (x[i] - w[i]) / w[n + i];
}
""",
        "",
    ),
    **_elementwise("sigmoid", "$p_sigmoid(v)", "sigmoid"),
    **_elementwise("tanh", "$p_tanh(v)", "tanh"),
    **_elementwise("relu", "v < 0.0r ? 0.0r : v"),
    **_elementwise("leaky_relu", "v < 0.0r ? negative_slope * v : v", settings=["negative_slope"]),
    **_elementwise("elu", "v < 0.0r ? alpha * $p_expm1(v) : v", "expm1", settings=["alpha"]),
    **_elementwise("selu", f"{_SELU[0]!r}r * (v < 0.0r ? {_SELU[1]!r}r * $p_expm1(v) : v)", "expm1"),
    **_elementwise("gelu", "v * $p_normal_cdf(v)", "normal_cdf"),
    **_elementwise("gelu_tanh", f"v * $p_sigmoid({_GELU!r}r * v * (1.0r + 0.044715r * v * v))", "sigmoid"),
    **_elementwise("silu", "v * $p_sigmoid(v)", "sigmoid"),
    **_elementwise("softplus", "$p_softplus(v)", "softplus"),
    **_elementwise("hard_tanh", "v < -1.0r ? -1.0r : (v > 1.0r ? 1.0r : v)"),
    **_elementwise("exp", "$p_exp(v)", "exp"),
    **_derivative("sigmoid", "f * (1.0r - f)", "$p_sigmoid(u)", "sigmoid"),
    **_derivative("tanh", "1.0r - f * f", "$p_tanh(u)", "tanh"),
    **_derivative("relu", "u > 0.0r ? 1.0r : 0.0r"),
    **_derivative("leaky_relu", "u > 0.0r ? 1.0r : negative_slope", settings=["negative_slope"]),
    **_derivative("elu", "u > 0.0r ? 1.0r : f + alpha", "alpha * $p_expm1(u)", "expm1", settings=["alpha"]),
    **_derivative(
        "selu", f"{_SELU[0]!r}r * (u > 0.0r ? 1.0r : {_SELU[1]!r}r * (f + 1.0r))", "$p_expm1(u)", "expm1"
    ),
    **_derivative(
        "gelu",
        f"f + u * ({1 / math.sqrt(2 * math.pi)!r}r * $p_exp(-0.5r * u * u))",
        "$p_normal_cdf(u)",
        "normal_cdf",
        "exp",
    ),
    **_derivative(
        "gelu_tanh",
        f"f + u * f * (1.0r - f) * {_GELU!r}r * (1.0r + 0.134145r * u * u)",
        f"$p_sigmoid({_GELU!r}r * u * (1.0r + 0.044715r * u * u))",
        "sigmoid",
    ),
    **_derivative("silu", "f + u * f * (1.0r - f)", "$p_sigmoid(u)", "sigmoid"),
    **_derivative("softplus", "f", "$p_sigmoid(u)", "sigmoid"),
    **_derivative("hard_tanh", "u > -1.0r && u < 1.0r ? 1.0r : 0.0r"),
    "softmax_back": (
        (),
        """
/* The way back through softmax, by its output y; dy and dx may be the same. */
static inline void $p_softmax_back(const $real *y, int positions, int n, const $real *dy, $real *dx)
{
    for (int p = 0; p < positions; p++, y += n, dy += n, dx += n) {
        $real sum = 0.0r;
        for (int i = 0; i < n; i++)
            sum += y[i] * dy[i];
        for (int i = 0; i < n; i++)
            dx[i] = y[i] * (dy[i] - sum);
    }
}
""",
        "",
    ),
    "log_softmax_back": (
        ("exp",),
        """
/* The way back through log-softmax, by its output y; dy and dx may be the same. */
static inline void $p_log_softmax_back(const $real *y, int positions, int n, const $real *dy, $real *dx)
{
    for (int p = 0; p < positions; p++, y += n, dy += n, dx += n) {
        $real sum = 0.0r;
        for (int i = 0; i < n; i++)
            sum += dy[i];
        for (int i = 0; i < n; i++)
            dx[i] = dy[i] - $p_exp(y[i]) * sum;
    }
}
""",
        "",
    ),
    "softmax": (
        ("exp",),
        """
/* exp(x) / sum(exp(x)) of n numbers at each position; x and y may be the same. */
static inline void $p_softmax(const $real *x, int positions, int n, $real *y)
{
    for (int p = 0; p < positions; p++, x += n, y += n) {
        $real largest = x[0], sum = 0.0r;
        for (int i = 1; i < n; i++)
            largest = x[i] > largest ? x[i] : largest;
        for (int i = 0; i < n; i++)
            y[i] = $p_exp(x[i] - largest);
        for (int i = 0; i < n; i++)
            sum += y[i];
        for (int i = 0; i < n; i++)
            y[i] /= sum;
    }
}
""",
        "",
    ),
    "log_softmax": (
        ("exp", "log"),
        """
/* x - log(sum(exp(x))) of n numbers at each position; x and y may be the same. */
static inline void $p_log_softmax(const $real *x, int positions, int n, $real *y)
{
    for (int p = 0; p < positions; p++, x += n, y += n) {
        $real largest = x[0], sum = 0.0r;
        for (int i = 1; i < n; i++)
            largest = x[i] > largest ? x[i] : largest;
        for (int i = 0; i < n; i++)
            sum += $p_exp(x[i] - largest);
        sum = $p_log(sum);
        for (int i = 0; i < n; i++)
            y[i] = (x[i] - largest) - sum;
    }
}
""",
        "",
    ),
    "normalize": (
        ("rsqrt",),
        """
/* Give n numbers at each position mean 0, if centred, and mean square 1; x and y may be the same. */
static inline void $p_normalize(const $real *x, int positions, int n, int centred, $real epsilon, $real *y)
{
    for (int p = 0; p < positions; p++, x += n, y += n) {
        $real mean = 0.0r, squares = 0.0r;
        if (centred) {
            for (int i = 0; i < n; i++)
                mean += x[i];
            mean /= ($real)n;
        }
        for (int i = 0; i < n; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        const $real factor = $p_rsqrt(squares / ($real)n + epsilon);
        for (int i = 0; i < n; i++)
            y[i] = (x[i] - mean) * factor;
    }
}
""",
        "",
    ),
}
