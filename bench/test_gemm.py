"""The matrix product by shape, grouped beside NumPy's; the table of fractions of the peak is printed last."""

from __future__ import annotations

import pytest

from bench import gemm
from bench.peers import blas

LINES: list[str] = []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", gemm.SHAPES, ids=str)
def test_product(benchmark, shape, dtype):
    product = gemm.Product(shape, dtype)
    benchmark.group = f"product {shape} {dtype}"
    with blas.threads(1):
        figures = gemm.measure(shape, dtype, seconds=0.01, rounds=5)
        benchmark.extra_info.update(zip(("us", "of_peak", "openblas_ratio"), figures, strict=True))
        benchmark.pedantic(product.run, rounds=5, iterations=max(1, int(1e4 / figures[0])), warmup_rounds=1)
    LINES.append(gemm.line(shape, dtype, figures))
    # Far below what the table shows, so that only a broken kernel fails, not a busy machine.
    assert figures[2] > 0.05
