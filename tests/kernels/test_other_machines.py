"""Kernels compile for machines that these tests do not run on: other CPUs, other operating systems."""

import subprocess
import sys

import pytest

from fastnn.kernels.lowlevel._jit import INTERPRETED
from tests.helpers.cross_compiled import INTRINSICS, MACHINES, environment
from tests.helpers.fresh_process import ROOT
from tests.helpers.object_symbols import C_LIBRARY, machine, symbols
from tests.helpers.sweeps import sampled
from tests.kernels.test_objects import ENTRIES, OF_SOME_CPUS

pytestmark = pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")

FORMATS = {"linux": "ELF", "macosx": "Mach-O", "windows": "COFF"}


def compiled(triple, folder, kernels):
    command = [sys.executable, "-m", "tests.helpers.cross_compiled", triple, folder, *kernels]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(triple), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {kernel: (folder / f"{kernel}.o").read_bytes() for kernel in kernels}


def assert_is_for(triple, codes):
    cpu = "x86_64" if triple.startswith("x86_64") else "arm64"
    [form] = [form for name, form in FORMATS.items() if name in triple]
    for kernel, code in codes.items():
        defined, undefined = symbols(code)
        assert machine(code) == (cpu, form)
        assert defined == {f"fastnn.{kernel}.float32"}
        assert undefined <= C_LIBRARY, undefined


# Instructions of 64-bit ARM: write FPCR, from whichever register, and YIELD. Those of x86: VLDMXCSR, from
# whichever place, and PAUSE.
_MSR_FPCR, _YIELD = 0xD51B4400, 0xD503203F
_VLDMXCSR, _PAUSE = b"\xc5\xf8\xae", b"\xf3\x90"


@pytest.mark.slow
@pytest.mark.parametrize("triple", sampled(MACHINES, every=3))
def test_single_instructions_are_those_of_the_machine(triple, tmp_path):
    codes = compiled(triple, tmp_path, [INTRINSICS])
    assert_is_for(triple, codes)
    code = codes[INTRINSICS]
    if triple.startswith("x86_64"):
        assert _VLDMXCSR in code and _PAUSE in code
    else:
        words = {int.from_bytes(code[at : at + 4], "little") for at in range(0, len(code), 4)}
        assert _MSR_FPCR in {word & ~31 for word in words} and _YIELD in words
    assert symbols(code)[1] == {"SwitchToThread" if "windows" in triple else "sched_yield"}


@pytest.mark.sweep
@pytest.mark.parametrize("triple", MACHINES)
def test_kernels_compile_for_other_machines(triple, tmp_path):
    everywhere = [name for name in ENTRIES if not name.startswith(OF_SOME_CPUS)]
    kernels = [*everywhere[::27], "driver.loop.train", "linalg.gemm.product"]
    assert_is_for(triple, compiled(triple, tmp_path, [*dict.fromkeys(kernels)]))
