"""One call of training per peer, grouped by workload: equal work within a group."""

from __future__ import annotations

import pytest

from bench import peers
from bench.compare import check
from bench.workloads import WORKLOADS, make_data, make_weights

# A call is this many floating-point operations long, so that it outweighs what Python adds to it,
# or this many steps where a step is so small that its operations do not matter.
OPERATIONS = 2e9
STEPS = 4000

CASES = [
    pytest.param(workload, name, threads, id=f"{workload.name}-{name}-{threads or 'auto'}")
    for workload in WORKLOADS.values()
    for name, trainer in peers.installed().items()
    if trainer.nearest(workload) is not None
    for threads in trainer.thread_choices()
]


@pytest.mark.parametrize(("workload", "name", "threads"), CASES)
def test_training(benchmark, workload, name, threads):
    trainer = peers.installed()[name]
    nearest = trainer.nearest(workload)
    assert check(name, trainer, nearest, threads) is None

    steps = min(STEPS, OPERATIONS / workload.operations_per_step)
    epochs = max(1, round(steps / workload.steps_per_epoch))
    benchmark.group = workload.name
    benchmark.extra_info["steps"] = epochs * workload.steps_per_epoch
    run = trainer(nearest, *make_data(workload), make_weights(workload), threads).run
    benchmark.pedantic(run, args=(epochs,), rounds=5, warmup_rounds=1)
