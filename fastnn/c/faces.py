"""A Fortran module and a C++ class, by which programs in these languages call a C file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._version import __version__

if TYPE_CHECKING:
    from .interface import Network

_SUBROUTINE = """
     subroutine {p}_{name}({arguments}) bind(c, name="{p}_{name}")
       import
{declared}
     end subroutine {p}_{name}
"""


def fortran(network: Network) -> str:
    """A module of the functions of a C file, which is compiled with ``-DNET_API=``."""
    c = network.writer
    p, real = c.prefix, f"real({'c_float' if c.real == 'float' else 'c_double'})"
    arrays = {
        "x": f"{real}, intent(in) :: x({p}_inputs)",
        "y": f"{real}, intent(out) :: y({p}_outputs)",
        "scratch": f"{real}, intent(inout) :: scratch({p}_scratch)",
        "state": f"type({p}_state), intent(inout) :: state",
        "weights": f"{real}, intent(in) :: weights(*)",
    }
    last = ["weights"] if network.separate else []

    def subroutine(name: str, *names: str, **others: str) -> str:
        declared = "\n".join(f"       {(arrays | others)[each]}" for each in names)
        return _SUBROUTINE.format(p=p, name=name, arguments=", ".join(names), declared=declared)

    constants = [f"{p}_{name.lower()} = {value}" for name, value, _ in network.macros()]
    state, steps = "", ""
    if network.step:
        state = f"  type, bind(c) :: {p}_state\n    {real} :: values({max(c.n_state, 1)})\n"
        state += f"  end type {p}_state\n"
        constants = [each for each in constants if not each.startswith(f"{p}_state ")]
        own = {
            "x": f"{real}, intent(in) :: x({p}_step_inputs)",
            "y": f"{real}, intent(out) :: y({p}_step_outputs)",
        }
        steps = subroutine("reset", "state") + subroutine("step", "state", "x", "y", "scratch", *last, **own)
    listed = "".join(f"  integer, parameter :: {each}\n" for each in constants)
    return (
        f"! {p}: a neural network, written by fastnn {__version__}. C is compiled with -D{p.upper()}_API=\n"
        f"module {p}\n  use, intrinsic :: iso_c_binding\n  implicit none\n{listed}{state}  interface\n"
        + subroutine("predict", "x", "y", "scratch", *last)
        + steps
        + _function(p, real, last, arrays)
        + f"  end interface\nend module {p}\n"
    )


def _function(p: str, real: str, last: list[str], arrays: dict[str, str]) -> str:
    declared = "".join(f"       {arrays[each]}\n" for each in last)
    return f"""
     {real} function {p}_selftest({", ".join(last)}) bind(c, name="{p}_selftest")
       import
{declared}     end function {p}_selftest
"""


_CLASS = """// {p}: a neural network, written by fastnn {version}.
#ifndef {P}_HPP
#define {P}_HPP

#include "{path}"
#include <array>
#include <vector>

namespace fastnn {{

/// The network with memory of its own: one for each thread.
class {p} {{
public:
    using input = std::array<{real}, {P}_INPUTS>;
    using output = std::array<{real}, {P}_OUTPUTS>;
{constructor}
    output predict(const input &x)
    {{
        output y;
        {p}_predict(x.data(), y.data(), scratch_.data(){last});
        return y;
    }}

    /// The largest difference from what it was compared with.
    {real} selftest() const {{ return {p}_selftest({weights}); }}
{steps}
private:
    std::vector<{real}> scratch_ = std::vector<{real}>({P}_SCRATCH);
{members}}};

}} // namespace fastnn

#endif
"""

_STEPS = """
    using step_input = std::array<{real}, {P}_STEP_INPUTS>;
    using step_output = std::array<{real}, {P}_STEP_OUTPUTS>;

    /// Begin another sequence.
    void reset() {{ {p}_reset(&state_); }}

    /// The output after one more time step.
    step_output step(const step_input &x)
    {{
        step_output y;
        {p}_step(&state_, x.data(), y.data(), scratch_.data(){last});
        return y;
    }}
"""


def cpp(network: Network, path: str) -> str:
    """A class that includes a C file of this name."""
    c = network.writer
    fill = {"p": c.prefix, "P": c.prefix.upper(), "real": c.real, "version": __version__, "path": path}
    fill |= {"last": ", weights_", "weights": "weights_"} if network.separate else {"last": "", "weights": ""}
    members = [f"    {c.prefix}_state state_ = {{}};\n"] if network.step else []
    constructor = ""
    if network.separate:
        members.append(f"    const {c.real} *weights_;\n")
        constructor = (
            f"\n    /// The weights, {c.prefix.upper()}_WEIGHTS numbers, must live as long.\n"
            f"    explicit {c.prefix}(const {c.real} *weights) : weights_(weights) {{}}\n"
        )
    steps = _STEPS.format(**fill) if network.step else ""
    return _CLASS.format(**fill, members="".join(members), constructor=constructor, steps=steps)
