"""A C compiler, if there is one: it compiles a file with all warnings, runs its self-test and times it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from typing import NamedTuple

#: What the files compile with, as C and as C++, without a warning.
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wdouble-promotion", "-Werror")
_SECONDS = 600  # that a compiler may take

_MAIN = """
#include "network.h"
#include <stdio.h>
#include <time.h>

static {real} x[{P}_INPUTS], y[{P}_OUTPUTS], scratch[{P}_SCRATCH];
{declared}
int main(void)
{{
    {read}
    const double error = (double){p}_selftest({weights});
    double best = 1e9, sum = 0.0;
    long count = 1;
    for (int trial = 0; trial < 8;) {{
        const clock_t start = clock();
        for (long i = 0; i < count; i++) {{
            {p}_predict(x, y, scratch{more});
            x[0] = y[0] * 0; /* so that calls wait for each other */
        }}
        const double seconds = (double)(clock() - start) / (double)CLOCKS_PER_SEC;
        sum += (double)y[0];
        if (seconds < 0.01) {{
            count *= 2;
            continue;
        }}
        trial++;
        if (seconds / (double)count < best)
            best = seconds / (double)count;
    }}
    printf("%.17g %.17g %g\\n", error, 1e6 * best, sum);
    return 0;
}}
"""


class Checked(NamedTuple):
    """What a compiled self-test said.

    Attributes
    ----------
    compiler : str
        Name and version.
    error : float
        The largest error, relative to the largest output.
    microseconds : float
        Of a call.
    """

    compiler: str
    error: float
    microseconds: float


def command() -> list[str]:
    """The compiler that ``$CC`` names, or one that is found; a RuntimeError if there is none."""
    given = os.environ.get("CC")
    for name in [given] if given else ["cc", "gcc", "clang"]:
        words = shlex.split(name)
        if words and shutil.which(words[0]):
            return words
    looked = f"CC={given}" if given else "cc, gcc and clang"
    raise RuntimeError(
        f"checking a C file (check=True) needs a C compiler, and none was found: {looked}; install one, "
        "or set CC"
    )


def check(content: bytes, prefix: str, real: str, separate: bytes | None) -> Checked:
    """Compile a file in a folder of its own, run its self-test and time a call.

    Raises
    ------
    RuntimeError
        If there is no compiler, or it refuses the file.
    """
    compiler = command()
    native = ["-march=native"] if platform.machine() in ("x86_64", "AMD64") else []
    contents = {"network.h": content, "weights.bin": separate or b""}
    contents["main.c"] = _main(prefix, real, separate is not None).encode("ascii")
    with tempfile.TemporaryDirectory(prefix="fastnn-c-") as folder:
        for name, data in contents.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        program = os.path.join(folder, "main")
        options = ["-std=c99", "-O3", "-ffp-contract=fast", *native, *WARNINGS]
        _run([*compiler, *options, "main.c", "-o", program], folder)
        error, microseconds, _ = map(float, _run([program], folder).split())
        version = _run([*compiler, "--version"], folder).splitlines()[0]
    return Checked(f"{version}, {' '.join(options[1 : 3 + len(native)])}", error, microseconds)


def _main(prefix: str, real: str, separate: bool) -> str:
    """The text of the program."""
    macro = prefix.upper()
    fill = {"p": prefix, "P": macro, "real": real, "declared": "", "read": "", "weights": "", "more": ""}
    if separate:
        fill |= {"weights": "weights", "more": ", weights"}
        fill["declared"] = f"static {real} weights[{macro}_WEIGHTS];\n"
        fill["read"] = (
            'FILE *file = fopen("weights.bin", "rb");\n'
            f"    if (!file || fread(weights, sizeof({real}), {macro}_WEIGHTS, file) != {macro}_WEIGHTS)\n"
            "        return 1;\n"
            "    fclose(file);"
        )
    return _MAIN.format(**fill)


def _run(words: list[str], folder: str) -> str:
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"the C compiler could not be run: {error}") from error
    if done.returncode:
        raise RuntimeError(f"{os.path.basename(words[0])} failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
