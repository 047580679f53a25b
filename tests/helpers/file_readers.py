"""The functions that open files, and what must hold whatever a file brings.

A door is a function that opens a file. Whatever comes of it, the file and the model that was to take its
weights must be as before.
"""

import contextlib
import json
import signal
import struct
import tracemalloc

import fastnn as fn
from tests.helpers.rejections import state_of

_MEMORY = 100 << 20  # bytes that may be allocated, for files of some kilobytes
_SECONDS = 300  # after which a file hangs, on a busy machine too


def taking():
    return fn.Model([fn.Dense(4, "relu"), fn.Dense(2)], loss="mse", seed=0).build(3)


DOORS = {
    "model": (fn.load, (ValueError,)),
    "graph": (fn.onnx.load, (ValueError,)),
    "torch": (lambda path: fn.load_torch(path, TAKING), (TypeError, ValueError)),
}
TAKING = taking()


@contextlib.contextmanager
def bounded():
    """Fail if the block takes too long or too much memory."""

    def hangs(*arguments):
        raise AssertionError("it hangs")

    has_alarms = hasattr(signal, "alarm")  # Windows has none
    if has_alarms:
        before = signal.signal(signal.SIGALRM, hangs)
        signal.alarm(_SECONDS)
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        if has_alarms:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
    assert peak < _MEMORY, f"{peak} bytes were allocated"


def opened(door, path, content):
    """What comes of a file: a model that can be used, or None if it is refused."""
    open_file, errors = DOORS[door]
    path.write_bytes(content)
    weights, before = TAKING.parameters.copy(), state_of(TAKING)
    with bounded():
        try:
            made = open_file(path)
        except errors as error:
            assert str(error)
            assert state_of(TAKING) == before
            made = None
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    if made is not None:
        made.state.parameters.sum()
        assert made.n_in and made.n_out
    TAKING.parameters[...] = weights
    return made


def joined(header, numbers):
    """A file of a header, given as pairs, in which names may stand twice."""
    text = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in header) + "}"
    return struct.pack("<Q", len(text.encode())) + text.encode() + numbers
