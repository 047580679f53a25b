"""Sums over samples that compiled code adds up: weighted outer products, and quadratic forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..kernels.abi.gram import GRAM, GRAM_ROWS
from ..kernels.abi.oprow import PACK_SIZE
from ..memory.buffers import address, allocate

if TYPE_CHECKING:
    from numpy.typing import NDArray


def add_sums(x: NDArray[Any], factors: NDArray[np.float64], matrices: NDArray[np.float64]) -> None:
    """Add ``sum(factors[i, p] * outer(x[i], x[i]))`` over i to each of the matrices.

    x of shape (n, width), factors of shape (n, count), matrices of shape (count, width, width); all are
    C-contiguous.
    """
    _run("sums", x, matrices, factors=factors, block=allocate(x.shape[1] ** 2, "float64"))


def forms(x: NDArray[Any], matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """``x[i] @ matrices[p] @ x[i]``, of shape (n, count), for arrays as those of `add_sums`."""
    result = np.empty((len(x), len(matrices)))
    _run("forms", x, matrices, forms=result)
    return result


def _run(entry: str, x: NDArray[Any], matrices: NDArray[np.float64], **arrays: NDArray[np.float64]) -> None:
    n, width = x.shape
    record = np.zeros(1, GRAM)
    fields = record[0]
    fields["product"] = loader.address("linalg.gemm.product", "float64")
    fields["n"], fields["width"], fields["count"] = n, width, len(matrices)
    arrays |= {"x": x, "matrices": matrices, "pack": allocate(PACK_SIZE, "float64")}
    arrays |= {name: allocate(GRAM_ROWS * width, "float64") for name in ("rows", "scaled")}
    for name, array in arrays.items():
        fields[name] = address(array)
    loader.function(f"linalg.gram.{entry}", x.dtype.name)(address(record), 0)
