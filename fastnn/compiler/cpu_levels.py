"""Levels of CPUs, for each of which a wheel may hold kernels.

Those of x86-64 are levels of its System V psABI: v3 is AVX2 with fused multiply-add, v4 AVX-512. That of
64-bit ARM is what all of its CPUs have, vectors of 128 bits among it.
"""

from __future__ import annotations

import platform
import sys

_V2 = ("cx16", "popcnt", "sahf", "sse4.2")
_V3 = (*_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
#: Features of each level by LLVM's name of its CPU, for each kind of machine; the best level comes first.
LEVELS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {"x86-64-v4": _V4, "x86-64-v3": _V3},
    "aarch64": {"generic": ()},
}


def by_machine() -> dict[str, tuple[str, ...]]:
    """The levels of this kind of machine, the best first; none where objects have another form than ELF."""
    return LEVELS.get(platform.machine().lower(), {}) if sys.platform == "linux" else {}


def settings(level: str) -> dict[str, str]:
    """Settings of Numba by which it compiles for a level."""
    features = ",".join(f"+{feature}" for feature in by_machine()[level])
    return {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": features}


def of_host() -> str | None:
    """The best level that this CPU has.

    None where its vectors are wider than those of that level, as on CPUs with only a part of AVX-512: kernels
    that are compiled besides would then use other widths.
    """
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    for level, needed in by_machine().items():
        if all(features.get(feature) for feature in needed):
            wider = features.get("avx512f") and "avx512f" not in needed
            return None if wider else level
    return None
