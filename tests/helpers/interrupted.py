"""Training that is stopped by Ctrl-C: in a program, and after a step that is chosen."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from unittest import mock

import pytest

from fastnn.engine import launch
from fastnn.training.short_fit import ShortFit


def assert_interrupt_stops(script, within):
    """Run a script that is interrupted: it must stop within so many seconds, in the best of three runs.

    A busy machine may let it wait.
    """
    if os.name != "posix":
        pytest.skip("needs signals of POSIX")
    seconds = []
    while not seconds or (seconds[-1] >= within and len(seconds) < 3):
        seconds.append(interrupt(script))
    assert min(seconds) < within, seconds


def interrupt(script):
    """Run a script, interrupt it after it has printed "ready", and return the seconds until it stops.

    It must print "ready", after the interrupt "stopped", and "fine" when what is left is as it should be.
    """
    command = [sys.executable, "-W", "error", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            first = child.stdout.readline()
            time.sleep(0.3)
            child.send_signal(signal.SIGINT)
            start = time.perf_counter()
            second = child.stdout.readline()
            seconds = time.perf_counter() - start
            third, error = child.stdout.readline(), child.stderr.read()
            code = child.wait(60)
        finally:
            child.kill()
    assert (first, second, third, code) == ("ready\n", "stopped\n", "fine\n", 0), error
    return seconds


@contextlib.contextmanager
def stopped_after(steps):
    """Let Ctrl-C arrive while the compiled loop makes so many steps."""

    left = [steps]

    def run_and_stop(entry, net, threads=1, run=launch.run):
        if entry != "train":
            return run(entry, net, threads)
        before = net.fields.step
        net.fields.max_steps = left[0]
        run(entry, net, threads)
        left[0] -= net.fields.step - before
        if left[0] == 0:
            raise KeyboardInterrupt

    with (
        mock.patch.object(launch, "run", run_and_stop),
        mock.patch.object(ShortFit, "make", lambda *arguments: None),  # which is not interrupted
        contextlib.suppress(KeyboardInterrupt),
    ):
        yield
