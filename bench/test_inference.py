"""One call of predict, for one row and for many, beside plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from bench.peers import blas, fastnn_peer, numpy_peer
from bench.workloads import INFERENCE, make_weights

CASES = [
    pytest.param(inference, peer, threads, id=f"{inference.name}-{name}-{threads or 'auto'}")
    for inference in INFERENCE.values()
    for name, peer in (("fastnn", fastnn_peer), ("NumPy", numpy_peer))
    for threads in peer.Trainer.thread_choices()
]


@pytest.mark.parametrize(("inference", "peer", "threads"), CASES)
def test_predict(benchmark, inference, peer, threads):
    weights = make_weights(inference)
    X = np.random.default_rng(0).standard_normal((inference.rows, inference.widths[0]), inference.dtype)
    expected = X.astype(np.float64)
    for kernel, bias in weights[:-1]:
        expected = np.maximum(expected @ kernel + bias, 0)
    expected = expected @ weights[-1][0] + weights[-1][1]

    benchmark.group = f"predict {inference.name}"
    predict = peer.make_predict(inference, weights)
    with blas.threads(threads):
        # The first call loads kernels; pytest-benchmark would plan its rounds by the time that takes.
        # The tolerance is that of sums of up to 784 products in float32.
        np.testing.assert_allclose(predict(X), expected, rtol=1e-4, atol=1e-4)
        benchmark(predict, X)
