"""Promise 7: real signals while several threads train; processes started in any way, after a fit and cold."""

import itertools
import multiprocessing
import os
import subprocess
import sys

import pytest

from tests.guarantees.programs import run
from tests.guarantees.soak import start_cold_at_once
from tests.helpers.posix_only import needs_posix
from tests.helpers.sweeps import sampled

pytestmark = pytest.mark.slow

SETUP = """
import os, signal, sys, threading, time
import numpy as np, fastnn as fn
rng = np.random.default_rng(0)
X, y = rng.normal(size=(256, 64)).astype("float32"), rng.normal(size=(256, 64)).astype("float32")

def make():
    layers = [fn.Dense(128, "relu"), fn.Dense(64)]
    return fn.Model(layers, loss="mse", optimizer=fn.SGD(0.1, momentum=0.9), seed=0).build(64)

def serial(steps):
    model = make()
    model.fit(X, y, epochs=steps, batch_size=None, threads=1)
    return model
"""

# Many fits, each interrupted after another step; weights, memory and history must be those of a whole step.
INTERRUPTED = """
from fastnn.training import loop
loop.SLICE = 0.004  # otherwise all of them stop at the end of the same slice
serial(1), make().fit(X, y, epochs=3, batch_size=None, threads=4)
seen = set()

def interrupt(model, step):
    while model.state.step < step:
        time.sleep(0.0005)
    os.kill(os.getpid(), signal.SIGINT)

for i in range(16):
    model = make()
    other = threading.Thread(target=interrupt, args=(model, i))
    try:
        other.start()  # the first signal may come before the fit begins
        model.fit(X, y, epochs=10**6, batch_size=None, threads=count)
        sys.exit("not interrupted")
    except KeyboardInterrupt:
        other.join()
    steps = model.state.step
    expected = serial(steps)
    assert np.array_equal(model.parameters, expected.parameters), f"not the weights of step {steps}"
    assert steps == 0 or np.array_equal(model.state.optimizer, expected.state.optimizer)
    losses = [] if model.history is None else model.history.history.get("loss", [])
    assert losses == expected.history.history.get("loss", [])
    seen.add(steps)
assert len(seen) > 5, seen
"""

# A worker that sends a signal as its last act: the signal's handler raises while the caller waits.
SIGNALLED = """
from fastnn.engine import threads

class Stop(Exception):
    pass

def stop(*arguments):
    raise Stop

signal.signal(signal.SIGALRM, stop)
caller = threading.main_thread().ident
for _ in range(300):
    try:
        threads.run_together([lambda: None, lambda: signal.pthread_kill(caller, signal.SIGALRM)])
    except Stop:
        pass
"""

FORKED = """
fn.set_threads(2)
large = np.tile(X, (20, 1))
model, expected = make(), serial(9)
model.fit(X, y, epochs=5, batch_size=None, threads=2)
model.predict(large)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        model.fit(X, y, epochs=4, batch_size=None, threads=2)
        same = np.array_equal(model.parameters, expected.parameters)
        same &= np.array_equal(model.predict(large), expected.predict(large))
        os._exit(0 if same else 1)
    children.append(child)
model.fit(X, y, epochs=4, batch_size=None, threads=2)
assert np.array_equal(model.parameters, expected.parameters)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""


# Forks while another thread trains, and another predicts: the child has the weights of a finished step.
FORKED_DURING_A_FIT = """
model, other = make(), make()
stop = threading.Event()

def train():
    while not stop.is_set():
        model.fit(X, y, epochs=20, batch_size=None, threads=2)

def predict():
    while not stop.is_set():
        model.predict(X)

train_once = serial(1)
threads = [threading.Thread(target=each) for each in (train, predict)]
for thread in threads:
    thread.start()
statuses = []
for i in range(20):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # where it waits for a thread that it does not have
        step = model.state.step
        model.predict(X[:3]), model.evaluate(X, y), other.fit(X, y)
        before = model.parameters.copy()
        model.fit(X, y, epochs=2, batch_size=None, threads=2)
        same = not np.array_equal(model.parameters, before) and np.isfinite(model.parameters).all()
        os._exit(0 if same and model.state.step == step + 2 else 1)
    statuses.append(os.waitpid(child, 0)[1])
stop.set()
for thread in threads:
    thread.join()
assert statuses == [0] * 20, statuses
"""


# Forks while other threads make models, whose locks the fork holds.
FORKED_WHILE_MODELS_ARE_MADE = """
stop = threading.Event()
sys.setswitchinterval(1e-5)
many = [fn.Model([fn.Dense(1)]) for _ in range(500)]  # so that they take long to go through

def make_models():
    while not stop.is_set():
        [fn.Model([fn.Dense(1)]) for _ in range(20)]

threads = [threading.Thread(target=make_models) for _ in range(3)]
model = make()
model.fit(X, y)
for thread in threads:
    thread.start()
for i in range(200):
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # where it waits for a thread that it does not have
        model.evaluate(X, y), make().predict(X[:3])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, i
stop.set()
for thread in threads:
    thread.join()
"""


def run_script(script):
    command = [sys.executable, "-W", "error", "-c", SETUP + script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stderr


@needs_posix
@pytest.mark.parametrize("count", [1, 4])
def test_an_interrupt_leaves_the_weights_of_a_whole_step(count):
    run_script(f"count = {count}" + INTERRUPTED)


@needs_posix
def test_a_signal_at_the_end_of_a_thread():
    run_script(SIGNALLED)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_after_a_fit():
    run_script(FORKED)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_during_a_fit():
    run_script("import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + FORKED_DURING_A_FIT)


@pytest.mark.sweep
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_forks_while_other_threads_make_models():
    """What a fork's handlers raise Python prints to stderr."""
    script = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
    assert run_script(script + FORKED_WHILE_MODELS_ARE_MADE) == ""


# ---- the first compilation ---------------------------------------------------------------------

COLD = """
import os, signal, sys, threading, time
import fastnn as fn
from fastnn.compiler import loader, workers

SMALL = [("training.schedule.constant.forward", "float64"), ("layers.activation.relu.forward", "float32")]
"""

INTERRUPTED_WHILE_COMPILING = """
workers._can_start = lambda: alone == "no"
timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
timer.start()
try:
    get()
    timer.join()
    time.sleep(1)
    print("late")
except KeyboardInterrupt:
    print("interrupted")
timer.join()
assert loader.prepare(SMALL) in (0, 1, 2)
assert loader.prepare(SMALL) == 0
assert fn.forward.__name__ == "forward"
assert fn.Activation("relu")([[-1.0, 2.0]]).tolist() == [[0.0, 2.0]]
"""


def cold(script, folder, timeout=120):
    """Output of a process with an empty cache."""
    return run("-c", COLD + script, timeout=timeout, FASTNN_CACHE_DIR=str(folder))


@needs_posix
@pytest.mark.parametrize(
    ("get", "delay"),
    sampled(itertools.product(["loader.prepare(SMALL)", "fn.forward"], [0.02, 0.1, 0.3, 0.5]), every=3),
)
def test_an_interrupt_of_the_first_compilation(get, delay, tmp_path):
    """Wherever in the import of Numba or in a compilation that is, the next call works."""
    script = f"delay, get, alone = {delay}, lambda: {get}, 'yes'" + INTERRUPTED_WHILE_COMPILING
    assert cold(script, tmp_path / "cache") == "interrupted\n"


@needs_posix
def test_an_interrupt_while_other_processes_compile(tmp_path):
    script = "delay, get, alone = 0.5, lambda: loader.prepare(SMALL), 'no'" + INTERRUPTED_WHILE_COMPILING
    assert cold(script, tmp_path / "cache") == "interrupted\n"


FORKED_WHILE_OTHERS_WORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
stop = threading.Event()

def work():
    while not stop.is_set():
        loader._ADDRESSES.clear()
        if compiles:  # what is compiled is not found again
            loader.object_cache.read = lambda symbol, for_host=False: None
        loader.prepare(SMALL)
        time.sleep(0.001)  # what is loaded stays, and there is room for some ten thousand

def forks(count, pause):
    statuses = []
    for _ in range(count):
        time.sleep(pause)
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # where it waits for a lock of a thread that it does not have
            loader._ADDRESSES.clear()
            loader.prepare(SMALL)
            right = fn.Activation("relu")([[-1.0, 2.0]]).tolist() == [[0.0, 2.0]]
            os._exit(0 if right else 1)
        statuses.append(os.waitpid(child, 0)[1])
    return statuses

loader.prepare(SMALL), fn.Activation("relu")([[1.0]])
workers._can_start = lambda: elsewhere
thread = threading.Thread(target=work)
thread.start()
try:
    statuses = forks(count, pause)
finally:
    stop.set()
    thread.join()
assert statuses == [0] * count, statuses
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param("compiles, elsewhere, count, pause = False, False, 40, 0.003", id="loads"),
        pytest.param(
            "compiles, elsewhere, count, pause = True, False, 8, 0.05", id="compiles", marks=pytest.mark.sweep
        ),
        pytest.param(
            "compiles, elsewhere, count, pause = True, True, 2, 0.3",
            id="has others compile",
            marks=pytest.mark.sweep,
        ),
    ],
)
def test_a_fork_while_another_thread_makes_machine_code(settings, tmp_path):
    cold(settings + FORKED_WHILE_OTHERS_WORK, tmp_path / "cache", timeout=300)


FORKED_WHILE_A_BAR_IS_DRAWN = """
import warnings
from tqdm.auto import tqdm
warnings.simplefilter("ignore", DeprecationWarning)
held, stop = threading.Event(), threading.Event()

def draw():
    with tqdm.get_lock():
        held.set()
        stop.wait()

make().fit(X, y, epochs=1, verbose=1)
thread = threading.Thread(target=draw)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    make().fit(X, y, epochs=2, verbose=1)
    os._exit(0)
status = os.waitpid(child, 0)[1]
stop.set()
thread.join()
assert status == 0, status
make().fit(X, y, epochs=1, verbose=1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_while_another_thread_draws_a_bar():
    run_script(FORKED_WHILE_A_BAR_IS_DRAWN)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_takes_the_lock_of_machine_code_last():
    """A thread that changes a model may wait for it."""
    script = "import sys, fastnn; names = list(sys.modules); print(*map(names.index, sys.argv[1:]))"
    first, second = map(
        int, run("-c", script, "fastnn.compiler.loader", "fastnn.engine.weights_lock").split()
    )
    assert first < second


STARTED = """
import multiprocessing, pickle, sys
import numpy as np, fastnn as fn

rng = np.random.default_rng(0)
X, y = rng.normal(size=(256, 64)).astype("f"), rng.normal(size=(256, 64)).astype("f")
large = np.tile(X, (20, 1))

def make():
    layers = [fn.Dense(128, "relu"), fn.Dropout(0.1), fn.Dense(64)]
    return fn.Model(layers, loss="mse", seed=0)

def go_on(model):
    model.fit(X, y, epochs=2, batch_size=128, threads=2)
    return model

def answer(model):
    return go_on(model).parameters.tobytes(), model.predict(large).tobytes()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    model = go_on(make())
    model.predict(large)
    with context.Pool(2) as pool:
        answers = pool.map(answer, [model] * 4)
        given = pool.map(go_on, [model] * 2)  # a model comes back, too
    expected = answer(model)
    assert answers == [expected] * 4
    assert [each.parameters.tobytes() for each in given] == [expected[0]] * 2
    assert [each.predict(large).tobytes() for each in given] == [expected[1]] * 2
    print("fine")
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_that_are_started_after_a_fit(method, tmp_path):
    (tmp_path / "started.py").write_text(STARTED)
    assert run(tmp_path / "started.py", method) == "fine\n"


@pytest.mark.sweep
def test_four_processes_that_start_cold_at_once():
    """50 times in `make soak`."""
    counts = start_cold_at_once()
    assert max(counts) == 3
