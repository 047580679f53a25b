"""`fit(comm=)`: several processes that train one model, over MPI and over torch.distributed."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.ecosystem

PROGRAM = Path(__file__).with_name("rank_programs.py")
SECONDS = 120


def _environment(**more):
    # With more ranks than CPUs, MPICH would wait busily for those that do not run.
    return {**os.environ, "OMP_NUM_THREADS": "1", "MPIR_CVAR_POLLS_BEFORE_YIELD": "1", **more}


def mpi(ranks, name, folder, *, succeeds=True):
    """What a program of `rank_programs` prints by so many ranks."""
    pytest.importorskip("mpi4py")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    found = str(mpiexec) if mpiexec.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("no mpiexec")
    command = [found, "-n", str(ranks), sys.executable, "-m", "mpi4py", PROGRAM, name, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=_environment())
    assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
    if succeeds:
        assert done.stdout.count("done") == ranks, done.stdout
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("ranks", "name"),
    [
        *((ranks, name) for ranks in (1, 2, 3) for name in ("values", "stopping", "synchronized")),
        (2, "classes"),
        (2, "sequences"),
    ],
)
def test_ranks_train_as_one_process(tmp_path, ranks, name):
    mpi(ranks, name, tmp_path)


@pytest.mark.parametrize(("saved", "resumed"), [(2, 3), (2, 1)])
def test_a_checkpoint_is_resumed_by_any_number_of_ranks(tmp_path, saved, resumed):
    mpi(saved, "save", tmp_path)
    mpi(resumed, "resume", tmp_path)


def test_shards_make_bits_independent_of_the_number_of_ranks(tmp_path):
    def found(name, ranks):
        return json.loads((tmp_path / f"{name}-{ranks}.json").read_text())

    for ranks in (1, 2, 4):
        mpi(ranks, "shards", tmp_path)
    assert found("shards", 2) == found("shards", 1) == found("shards", 4)
    for ranks in (1, 2):
        mpi(ranks, "shards_interrupted", tmp_path)
    assert found("whole", 1) == found("whole", 2)
    for ranks in (1, 2):
        mpi(ranks, "shards_resumed", tmp_path)
        assert found("resumed", ranks) == [found("whole", 1)] * 2


@pytest.mark.parametrize("name", ["interrupted", "mismatches", "failures"])
def test_ranks_end_together(tmp_path, name):
    mpi(2, name, tmp_path)


@pytest.mark.parametrize("name", ["uncaught", "uncaught_in_a_step", "killed", "killed_in_a_step"])
def test_a_failed_rank_ends_the_program(tmp_path, name):
    start = time.monotonic()
    printed = mpi(2, name, tmp_path, succeeds=False)
    assert time.monotonic() - start < 30
    told = {"uncaught": "got nan at (1, 0)", "uncaught_in_a_step": "the network is down"}
    assert told.get(name, "") in printed


@pytest.mark.parametrize("name", ["values", "failures", "shards"])
def test_torch_distributed(tmp_path, name):
    pytest.importorskip("torch")
    command = [sys.executable, PROGRAM, name, tmp_path]
    own = [_environment(RANK=str(rank), RANKS="2") for rank in range(2)]
    processes = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for env in own
    ]
    printed = [process.communicate(timeout=SECONDS)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(printed)
