"""The machine that code is compiled for: its kind by LLVM's triple, its CPU by Numba's settings."""

from llvmlite import binding
from numba.core import config


def name():
    """LLVM's name of the CPU: ``NUMBA_CPU_NAME``, or that of the host."""
    return config.CPU_NAME or binding.get_host_cpu_name()


def features():
    """Its features as LLVM writes them, ``"+avx2,+fma"``: ``NUMBA_CPU_FEATURES``, or those of the host."""
    if config.CPU_FEATURES is not None:
        return config.CPU_FEATURES
    return binding.get_host_cpu_features().flatten()


def has(*wanted):
    """Whether it has all of these features."""
    return {f"+{feature}" for feature in wanted} <= set(features().split(","))


def triple():
    """LLVM's name of the kind of machine, its operating system and its ABI: that of this process."""
    return binding.get_process_triple()


def is_x86():
    """Whether the instructions are those of x86, of 32 or 64 bits."""
    return triple().startswith(("x86_64", "i386", "i486", "i586", "i686"))


def is_arm64():
    """Whether the instructions are those of 64-bit ARM, which Apple's triples name otherwise."""
    return triple().startswith(("aarch64", "arm64"))


def is_windows():
    """Whether the operating system is Windows."""
    return "windows" in triple()
