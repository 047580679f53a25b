"""How many threads there are: affinity, the control group's quota, the environment."""

import os

import pytest

import fastnn as fn
from fastnn.compiler import available_cpus


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of eight CPUs whose control groups are files of the test's."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(available_cpus, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(available_cpus, "_OWN_GROUPS", tmp_path / "own")
    for name in ("FASTNN_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)

    def set_groups(own, files):
        (tmp_path / "own").write_text(own)
        for name, content in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return set_groups


GROUPS = {
    "no quota": ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
    "one CPU": ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
    "two and a half": ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
    "half a CPU": ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
    "more than there are": ("0::/\n", {"cpu.max": "1600000 100000\n"}, 8),
    "of a group around it": (
        "0::/box/inner\n",
        {"box/cpu.max": "300000 100000\n", "box/inner/cpu.max": "max 100000\n"},
        3,
    ),
    "of the container, mounted as the root": ("0::/docker/0123\n", {"cpu.max": "200000 100000\n"}, 2),
    "version 1": (
        "5:cpu,cpuacct:/box\n1:memory:/box\n",
        {"cpu,cpuacct/box/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n"},
        4,
    ),
    "version 1 without a quota": (
        "5:cpu:/\n",
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
        8,
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_quota(name, machine):
    own, files, expected = GROUPS[name]
    machine(own, files)
    assert fn.get_threads() == expected


def test_a_system_without_control_groups(machine):
    assert fn.get_threads() == 8


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"FASTNN_THREADS": "3"}, 3),
        ({"FASTNN_THREADS": "20"}, 20),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "64"}, 8),
        ({"OMP_NUM_THREADS": "all"}, 8),
        ({"FASTNN_THREADS": "5", "OMP_NUM_THREADS": "1"}, 5),
        ({"FASTNN_THREADS": ""}, 8),
    ],
)
def test_environment(variables, expected, machine, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert fn.get_threads() == expected
    fn.set_threads(7)
    try:
        assert fn.get_threads() == 7
    finally:
        fn.set_threads(None)


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(value, machine, monkeypatch):
    monkeypatch.setenv("FASTNN_THREADS", value)
    with pytest.raises(ValueError, match=rf"FASTNN_THREADS must be an integer >= 1, got '{value}'"):
        fn.get_threads()


def count_threads(_):
    return fn.get_threads()


def test_workers_of_joblib_share_the_cpus():
    joblib = pytest.importorskip("joblib")
    if fn.get_threads() < 2:
        pytest.skip("needs two CPUs")
    counts = joblib.Parallel(n_jobs=2)(joblib.delayed(count_threads)(i) for i in range(2))
    assert counts == [max(1, fn.get_threads() // 2)] * 2
