"""A team or one thread: by how fast each was, on a clock of our own and on a busy machine."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.engine import launch as engine
from fastnn.training.thread_tuner import ThreadTuner


def paced(tuner, speeds, seconds, slice_seconds=0.1):
    """Which share of the time is spent with each number of threads, if each makes so many steps a second."""
    spent = dict.fromkeys(speeds, 0.0)
    while sum(spent.values()) < seconds:
        team, part = tuner.choose()
        steps = max(1, round(speeds[team] * slice_seconds * part))
        spent[team] += steps / speeds[team]
        tuner.note(team, steps, steps / speeds[team])
    return {team: time / sum(spent.values()) for team, time in spent.items()}


def test_a_team_is_kept_while_it_is_faster():
    assert paced(ThreadTuner(2, fixed=False), {2: 1800, 1: 1000}, 10)[2] > 0.95


def test_one_thread_is_kept_while_a_team_is_slower():
    assert paced(ThreadTuner(2, fixed=False), {2: 400, 1: 1000}, 10)[1] > 0.95


def test_a_short_fit_on_a_busy_machine_loses_little():
    """A fifth of a second of which one thread makes the best use."""
    assert paced(ThreadTuner(2, fixed=False), {2: 500, 1: 1000}, 0.2)[1] > 0.8


def test_a_team_that_is_disturbed_is_given_up_and_taken_up_again():
    tuner = ThreadTuner(2, fixed=False)
    paced(tuner, {2: 1800, 1: 1000}, 3)
    assert paced(tuner, {2: 100, 1: 1000}, 5)[1] > 0.5
    assert paced(tuner, {2: 1800, 1: 1000}, 5)[2] > 0.5


@pytest.mark.parametrize("team, fixed", [(1, False), (3, True)])
def test_where_there_is_no_choice_nothing_is_tried(team, fixed):
    tuner = ThreadTuner(team, fixed)
    assert {tuner.choose() for _ in range(30) if tuner.note(team, 10, 0.1) is None} == {(team, 1.0)}


def test_calls_of_a_step_each_are_measured_together(monkeypatch):
    """`partial_fit` lasts too short to tell: what was measured is kept, so that a slow team is given up."""
    used, run = [], engine.run

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    def run_on_a_busy_machine(entry, net, threads=1):
        run(entry, net, 1)
        used.append(threads)
        Clock.now += 0.002 if threads == 1 else 0.007

    monkeypatch.setattr(engine, "run", run_on_a_busy_machine)
    monkeypatch.setattr("fastnn.training.loop.time", Clock())
    fn.set_threads(2)
    try:
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(64, 784)), rng.integers(0, 10, 64)
        model = fn.Model([fn.Dense(128, "relu"), fn.Dense(10)], "cross_entropy", seed=0)
        for _ in range(200):
            model.partial_fit(X, y)
    finally:
        fn.set_threads(None)
    assert used[0] == 1 and 1 <= used.count(2) <= 10
    assert used[-100:].count(2) <= 4


def test_a_fit_begins_with_as_many_steps_as_the_one_before_made_in_a_slice():
    tuner = ThreadTuner(1, fixed=False)
    assert tuner.steps_in(0.1) == 1
    tuner.note(1, 50, 0.25)
    assert tuner.steps_in(0.1) == 20
    assert tuner.steps_in(0.0) == 1
