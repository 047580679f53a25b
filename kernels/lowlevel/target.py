"""The CPU that code is compiled for: the host, or one that Numba's settings name."""

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
