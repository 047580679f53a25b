"""Numba's options, single instructions, LLVM."""
