"""Which output of a model is explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate

if TYPE_CHECKING:
    from numpy.typing import NDArray


def output_indices(output: Any, outputs: NDArray[Any]) -> NDArray[np.int64]:
    """The output that is explained of each sample, as an array of shape (n,).

    Parameters
    ----------
    output : int, array of int of shape (n,), or None
        A negative one counts from the end; None means the largest output of each sample.
    outputs : array of shape (n, n_out)

    Raises
    ------
    TypeError, ValueError
        If it is not an integer, or out of range.
    """
    n, n_out = outputs.shape
    if output is None:
        largest: NDArray[np.int64] = outputs.argmax(axis=1)
        return largest
    if isinstance(output, (np.ndarray, list, tuple)):
        given = np.asarray(output)
        if given.dtype.kind not in "iu" or given.shape != (n,):
            raise ValueError(
                f"output must be an integer, or {n} of them, one for each sample; got {given.dtype} of shape "
                f"{given.shape}"
            )
    else:
        given = np.full(n, validate.integer("output", output))
    if given.min() < -n_out or given.max() >= n_out:
        wrong = given.min() if given.min() < -n_out else given.max()
        raise ValueError(f"output must be the number of one of {n_out} outputs, got {wrong}")
    counted: NDArray[np.int64] = given % n_out
    return counted


def one_hot(indices: NDArray[np.int64], n_out: int, dtype: str) -> NDArray[Any]:
    """Of shape (n, n_out): 1 for one output of each sample, 0 for the others."""
    result = np.zeros((len(indices), n_out), dtype)
    result[np.arange(len(indices)), indices] = 1
    return result
