"""Promise 6: the handler of a signal may raise an exception anywhere in Python's part of a call.

It is raised here at each such place in turn, by a trace function. Afterwards the weights must be those of
the step that the model counts, no lock may be held, and a copy must go on to the same bits as the model.
"""

import collections
import dis
import functools
import itertools
import pickle
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.engine.threads import Parts
from fastnn.training import loop
from tests.helpers.sweeps import sampled

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)).astype("f"), RNG.normal(size=(12, 2)).astype("f")
SOURCES = str(Path(fn.__file__).parent)
THREADS = "threading.py", "contextlib.py"


class Raised(BaseException):
    pass


@functools.cache
def places(code):
    """Offsets of instructions before which Python may run a signal's handler: after calls, jumps and starts.

    Not where the call stands in another ``try`` than what follows it: the handler then acts in the former.
    """
    regions = [(entry.start, entry.end) for entry in dis._parse_exception_table(code)]

    def region(offset):
        return [start <= offset < end for start, end in regions]

    checked = "RESUME", "CALL", "CALL_FUNCTION_EX"
    pairs = [(a, b) for a, b in itertools.pairwise(dis.get_instructions(code)) if a.opname in checked]
    return {after.offset for before, after in pairs if region(before.offset) == region(after.offset)}


class Places:
    """The places of a call: each is tried when the call comes there for the first time, the second, ..."""

    def __init__(self, times=2):
        self.tried, self.times = collections.Counter(), times

    def raise_at_next(self, call):
        """Do `call`, and raise `Raised` at a place that was not tried yet. Where that was, or ""."""
        visits = collections.Counter()
        raised = ""

        def trace(frame, event, argument):
            nonlocal raised
            code = frame.f_code
            if not code.co_filename.startswith(SOURCES) and not code.co_filename.endswith(THREADS):
                return None
            frame.f_trace_opcodes = True
            if event == "opcode" and not raised and frame.f_lasti in places(code):
                place = code, frame.f_lasti
                if visits[place] == self.tried[place] < self.times:
                    self.tried[place] += 1
                    raised = f"{code.co_filename}:{frame.f_lineno}"
                    raise Raised
                visits[place] += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            call()
        except Raised:
            pass
        finally:
            sys.settrace(before)
        return raised


def in_another_thread(call, place):
    """The result of a call in a thread that has no locks; an error if it waits for one that is held."""
    result = []
    thread = threading.Thread(target=lambda: result.append(call()), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), f"a lock is held: {place}"
    return result[0]


def make():
    return fn.Model([fn.Dense(2)], loss="mse", optimizer=fn.SGD(0.1, momentum=0.5), seed=0).build(3)


FITS = {
    "one thread": {"threads": 1},
    "a team": {"threads": 2},
    "callbacks": {"threads": 1, "callbacks": [lambda epoch, logs: None], "validation_split": 0.25},
}


def state(model):
    """The weights and the optimizer's memory, where none is as zeros."""
    memory = model.state.optimizer
    return model.parameters.tolist(), memory.tolist() or [0] * model.parameters.size


def weights_of_steps(options):
    """The `state` after each step of an undisturbed fit."""
    model = make()
    states = [state(model)]
    n = 9 if "validation_split" in options else 12
    for _, first in itertools.product(range(2), range(0, n, 4)):
        model.partial_fit(X[first : min(first + 4, n)], Y[first : min(first + 4, n)])
        states.append(state(model))
    return states


@pytest.mark.parametrize("name", sampled(FITS, every=3))
def test_raised_anywhere_in_a_fit(name, monkeypatch):
    monkeypatch.setattr(loop, "SLICE", 0.0)  # a slice a step
    options = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0, **FITS[name]}
    if name == "a team":  # 12 rows are one part otherwise, for one thread
        monkeypatch.setattr("fastnn.engine.builder.parts", lambda *work: Parts(2, False))
    states, handler = weights_of_steps(options), signal.getsignal(signal.SIGINT)
    places = Places()
    while True:
        model = make()
        place = places.raise_at_next(lambda: model.fit(X, Y, **options))  # noqa: B023
        assert signal.getsignal(signal.SIGINT) is handler, place
        assert state(model) == states[model.state.step], place
        assert not model.executor.weights_lock.version & 1, place
        copy = in_another_thread(lambda: pickle.loads(pickle.dumps(model)), place)  # noqa: B023
        for each in (model, copy):
            in_another_thread(lambda: each.fit(X, Y, **{**options, "epochs": 1}), place)  # noqa: B023
        assert np.array_equal(copy.parameters, model.parameters), place
        if not place:
            break
    assert len(places.tried) > 100


def test_raised_anywhere_in_other_calls():
    model = make()
    expected = model.predict(X).tobytes(), model.evaluate(X, Y), model.loss_and_gradient(X, Y)[0]
    for call in (
        lambda: model.predict(X),
        lambda: model.evaluate(X, Y),
        lambda: model.loss_and_gradient(X, Y),
        lambda: pickle.dumps(model),
    ):
        places = Places(times=1)
        while True:
            place = places.raise_at_next(call)
            found = in_another_thread(
                lambda: (model.predict(X).tobytes(), model.evaluate(X, Y), model.loss_and_gradient(X, Y)[0]),
                place,
            )
            assert found == expected, place
            if not place:
                break
