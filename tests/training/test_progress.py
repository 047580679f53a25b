"""How a fit shows its progress: in a terminal of a given width, in a pipe, and as lines."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn.training import print_above, progress
from tests.helpers.doc_blocks import ROOT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X @ [1.0, -2.0, 0.5]


def network(seed=0):
    layers = [fn.Dense(4, "tanh"), fn.Dense(1)]
    return fn.Model(layers, loss="mse", metrics=["mae", "r2"], optimizer=fn.SGD(0.01), seed=seed)


# --- a terminal

PROGRAM = """
import time
import numpy as np
import fastnn as fn
from fastnn.training import progress
{settings}
X = np.random.default_rng(0).normal(size=(40, 3))
layers = [fn.Dense(4), fn.Dense(1)]
model = fn.Model(layers, "mse", fn.SGD(0.01), metrics=["mae", "r2"], seed=0)
{body}
"""


def screen(output):
    """The lines that a terminal shows in the end, and all that a line has been."""
    lines, seen, row, column = [""], [], 0, 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\r|\n|[^\r\n\x1b]+", output):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\x1b[A":
            row -= 1
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
            seen.append(lines[row].rstrip())
    return [line.rstrip() for line in lines], seen


def in_terminal(columns, body, settings=""):
    """Run a program in a terminal, and return what `screen` does."""
    fcntl = pytest.importorskip("fcntl", reason="no terminals as those of POSIX")
    import pty
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    program = PROGRAM.format(body=body, settings=settings)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=follower, stderr=follower, cwd=ROOT, env=environment
    ) as child:
        os.close(follower)
        output = b""
        while True:
            try:
                output += (part := os.read(leader, 65536))
            except OSError:  # the program has ended
                part = b""
            if not part:
                break
        os.close(leader)
    assert child.returncode == 0, output.decode()
    # Which kernels are compiled depends on the tests before.
    text = re.sub("fastnn: compiling .*\n", "", output.decode().replace("\r\n", "\n"))
    return screen(text)


FIT = "model.fit(X, X[:, 0], epochs=120, validation_split=0.5, callbacks=[fn.EarlyStopping('val_r2', 200)])"
ALWAYS = "progress._INTERVAL = 0"


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (60, ["loss", "val_r2"]),
        (80, ["loss", "val_r2"]),
        (120, ["loss", "mae", "r2", "val_loss", "val_r2"]),
        (200, ["loss", "mae", "r2", "val_loss", "val_mae", "val_r2"]),
    ],
)
def test_the_bar_shows_what_matters_in_any_width(columns, names):
    lines, seen = in_terminal(columns, FIT, ALWAYS)
    assert max(map(len, lines + seen)) < columns
    bars = [line for line in seen if line.startswith("epoch")]
    assert len(bars) > 100
    for line in bars[1:]:
        assert re.match(r"epoch [ \d]{3}/120 ", line)
        assert re.search(r"( \d+:\d\d left| \d+:\d\d)$", line)
        figures = re.findall(r"([\w_]+)=(-?[\d.e+-]+) ", line)
        assert [name for name, _ in figures] == names
        assert re.search(r" [\d.]+[kM]? (steps/s|s/step) \d", line) if columns > 60 else "step" not in line
    assert "epoch 120/120" in lines[0] and "left" not in lines[0]
    assert lines[0].count("\u2588") >= (8 if columns > 60 else 4)


def test_the_bar_moves_within_an_epoch():
    body = """
X = np.zeros((20_000, 3), np.float32)
model.fit(X, X[:, 0], batch_size=1, epochs=1)
"""
    _, seen = in_terminal(80, body, ALWAYS + "\nfrom fastnn.training import loop\nloop.SLICE = 0.001")
    lengths = [line.count("\u2588") for line in seen if line.startswith("epoch 1/1") and "left" in line]
    assert len(set(lengths)) > 3 and lengths == sorted(lengths)


def test_what_is_printed_goes_above_the_bar():
    body = """
import sys, warnings
from tqdm import tqdm
from fastnn.compiler import notice

def say(epoch, logs):
    print("printed", end=" ")
    print(epoch)
    print("an error", epoch, file=sys.stderr)
    if epoch == 3:
        warnings.warn("a warning")
    tqdm.write(f"by tqdm {epoch}")
    notice.say(f"a notice {epoch}")

streams = sys.stdout, sys.stderr
for _ in tqdm(range(1)):
    model.fit(X, X[:, 0], epochs=5, callbacks=[say])
assert (sys.stdout, sys.stderr) == streams and type(sys.stdout) is type(sys.__stdout__)
print("behind")
"""
    lines, seen = in_terminal(80, body, ALWAYS)
    text = [line for line in lines if line]
    for epoch in range(5):
        for expected in (f"printed {epoch}", f"an error {epoch}", f"by tqdm {epoch}", f"a notice {epoch}"):
            assert expected in text
    assert "behind" in text and sum("epoch" in line for line in text) == 1
    assert any(line.endswith("UserWarning: a warning") for line in text)
    assert all("epoch" not in line or line.startswith("epoch ") for line in seen)


def test_a_line_without_an_end_is_printed_in_the_end():
    body = "model.fit(X, X[:, 0], epochs=3, callbacks=[lambda epoch, logs: print('.', end='')])"
    lines, _ = in_terminal(80, body, ALWAYS)
    assert "..." in "".join(lines)


def test_the_bar_of_many_models_in_a_terminal():
    body = """
models = [fn.Model([fn.Dense(1)], "mse", seed=i) for i in range(3)]
fn.fit_many(models, X, X[:, 0], epochs=4, callbacks=[[lambda e, l: print("hello")]] * 3)
"""
    lines, _ = in_terminal(80, body, ALWAYS)
    assert "".join(lines).count("hello") == 12
    assert any(re.match(r"epoch 12/12 .* models=3 \d:\d\d$", line) for line in lines)


class Clock:
    """Stands for the time that passes."""

    now = 1000.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


class Drawn(progress.Bar):
    """A bar that shows what it would draw in a terminal, the bar itself as ``#``."""

    columns, line = 79, ""

    def __init__(self, epochs):
        super().__init__(epochs)
        self._interval = self._next = 0.0

    def _draw(self, done, logs):
        text = self._text(done, logs, self.columns)
        left = self.columns - len(text.format(bar="").replace("{{", "{"))
        self.line = text.format(bar="#" * max(1, left))


def test_steps_a_second_and_time_left(clock):
    bar = Drawn(10)
    clock.now += 50  # layers are adapted, kernels compiled
    bar.begin(0.0)
    for second in range(1, 31):
        clock.now += 1
        bar.update(second / 10, lambda: {"loss": 0.5}, 1234 * second)
    assert re.fullmatch(r"epoch  4/10 #+ loss=0.5 1.23k steps/s 1:10 left", bar.line)
    for second in range(1, 11):  # slower now, which is soon seen
        clock.now += 10
        bar.update(3 + second / 10, lambda: {"loss": 0.5}, 1234 * 30 + second)
    assert "loss=0.5 10 s/step " in bar.line
    bar.close(4, lambda: {"loss": 0.5}, 1234 * 30 + 10)
    assert "epoch  5/10" in bar.line and " 285 steps/s " in bar.line  # of all
    bar.close(10, lambda: {"loss": 0.5}, 1234 * 30 + 10)
    assert bar.line.endswith(" 285 steps/s 2:10")


def test_time_left_of_a_resumed_epoch(clock):
    bar = Drawn(2)
    bar.begin(0.9)
    clock.now += 10
    bar.update(0.95, dict, 10)
    assert bar.line.endswith(" 3:30 left")


def test_an_epoch_of_unknown_length_counts_steps(clock):
    bar = Drawn(3)
    bar.begin(0.0)
    for steps in (1000, 2000, 3000):
        clock.now += 10
        bar.update(0.0, dict, steps)
    assert re.fullmatch(r"epoch 1/3 step 3,000 #+ 100 steps/s", bar.line)
    bar.update(1.0, dict, 3000)
    clock.now += 10
    bar.update(1.0, dict, 4000)
    assert "step 1,000" in bar.line and bar.line.endswith(" 0:50 left")
    clock.now += 60  # longer than the first
    bar.update(1.0, dict, 5000)
    assert "step 2,000" in bar.line and bar.line.endswith(" 0:30 left")
    bar.close(3.0, dict, 9000)
    assert "step 6,000" not in bar.line and bar.line.endswith(" 1:40")


LOGS = {
    "none": {},
    "one": {"loss": 0.25},
    "long names": {
        "loss": 1.0,
        **{f"a_metric_with_a_long_name_{i}": 0.1 for i in range(30)},
        "val_loss": 2.0,
    },
    "long values": {"loss": -1.2345e-300, "val_loss": float("inf"), "{braces}": -9.87e-100},
}


@pytest.mark.parametrize("logs", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_the_line_is_never_wider_than_the_terminal(columns, logs, clock):
    from tqdm import tqdm

    bar = progress.Bar(1_000_000, 0, ["a_metric_with_a_long_name_7"])
    for done, steps in ((0.0, 0), (0.5, 12), (123_456.7, 10**12), (999_999.0, 10**15)):
        clock.now += 1000
        bar.update(done, lambda: logs, steps)
        text = bar._text(done, logs, columns - 1)
        line = tqdm.format_meter(done, 10**6, 1, ncols=columns - 1, bar_format=text)
        assert len(line) < columns
        if columns >= 60:
            assert line.endswith(" left") or done == 0
            assert ("loss=" in line) == ("loss" in logs)
        if columns == 200 and "a_metric_with_a_long_name_7" in logs:
            assert " a_metric_with_a_long_name_7=0.1 " in line


@pytest.mark.parametrize(
    ("terminal", "variable", "width"), [(100, "60", 59), (60, "100", 59), (60, "0", 59), (60, "wide", 59)]
)
def test_columns_can_make_the_line_shorter(terminal, variable, width, monkeypatch):
    monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: os.terminal_size((terminal, 24)))
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    monkeypatch.setenv("COLUMNS", variable)
    assert progress._columns() == width


def test_the_first_epoch_shows_the_loss_so_far(monkeypatch):
    from fastnn.training import loop

    class Seen(progress.Bar):
        def update(self, done, logs, steps=0):
            seen.append((done, logs(), steps))

    seen = []
    monkeypatch.setattr(loop, "SLICE", 1e-6)
    monkeypatch.setattr(progress, "Bar", Seen)
    x = np.repeat(X, 50, axis=0)
    history = network().fit(x, x[:, 0], batch_size=8, epochs=2, shuffle=False, verbose=1).history
    first = [(steps, logs) for done, logs, steps in seen if done < 1]
    assert len(first) > 2 and first[-1][0] > first[0][0] > 0
    assert all(set(logs) == {"loss"} and 0 < logs["loss"] < 10 for _, logs in first)
    assert abs(first[-1][1]["loss"] - history["loss"][0]) < 0.2
    assert seen[-1][1].keys() == history.keys() and seen[-1][2] == 500


# --- elsewhere


def test_a_short_fit_writes_one_bar_to_a_pipe(capsys):
    network().fit(X, Y, epochs=50, validation_split=0.5, verbose=1)
    error = capsys.readouterr().err
    assert "epoch 50/50" in error and "val_mae=" in error
    assert len(set(re.findall(r"epoch \d+/50", error))) == 1


def test_initial_epochs_count_in_the_bar(capsys):
    network().fit(X, Y, epochs=9, initial_epoch=5, verbose=1)
    assert "epoch 9/9" in capsys.readouterr().err
    stop = lambda epoch, logs: epoch == 6  # noqa: E731
    network().fit(X, Y, epochs=9, initial_epoch=5, verbose=1, callbacks=[stop])
    assert "epoch 8/9" in capsys.readouterr().err


class Broken(io.StringIO):
    def __init__(self, error, terminal):
        super().__init__()
        self.error, self.terminal = error, terminal

    def write(self, text):
        raise self.error

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize("error", [BrokenPipeError(32, "pipe"), OSError(28, "full"), ValueError("closed")])
@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("verbose", [1, 2])
def test_output_that_cannot_be_written_does_not_end_training(error, terminal, verbose, monkeypatch):
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    monkeypatch.setattr(progress, "_SELDOM", 0.0)
    model = network()
    model.fit(X, Y)
    streams = {name: Broken(error, terminal) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    assert len(model.fit(X, Y, epochs=3, verbose=verbose).epoch) == 3
    assert sys.stdout is streams["stdout"] and sys.stderr is streams["stderr"]
    for name in streams:
        monkeypatch.setattr(sys, name, None)
    assert len(model.fit(X, Y, epochs=3, verbose=verbose).epoch) == 3


class Bare:
    """A stream that can do nothing but write, and fails at that."""

    def write(self, text):
        raise RuntimeError("of the stream")


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_streams_of_any_kind_do_not_end_training(verbose, monkeypatch):
    monkeypatch.setattr(progress, "_SELDOM", 0.0)
    model = network()
    model.fit(X, Y)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, Bare())
    assert len(model.fit(X, Y, epochs=3, verbose=verbose).epoch) == 3


def test_streams_are_as_before_after_an_error(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def fail(epoch, logs):
        assert isinstance(sys.stdout, print_above.Lines) and isinstance(sys.stderr, print_above.Lines)
        if epoch == 2:
            raise RuntimeError("the end")

    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    streams = Terminal(), Terminal()
    for name, stream in zip(("stdout", "stderr"), streams, strict=True):
        monkeypatch.setattr(sys, name, stream)
    with pytest.raises(RuntimeError, match="the end"):
        network().fit(X, Y, epochs=5, callbacks=[fail])
    assert sys.stdout is streams[0] and sys.stderr is streams[1]


# --- lines


def test_a_line_an_epoch(capsys):
    record = network().fit(X, Y, epochs=7, initial_epoch=4, validation_split=0.5, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for i, line in enumerate(lines):
        head, seconds, *figures = line.split(" - ")
        assert head == f"Epoch {5 + i}/7" and re.fullmatch(r"\d+\.\ds", seconds)
        assert figures == [f"{name}: {values[i]:.4g}" for name, values in record.history.items()]


def test_lines_have_the_figures_of_callbacks_and_are_as_many_as_epochs(capsys):
    network().fit(X, Y, epochs=300, callbacks=[], verbose=2)
    assert [line.split(" - ")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"Epoch {i}/300" for i in range(1, 301)
    ]
    network().fit(X, Y, callbacks=[lambda epoch, logs: logs.update(mine=2)], verbose=2)
    assert capsys.readouterr().out.endswith(" - mine: 2\n")


def test_a_line_a_model(capsys):
    def fail(epoch, logs):
        raise RuntimeError("of a callback")

    with pytest.warns(RuntimeWarning, match="1 of 3 models failed"):
        fn.fit_many(
            [network(i) for i in range(3)], X, Y, epochs=4, verbose=2, callbacks=[[], [fail], []], threads=1
        )
    out, error = capsys.readouterr()
    lines = sorted(out.splitlines())
    assert [line.split(" - ")[0] for line in lines] == ["Model 1/3", "Model 2/3", "Model 3/3"]
    assert lines[1].endswith("RuntimeError: of a callback") and "4 epochs - loss: " in lines[0]
    assert error == ""
