"""The functions of a C file that others call, and the file around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import text
from .text import Function

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .compiler import Checked
    from .gradient import Gradient
    from .training import Learning
    from .writer import Writer


class Step(NamedTuple):
    """A recurrent network one time step at a time.

    Attributes
    ----------
    calls : list of str
        The statements that compute a step.
    n_in, n_out : int
        Numbers of the input and of the output of a step.
    """

    calls: list[str]
    n_in: int
    n_out: int


class Network(NamedTuple):
    """What a file is made of.

    Attributes
    ----------
    writer : Writer
    calls : list of str
        The statements that compute the output.
    numbers : array of shape (n,)
        The weights.
    x, y : array of shape (samples, numbers)
        Samples of the self-test, and the outputs for these.
    separate : bool
        Whether the weights are in another file.
    layers : list of tuples
        Of each layer its path, what it is, and the shape of its output.
    step : Step or None
    gradient : Gradient or None
    training : Learning or None
    """

    writer: Writer
    calls: list[str]
    numbers: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    separate: bool
    layers: list[tuple[str, str, str]]
    step: Step | None = None
    gradient: Gradient | None = None
    training: Learning | None = None

    def file(self, found: Checked | None) -> bytes:
        """The text; `found` is what a check of it said."""
        c = self.writer
        first = text.header(c.prefix, self.layers, self._compared(found))
        arrays = [text.numbers("$p_test_x", self.x), text.numbers("$p_test_y", self.y)]
        if self.numbers.size and not self.separate:
            arrays.insert(0, text.numbers("$p_weights", self.numbers))
        if c.codes:
            arrays.insert(0, text.integers("$p_codes", np.concatenate(c.codes)))
        functions = [self._predict(), *(self._steps() if self.step else [])]
        functions += [*(self._gradients() if self.gradient else []), self._selftest()]
        functions += self.training.functions if self.training else []
        types = "typedef struct {\n    $real values[$P_STATE];\n} $p_state;\n" if self.step else ""
        if self.training:
            rate = self.training.rate
            types += f"/* That of the model, {rate!r}. */\n#define $P_LEARNING_RATE {c.number(rate)}\n"
        return text.assembled(c, first, self.macros(), types, arrays, functions).encode("ascii")

    @property
    def _weights(self) -> tuple[str, str]:
        """The last argument of functions, and of calls of them."""
        return (", const $real *$P_RESTRICT weights", ", weights") if self.separate else ("", "")

    def macros(self) -> list[tuple[str, int, str]]:
        """Names without the prefix, numbers and comments."""
        c, x, y = self.writer, self.x, self.y
        macros = [
            ("INPUTS", x.shape[1], "numbers that a sample has"),
            ("OUTPUTS", y.shape[1], "numbers of the result"),
            ("SCRATCH", max(c.scratch, 1), f"numbers of type {c.real} of the memory that a caller gives"),
        ]
        if self.separate:
            macros.append(
                ("WEIGHTS", max(self.numbers.size, 1), f"numbers of type {c.real} in the other file")
            )
        if self.step:
            macros += [
                ("STEP_INPUTS", self.step.n_in, "numbers that a time step has"),
                ("STEP_OUTPUTS", self.step.n_out, "numbers of its result"),
                ("STATE", max(c.n_state, 1), f"numbers of type {c.real} of a state"),
            ]
        macros += self.training.macros if self.training else []
        return macros

    def _predict(self) -> Function:
        arguments = "const $real *$P_RESTRICT x, $real *$P_RESTRICT y, $real *$P_RESTRICT scratch"
        return Function(
            f"void $p_predict({arguments}{self._weights[0]})",
            "y[$P_OUTPUTS] = network(x[$P_INPUTS]); scratch is memory of $P_SCRATCH numbers, without values.",
            [*self._unused(), *self.calls],
        )

    def _unused(self) -> list[str]:
        return ["(void)scratch;", *(["(void)weights;"] if self.separate else [])]

    def _steps(self) -> list[Function]:
        assert self.step is not None
        arguments = (
            "$p_state *$P_RESTRICT state, const $real *$P_RESTRICT x, $real *$P_RESTRICT y, "
            "$real *$P_RESTRICT scratch"
        )
        return [
            Function(
                "void $p_reset($p_state *state)",
                "The state before the first time step.",
                ["for (int i = 0; i < $P_STATE; i++)", "    state->values[i] = 0.0r;"],
            ),
            Function(
                f"void $p_step({arguments}{self._weights[0]})",
                "The output y[$P_STEP_OUTPUTS] after one more time step, x[$P_STEP_INPUTS].",
                [*self._unused(), *self.step.calls],
            ),
        ]

    def _gradients(self) -> list[Function]:
        assert self.gradient is not None
        own, last = self.gradient, self._weights[0]
        start, end = "const $real *$P_RESTRICT x", f"$real *$P_RESTRICT scratch{last}"
        return [
            Function(
                f"void $p_input_gradient({start}, const $real *$P_RESTRICT dy, $real *$P_RESTRICT dx, {end})",
                "dx[$P_INPUTS], the derivatives of the sum of dy[i] * y[i] with respect to x.",
                [*self._unused(), *own.forward, *own.backward],
            ),
            Function(
                f"void $p_jacobian({start}, $real *$P_RESTRICT jacobian, {end})",
                "jacobian[$P_OUTPUTS][$P_INPUTS], the derivatives of all outputs with respect to all inputs.",
                [
                    *self._unused(),
                    *own.forward,
                    "for (int k = 0; k < $P_OUTPUTS; k++) {",
                    f"    $real *dy = {own.unit.name}, *dx = jacobian + (ptrdiff_t)k * $P_INPUTS;",
                    "    for (int i = 0; i < $P_OUTPUTS; i++)",
                    "        dy[i] = i == k ? 1.0r : 0.0r;",
                    *(f"    {line}" for line in own.backward),
                    "}",
                ],
            ),
        ]

    def _selftest(self) -> Function:
        c = self.writer
        lines = [
            f"const $real largest = {c.number(abs(self.y).max() or 1.0)};",
            "$real scratch[$P_SCRATCH], y[$P_OUTPUTS], error = 0.0r;",
            f"for (int i = 0; i < {len(self.x)}; i++) {{",
            "    const $real *expected = $p_test_y + (ptrdiff_t)i * $P_OUTPUTS;",
            f"    $p_predict($p_test_x + (ptrdiff_t)i * $P_INPUTS, y, scratch{self._weights[1]});",
            *self._compare("$P_OUTPUTS", "expected", "    "),
        ]
        if self.step:
            each = self.y.shape[1] > self.step.n_out  # there are outputs of all time steps
            expected = "expected + (ptrdiff_t)t * $P_STEP_OUTPUTS" if each else "expected"
            steps = self.x.shape[1] // self.step.n_in
            place = "$p_test_x + (ptrdiff_t)i * $P_INPUTS + (ptrdiff_t)t * $P_STEP_INPUTS"
            compare = self._compare("$P_STEP_OUTPUTS", f"({expected})", "        ")
            lines += [
                "    $p_state state;",
                "    $p_reset(&state);",
                f"    for (int t = 0; t < {steps}; t++) {{",
                f"        $p_step(&state, {place}, y, scratch{self._weights[1]});",
                *(compare if each else []),
                "    }",
                *([] if each else self._compare("$P_STEP_OUTPUTS", "expected", "    ")),
            ]
        return Function(
            f"$real $p_selftest({self._weights[0].removeprefix(', ') or 'void'})",
            f"The largest error of {len(self.x)} samples, relative to the largest output (on the stack).",
            [*lines, "}", "return error;"],
        )

    @staticmethod
    def _compare(count: str, expected: str, indent: str) -> list[str]:
        return [
            f"{indent}for (int j = 0; j < {count}; j++) {{",
            f"{indent}    const $real d = (y[j] - {expected}[j]) / largest, size = d < 0.0r ? -d : d;",
            f"{indent}    if (size > error || size != size)",
            f"{indent}        error = size;",
            f"{indent}}}",
        ]

    def _compared(self, found: Checked | None) -> str:
        """What the self-test compares with, and what came out when the file was written."""
        dtype, count = self.writer.dtype, len(self.x)
        lines = [f"The self-test compares with what fastnn's predict gives, in {dtype}, for {count} samples."]
        if found is None:
            return "\n".join([*lines, "It was not run when this file was written."])
        said = f"When this file was written its error was {found.error:.2g}, compiled by"
        return "\n".join([*lines, said, f"{found.compiler}."])
