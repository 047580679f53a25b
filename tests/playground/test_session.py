"""The network of a page, its frames, and the program that does the same."""

import contextlib
import io
import math
import struct

import numpy as np
import pytest

import fastnn as fn
from fastnn.playground.frame import Figures, encode
from fastnn.playground.program import program
from fastnn.playground.session import SIDE, UNIT_SIDE, Session
from fastnn.playground.settings import OPTIMIZERS, Settings

OWN = tuple((round(0.1 * i - 0.9, 3), round(0.9 - 0.2 * (i % 7), 3), i % 3) for i in range(18))
CASES = [
    Settings(),
    Settings("circles", 2, noise=0.05, seed=3, hidden=(4,), optimizer="Momentum", learning_rate=0.1),
    Settings("xor", noise=0.1, hidden=(3, 2, 3, 2), activation="sigmoid", optimizer="RMSprop", l2=0.001),
    Settings("own", points=OWN, hidden=(5,), activation="relu", optimizer="SGD", batch_size=None),
]


def run(text):
    """Run a program; its names, and what it prints."""
    printed, names = io.StringIO(), {}
    with contextlib.redirect_stdout(printed):
        exec(text, names)
    return names, printed.getvalue()


@pytest.mark.parametrize("settings", CASES, ids=lambda settings: settings.data)
def test_the_program_trains_the_same_network_to_the_bit(settings):
    session = Session(settings)
    for epochs in (1, 2, 4):
        session.train(epochs)
    names, printed = run(session.text())
    assert np.array_equal(names["model"].parameters, session.model.parameters)
    assert np.array_equal(names["X"].astype(np.float32), session.points.X)
    figures = session.figures()
    assert figures.epochs == 7 and f"'accuracy': {figures.accuracy}" in printed
    assert ("validation" in printed) == (settings.data != "own")


def test_the_program_changes_the_learning_rate_where_the_page_did():
    session = Session(Settings("circles", 2, noise=0.05, optimizer="Momentum", learning_rate=0.3))
    for rate, epochs in ((0.1, 3), (0.03, 0), (0.01, 2), (0.001, 0)):
        session.set_learning_rate(rate)
        if epochs:
            session.train(epochs)
    assert session.stages == [(0.1, 3), (0.01, 2), (0.001, 0)] and session.epochs == 5
    names, _ = run(session.text())
    assert np.array_equal(names["model"].parameters, session.model.parameters)
    assert names["model"].optimizer == session.model.optimizer
    with pytest.raises(ValueError, match="learning_rate must be"):
        session.set_learning_rate(100.0)
    assert session.settings.learning_rate == 0.001


def test_the_program_of_a_network_that_is_not_trained_has_its_first_weights():
    session = Session(Settings())
    names, _ = run(session.text())
    assert np.array_equal(names["model"].parameters, session.model.parameters)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_program_names_the_optimizer_that_trains(name):
    settings = Settings(optimizer=name, learning_rate=0.003)
    text = program(settings, [(0.003, 1)])
    [line] = [line for line in text.splitlines() if "optimizer=" in line]
    assert eval(line.strip().removeprefix("optimizer=").rstrip(","), {"fn": fn}) == (
        Session(settings).model.optimizer
    )


def test_without_points_there_is_nothing_to_train_on():
    session = Session(Settings("own"))
    for call in (lambda: session.train(1), session.text):
        with pytest.raises(ValueError, match="there are no points yet"):
            call()
    assert math.isnan(session.figures().loss)
    assert len(session.frame()) == len(Session(Settings()).frame())


def test_a_frame_holds_figures_and_maps():
    session = Session(Settings(hidden=(8, 5)))
    session.train(30)
    frame = session.frame(rate=1234.5)
    steps, epochs, *floats = struct.unpack_from("<dI5f", frame)
    assert (steps, epochs) == (300, 30)
    assert np.allclose(floats, session.figures(1234.5)[2:])
    assert struct.unpack_from("<2H5Bx", frame, 32) == (SIDE, UNIT_SIDE, 3, 8, 5, 0, 0)
    classes = np.frombuffer(frame, "<u2", 3 * SIDE**2, offset=42).reshape(3, SIDE, SIDE)
    units = np.frombuffer(frame, "u1", offset=42 + 6 * SIDE**2).reshape(13, UNIT_SIDE, -1)
    # The corner at the top left, and a unit there.
    corner = [session.points.low, session.points.high]
    assert np.allclose(classes[:, 0, 0] / 65535, session.model.predict_proba(corner), atol=1e-5)
    hidden = session.model.outputs(corner, layers=[1])[0]
    assert np.array_equal(np.sign(units[8:, 0, 0] - 128.0), np.sign(hidden))
    assert units.min() >= 1 and (np.abs(units - 128.0).max(axis=(1, 2)) == 127).all()


def test_a_unit_that_is_0_everywhere_is_drawn_as_0():
    frame = encode(Figures(0, 0, 0, 0, 0, 0, 0), np.ones((4, 2)) / 2, [np.zeros((4, 1))])
    assert frame[42:] == bytes([0, 128] * 8 + [128] * 4)


def test_the_default_network_learns_the_spiral():
    session = Session(Settings())
    session.train(200)
    assert session.figures().val_accuracy > 0.95
