"""Prediction by samples: many outputs for each row, of networks that dropout draws at random."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..compiler import loader
from ..data import array_checks
from ..memory import buffers
from . import inspection, launch, required_kernels
from .threads import run_together, team_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .executor import Executor
    from .network import Network

# Numbers of the outputs that are in memory at a time, where only what they say together is kept.
_BLOCK = 1 << 22
# A forward pass costs a fraction of a training step, and to start a thread as much as a short call.
_SHORT = 32


class Sampler:
    """A model that predicts with dropout.

    Sample number k drops what follows from the seed and k alone, the same in all rows. So a row of it does
    not depend on the rows around it, or on how they are divided among threads.

    Parameters
    ----------
    executor : Executor
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._kept: dict[bool, list[Network]] = {False: [], True: []}
        self._loaded = False

    def predict(
        self, X: Any, samples: Any, seed: Any, out: NDArray[Any] | None, lengths: Any
    ) -> NDArray[Any]:
        """See `Model.predict`: of shape (samples, n, *output_shape), or (samples, *output_shape)."""
        count, seed, x, leading, checked = self._check(X, samples, seed, lengths)
        executor = self._executor
        shape = (count, *leading, *executor.built.graph.output.shape)
        if out is None:
            result = buffers.empty(shape, executor.dtype, "the output")
        else:
            result = array_checks.output(out, shape, executor.dtype)
            x = x.copy() if np.may_share_memory(x, out) else x
        self._draw(x, seed, result.reshape(count, len(x), -1), checked)
        return result if out is None else out

    def blocks(
        self, X: Any, samples: Any, seed: Any, lengths: Any
    ) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
        """Outputs for some rows after the others, as much as is in memory at a time.

        Yields
        ------
        tuple of int
            (n,), or () for a single sample.
        array of shape (samples, rows, n_out)
            Overwritten by the next one.
        """
        count, seed, x, leading, checked = self._check(X, samples, seed, lengths)
        n_out = self._executor.built.graph.output.size
        rows = max(1, _BLOCK // (count * n_out))
        for start in range(0, len(x), rows):
            part = slice(start, start + rows)
            shape = (count, len(x[part]), n_out)
            result = buffers.empty(shape, self._executor.dtype, "the output")
            self._draw(x[part], seed, result, None if checked is None else checked[part])
            yield leading, result

    def _check(
        self, X: Any, samples: Any, seed: Any, lengths: Any
    ) -> tuple[int, int, NDArray[Any], tuple[int, ...], NDArray[np.int64] | None]:
        """The number of samples, the seed, and what `inspection.sequences` gives."""
        executor = self._executor
        if samples is None:
            raise ValueError(f"seed is that of samples, got seed={seed!r} without samples")
        count = validate.integer("samples", samples, low=1)
        seed = executor.seed if seed is None else validate.seed("seed", seed)
        if not executor.built.drops:
            raise ValueError(
                f"samples={count} needs layers that drop something, fn.Dropout or others with a rate > 0, "
                "and the model has none; use fn.Ensemble of several models instead"
            )
        x, leading, checked = inspection.sequences(executor, X, lengths)
        executor.require_adapted()
        if not self._loaded:
            loader.prepare(required_kernels.for_samples(executor))
            self._loaded = True
        return count, seed, x, leading, checked

    def _draw(
        self, x: NDArray[Any], seed: int, result: NDArray[Any], lengths: NDArray[np.int64] | None
    ) -> None:
        """Write the outputs for x into `result`, of shape (samples, n, n_out), by several threads."""
        count, n, _ = result.shape
        with self._executor.weights_lock.exclusive():
            kept, has_lengths = self._kept[lengths is not None], lengths is not None
            work = self._executor.built.graph.multiplications
            team = min(team_size(n * count // _SHORT, work), max(n, count))
            while len(kept) < team:
                kept.append(self._executor.built.for_sampling(self._executor.state, has_lengths))
            by_rows = n >= team
            ends = [i * (n if by_rows else count) // team for i in range(team + 1)]
            calls = []
            for net, start, end in zip(kept, ends, ends[1:], strict=False):
                part, first = slice(start, end), 0 if by_rows else start
                rows, draws = (part, slice(count)) if by_rows else (slice(n), part)
                net.fields.seed, net.fields.step = seed, first
                own = None if lengths is None else lengths[rows]
                calls.append(functools.partial(launch.sample, net, x[rows], result[draws, rows], own))
            if team == 1:
                calls[0]()
            else:
                run_together(calls)
