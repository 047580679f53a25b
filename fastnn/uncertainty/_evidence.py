"""Normal posteriors of the weights of a linear layer, and their hyperparameters by the marginal likelihood.

The precision of the prior, and of the noise, follow MacKay's fixed-point equations, by the effective number
of parameters gamma: D. MacKay, *Bayesian Interpolation*, Neural Computation 4 (1992).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_STEPS, _CHANGE = 10_000, 1e-8
_LARGEST = 1e12  # of a precision: weights of zeros would make it infinite


class Posterior(NamedTuple):
    """What is known of d weights for each of K outputs.

    Attributes
    ----------
    covariance : array of shape (K, d, d) or (K * (K - 1) / 2, d, d)
        Of the weights of each output; of classes, of the differences between the weights of two of them.
    noise : array of shape (K,), or None
        Standard deviations of the noise.
    precision : float
        Of the prior.
    evidence : float
        Logarithm of the marginal likelihood.
    """

    covariance: NDArray[np.float64]
    noise: NDArray[np.float64] | None
    precision: float
    evidence: float


def of_values(
    product: NDArray[np.float64],
    weights: NDArray[np.float64],
    squares: NDArray[np.float64],
    n: int,
    precision: float | None,
    noise: NDArray[np.float64] | None,
) -> Posterior:
    """For values with normal noise.

    Parameters
    ----------
    product : array of shape (d, d)
        Sum over samples of the outer products of the features.
    weights : array of shape (d, K)
    squares : array of shape (K,)
        Sums of the squares of the errors.
    n : int
        How many samples there are.
    precision, noise
        If given.
    """
    values, vectors = _spectrum(product)
    size, least = float((weights**2).sum()), 1e-12 * (1 + squares.max() / n)
    variance = np.maximum(squares / n, least) if noise is None else noise**2
    found = 1.0 if precision is None else precision
    for _ in range(_MOST_STEPS):
        before = found, variance
        gamma = (values / (values + found * variance[:, np.newaxis])).sum(axis=1)
        if noise is None:
            variance = np.maximum(squares / np.maximum(n - gamma, 1e-3), least)
        if precision is None:
            found = _ratio(float(gamma.sum()), size)
        if (
            abs(found - before[0]) <= _CHANGE * found
            and (abs(variance - before[1]) <= _CHANGE * variance).all()
        ):
            break
    curvature = values / variance[:, np.newaxis] + found
    covariance = np.stack([(vectors / each) @ vectors.T for each in curvature])
    likelihood = -0.5 * (n * np.log(2 * math.pi * variance) + squares / variance).sum()
    evidence = likelihood - 0.5 * (found * size + np.log(curvature / found).sum())
    return Posterior(covariance, np.sqrt(variance), found, float(evidence))


def of_blocks(
    blocks: NDArray[np.float64],
    weights: NDArray[np.float64],
    likelihood: float,
    precision: float | None,
) -> Posterior:
    """For classes: by the curvature of the likelihood's logarithm, and its value, at the weights.

    Parameters
    ----------
    blocks : array of shape (1, K * d, K * d) or (K, d, d)
        The curvature: that of all weights in one block, output by output, or of those of each output.
    weights : array of shape (d, K)
    likelihood : float
        Its logarithm.
    precision : float, optional
        If given.
    """
    spectra = [_spectrum(block) for block in blocks]
    values = np.concatenate([own for own, _ in spectra])
    size = float((weights**2).sum())
    found = 1.0 if precision is None else precision
    for _ in range(_MOST_STEPS if precision is None else 0):
        before, found = found, _ratio(float((values / (values + found)).sum()), size)
        if abs(found - before) <= _CHANGE * found:
            break
    covariance = np.stack([(vectors / (own + found)) @ vectors.T for own, vectors in spectra])
    if len(covariance) < weights.shape[1]:
        covariance = _of_differences(covariance[0], *weights.shape)
    evidence = likelihood - 0.5 * (found * size + np.log((values + found) / found).sum())
    return Posterior(covariance, None, found, float(evidence))


def _of_differences(covariance: NDArray[np.float64], width: int, count: int) -> NDArray[np.float64]:
    """Of the differences between the weights of output a and those of b, for all a < b."""
    parts = covariance.reshape(count, width, count, width)
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    both = [parts[a, :, a] + parts[b, :, b] - parts[a, :, b] - parts[b, :, a] for a, b in pairs]
    return np.stack(both)


def _spectrum(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues of a positive semidefinite matrix, none below 0, and its eigenvectors as columns."""
    values, vectors = np.linalg.eigh(matrix)
    return np.maximum(values, 0.0), vectors


def _ratio(gamma: float, size: float) -> float:
    return max(gamma / size if gamma < _LARGEST * size else _LARGEST, 1 / _LARGEST)
