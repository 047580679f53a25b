"""Samples that are like those of an earlier call of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.executor import Executor
    from ..engine.samples import KnownSamples


def known_samples(executor: Executor, X: Any, y: Any) -> KnownSamples | None:
    """Copies of samples that are like earlier ones: see `SamplePool.take`."""
    return None if executor.columns.names else executor.samples.take(X, y)


def keep_samples(executor: Executor, X: Any, y: Any, known: KnownSamples | None) -> None:
    """Put back what `known_samples` gave for samples, or know others like them from now on."""
    if known is not None:
        executor.samples.put_back(known)
    elif executor.input_shape is not None and executor.output_shape is not None:
        executor.samples.learn(X, y, executor.dtype, executor.input_shape, executor.output_shape)
