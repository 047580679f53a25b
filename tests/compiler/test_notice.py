"""What is said while kernels are compiled: when, how often, and to a standard error of any kind."""

import contextlib
import io
import os
import sys

import pytest
from tqdm.auto import tqdm

import fastnn as fn
from fastnn.compiler import cache_key, loader, notice, object_cache, workers


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """Sets why nothing is kept; nothing was said yet."""

    def because(fault, shared=None):
        monkeypatch.setattr(object_cache, "fault", lambda: fault)
        monkeypatch.setattr(object_cache, "shared_fault", lambda: shared)

    monkeypatch.setattr(notice, "_said", set())
    because(None)
    return because


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_it_says_how_many_and_how_long(capsys):
    notice.compiling(31, 12.3)
    notice.compiling(1, 5.5)
    assert lines(capsys) == [
        "fastnn: compiling 31 kernels, about 12 s, once on this machine",
        "fastnn: compiling 1 kernel, about 6 s, once on this machine",
    ]


def test_a_moment_is_not_worth_a_line(capsys):
    notice.compiling(2, 1.2)
    assert lines(capsys) == []


def test_that_nothing_is_kept_is_said_once_with_the_remedy(capsys, kept):
    kept("/opt/cache cannot be written to")
    for _ in range(2):
        notice.compiling(1, 1.2)
    notice.compiling(9, 4.0)
    first, second = lines(capsys)
    assert "in each process, since they cannot be kept: /opt/cache cannot be written to." in first
    assert "FASTNN_CACHE_DIR" in first
    assert second == "fastnn: compiling 9 kernels, about 4 s"


def test_that_the_shared_folder_is_not_read_is_said_once(capsys, kept):
    kept(None, "others may write to /opt")
    for seconds in (1.2, 1.2, 4.0):
        notice.compiling(9, seconds)
    once = "fastnn: compiling 9 kernels, about {} s, once on this machine"
    reason = ". FASTNN_SHARED_CACHE_DIR is not read: others may write to /opt"
    assert lines(capsys) == [once.format(1) + reason, once.format(4)]


def test_another_folder_is_no_remedy_for_code_that_cannot_be_read(capsys, kept, monkeypatch):
    monkeypatch.setattr(cache_key, "fault", lambda: "the code cannot be read")
    kept(cache_key.fault())
    notice.compiling(9, 4.0)
    (line,) = lines(capsys)
    assert line.endswith("since they cannot be kept: the code cannot be read")


def test_the_estimate_follows_kernels_and_cpus():
    few = ["layers.activation.relu.forward", "layers.dense.forward"]
    assert workers.seconds(few, 1) < notice._SHORT
    many = ["linalg.gemm.product", "driver.loop.train", *few * 10]
    assert workers.seconds(many, 4) == workers.seconds(many, 2) < workers.seconds(many, 1)
    assert workers.seconds(["linalg.gemm.product"], 2) == workers.seconds(["linalg.gemm.product"], 1)


class Broken(io.StringIO):
    """A standard error that raises."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    def write(self, text):
        raise self._error


def closed():
    file = io.StringIO()
    file.close()
    return file


def full():
    return open("/dev/full", "w", buffering=1)


def pipe():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", buffering=1)


BROKEN = {
    "none": lambda: None,
    "closed": closed,
    "no file": object,
    "raises": lambda: Broken(RuntimeError("no")),
    "of another coding": lambda: Broken(UnicodeEncodeError("ascii", "x", 0, 1, "no")),
}
if os.path.exists("/dev/full"):
    BROKEN |= {"full": full}
if os.name == "posix":
    BROKEN |= {"a broken pipe": pipe}


@pytest.mark.parametrize("bar", [False, True])
@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN)
def test_a_standard_error_that_cannot_be_written_to(make, bar, monkeypatch, capfd):
    """Also with a bar of tqdm's on another file."""
    shown = tqdm(total=3, file=io.StringIO()) if bar else None
    file = make()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        notice.compiling(31, 12.3)
    assert capfd.readouterr() == ("", "")
    if shown is not None:
        shown.close()
    with contextlib.suppress(OSError, AttributeError):  # what could not be written stands in its buffer
        file.close()


@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN)
def test_a_fit_without_a_standard_error(make, monkeypatch):
    file = make()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        patch.setattr(notice, "_SHORT", 0.0)
        patch.setattr(loader, "_ADDRESSES", {})
        patch.setattr(object_cache, "read", lambda symbol, for_host=False: None)
        patch.setattr(workers, "compile_together", lambda kernels, cpus: {})
        loader.prepare([("training.schedule.constant.forward", "float64")])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        model = fn.Model([fn.Dense(1)], "mse", seed=0)
        assert len(model.fit([[1.0], [2.0]], [1.0, 2.0], epochs=2).epoch) == 2
    with contextlib.suppress(OSError, AttributeError):
        file.close()


def test_the_notice_does_not_tear_a_bar(monkeypatch):
    """It stands on a line of its own, and the bar below."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with tqdm(total=3, file=screen, ncols=60, mininterval=0) as bar:
        bar.update(1)
        notice.compiling(31, 12.3)
        bar.update(1)
    texts = [line.split("\r")[-1].strip() for line in screen.getvalue().split("\n")]
    assert "fastnn: compiling 31 kernels, about 12 s, once on this machine" in texts
