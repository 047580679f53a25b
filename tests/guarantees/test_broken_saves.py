"""Promise 6: a save that fails or is killed leaves the old file; there is never half of a file."""

import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn.io import files
from tests.guarantees.programs import run
from tests.helpers.posix_only import needs_posix

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))


def trained(epochs=1):
    model = fn.Model([fn.Dense(40, "tanh"), fn.Dense(2)], loss="mse", seed=0)
    model.fit(X, Y, epochs=epochs, batch_size=4)
    return model


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "m"
    trained().save(path, training=True)
    return path


def is_as_it_was(file, before):
    return file.read_bytes() == before and os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("step", ["open", "fdopen", "fsync", "replace", "chmod"])
def test_failure_while_writing_leaves_the_old_file(step, file, monkeypatch):
    before = file.read_bytes()

    def fail(*arguments, **options):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError, match="no space"):
            trained(epochs=4).save(file)
    assert is_as_it_was(file, before)


# ---- killed ------------------------------------------------------------------------------------

# A child for each line of `io.files` that a save runs, killed just before it.
KILLED = """
import os, signal, sys
import fastnn as fn
from fastnn.io import files
path, lines = sys.argv[1], 0
model = fn.Model([fn.Dense(200)], seed=1).build(300)
model.save(path + ".new", training=True)
with open(path, "rb") as old, open(path + ".new", "rb") as new:
    old, new = old.read(), new.read()
os.unlink(path + ".new")

def trace(frame, event, argument):
    global lines
    if frame.f_code.co_filename == files.__file__:
        if event == "line":
            lines += 1
            if lines == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

seen, last = [], 0
while True:
    last += 1
    child = os.fork()
    if child == 0:
        sys.settrace(trace)
        model.save(path, training=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    with open(path, "rb") as file:
        seen.append([old, new].index(file.read()))
    for name in os.listdir(os.path.dirname(path)):
        if name != os.path.basename(path):
            assert name.endswith(".tmp"), name
            os.unlink(os.path.join(os.path.dirname(path), name))
    with open(path, "wb") as file:
        file.write(old)
print(*seen)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_killed_before_each_line_of_a_save(file):
    """The file is the old one up to some line, and the new one from there on."""
    seen = run("-c", KILLED, file).split()
    assert seen == sorted(seen) and seen.count("0") > 15 and seen.count("1") > 0


SAVES = """
import sys
import numpy as np, fastnn as fn
models = []
for value in (1, 2):
    model = fn.Model([fn.Dense(200, kernel_initializer=fn.initializers.constant(value))]).build(300)
    models.append(model)
print("ready", flush=True)
while True:
    for model in models:
        model.save(sys.argv[1])
"""


@needs_posix
@pytest.mark.parametrize("milliseconds", range(0, 40, 4))
def test_killed_at_any_time(milliseconds, tmp_path):
    path = tmp_path / "m"
    fn.Model([fn.Dense(200, kernel_initializer=fn.initializers.constant(1))]).build(300).save(path)
    with subprocess.Popen([sys.executable, "-c", SAVES, path], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        try:
            child.wait(milliseconds / 1000)
        except subprocess.TimeoutExpired:
            child.kill()
    assert child.returncode == -signal.SIGKILL
    assert np.ptp(fn.load(path).layers[0].weights) == 0


# ---- a full disk -------------------------------------------------------------------------------

FULL = """
import os, resource, signal, sys
import numpy as np, fastnn as fn
path, kind = sys.argv[1:]
model = fn.Model([fn.Dense(200), fn.Dense(1)], loss="mse", seed=1).build(300)
X, y = np.ones((8, 300), np.float32), np.ones(8, np.float32)
if kind == "limit":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
elif kind == "device":
    fdopen = os.fdopen
    os.fdopen = lambda handle, mode: (os.close(handle), open("/dev/full", mode))[1]
try:
    model.save(path)
except OSError as error:
    print("refused:", error)
before = model.parameters.copy()
try:
    model.fit(X, y, epochs=5, callbacks=[fn.ModelCheckpoint(path)])
except OSError as error:
    print("stopped:", error)
assert len(model.history.epoch) == model.state.epoch == 1
assert np.isfinite(model.fit(X, y, epochs=2).history["loss"]).all()
"""


def assert_full(file, kind, reason):
    before = file.read_bytes()
    refused, stopped = run("-c", FULL, file, kind).splitlines()
    assert refused.startswith("refused:") and reason in refused
    assert stopped.startswith("stopped:") and reason in stopped
    assert is_as_it_was(file, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_file_that_may_not_grow(file):
    assert_full(file, "limit", "File too large")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_device_that_is_full(file):
    assert_full(file, "device", "No space left on device")


def test_a_disk_that_is_full(tmp_path):
    """A file system of 64 kB, where the user may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk]
    if sys.platform != "linux" or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        trained().save(disk / "m")
        assert_full(disk / "m", "disk", "No space left on device")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_pickle_that_is_cut_short_is_refused(tmp_path):
    content = pickle.dumps(trained())
    for size in range(0, len(content), 97):
        with pytest.raises((EOFError, pickle.UnpicklingError, ValueError)):
            pickle.loads(content[:size])


def test_a_temporary_file_is_never_taken_for_a_model(file):
    """What a killed process leaves has a name that nobody asks for, and does not stop the next save."""
    left = file.parent / ".fastnn-0123456789abcdef.tmp"
    left.write_bytes(b"half of a file")
    model = trained(2)
    model.save(file)
    assert np.array_equal(fn.load(file).parameters, model.parameters)
    files.check_regular(left)
