"""A program that is stopped by Ctrl-C while it trains."""

import signal
import subprocess
import sys
import time


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
