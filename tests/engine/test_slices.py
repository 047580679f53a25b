"""A fit is a few compiled calls, each short enough that Python looks up several times a second."""

import time

import numpy as np
import pytest

import fastnn as fn
from fastnn.engine import launch as engine
from fastnn.training import loop

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(90, 2)), RNG.normal(size=(90, 1))


def small_model():
    return fn.Model([fn.Dense(4, "tanh"), fn.Dense(1)], loss="mse", seed=0)


@pytest.fixture
def calls(monkeypatch):
    """Processor seconds of each compiled call of a training."""
    seconds, run = [], engine.run

    def timed(*arguments):
        start = time.thread_time()
        run(*arguments)
        seconds.append(time.thread_time() - start)

    monkeypatch.setattr(engine, "run", timed)
    return seconds


@pytest.mark.parametrize("n, batch_size, epochs", [(400_000, 4, 10), (4, None, 1_500_000)])
def test_a_long_fit_looks_up_often(n, batch_size, epochs, calls):
    x, y = np.resize(X, (n, 2)), np.resize(Y, (n, 1))
    small_model().fit(x, y, epochs=epochs, batch_size=batch_size, threads=1)
    assert sum(calls) > 0.2
    assert max(calls) < 0.5


def test_short_epochs_share_a_call(calls):
    history = small_model().fit(*fn.datasets.xor(), epochs=20_000, batch_size=None)
    assert len(history.epoch) == 20_000
    assert len(calls) <= 20


@pytest.mark.parametrize("seconds_per_step", [1e-7, 1e-5, 1e-3, 0.04, 0.3, 2.0])
def test_slices_on_a_clock_of_our_own(seconds_per_step, monkeypatch):
    """Steps of any length, and a machine that by turns is three times slower."""
    now, slices = [0.0], []

    def run(entry, net, threads=1):
        fields = net.fields
        steps = min(fields.max_steps, fields.last_epoch - fields.epoch)
        fields.step += steps
        fields.epoch += steps
        seconds = steps * seconds_per_step * (3 if len(slices) % 10 > 5 else 1)
        slices.append(seconds)
        now[0] += seconds

    class Clock:
        @staticmethod
        def perf_counter():
            return now[0]

    monkeypatch.setattr(engine, "run", run)
    monkeypatch.setattr(loop, "time", Clock)
    epochs = min(int(20 / seconds_per_step), 2_000_000)
    model = small_model()
    model.fit(*fn.datasets.xor(), epochs=epochs, batch_size=None)
    assert model.state.step == epochs
    assert max(slices) <= max(0.5, 3 * seconds_per_step)
    assert len(slices) < 10 + 2 * now[0] / loop.SLICE + epochs / 50_000


def test_with_a_callback_each_epoch_is_a_call(calls):
    seen = []
    small_model().fit(*fn.datasets.xor(), epochs=30, callbacks=[lambda epoch, logs: seen.append(len(calls))])
    assert seen == list(range(1, 31))
