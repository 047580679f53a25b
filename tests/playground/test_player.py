"""The thread that trains a page's network: what it answers to each message."""

import json
import queue
import time

import pytest

from fastnn.playground.player import MOST_WAITING, Player


@pytest.fixture
def player():
    delivered = queue.Queue()
    player = Player(delivered.put)
    player.delivered = delivered
    player.start()
    yield player
    player.close()
    assert player.join(10)


def answer(player, kind, seconds=20):
    """The next message of a kind, or the next frame; what comes before it is passed over."""
    end = time.monotonic() + seconds
    while True:
        found = player.delivered.get(timeout=max(0.01, end - time.monotonic()))
        if isinstance(found, bytes):
            player.tell({"do": "seen"})
            if kind == "frame":
                return found
        elif (message := json.loads(found))["type"] == kind:
            return message


def build(player, **settings):
    player.tell({"do": "build", "settings": settings})
    return answer(player, "built")


def epochs(frame):
    return int.from_bytes(frame[8:12], "little")


def test_it_builds_plays_pauses_steps_and_resets(player):
    facts = build(player, hidden=[4])
    assert (facts["parameters"], facts["steps_per_epoch"], facts["classes"]) == (27, 10, 3)
    assert len(facts["points"]) == len(facts["validation"]) == 300
    assert epochs(answer(player, "frame")) == 0
    player.tell({"do": "step"})
    assert epochs(answer(player, "frame")) == 1
    player.tell({"do": "play"})
    assert answer(player, "state")["playing"]
    while epochs(answer(player, "frame")) < 50:
        pass
    player.tell({"do": "pause"})
    assert not answer(player, "state")["playing"]
    last = epochs(answer(player, "frame"))
    time.sleep(0.1)
    assert player.delivered.empty()
    player.tell({"do": "program"})
    assert f"epochs={last}," in answer(player, "program")["text"]
    player.tell({"do": "reset"})
    answer(player, "built")
    assert epochs(answer(player, "frame")) == 0


def test_the_learning_rate_changes_while_it_plays(player):
    build(player, hidden=[4])
    player.tell({"do": "play"})
    answer(player, "frame")
    while epochs(answer(player, "frame")) == 0:
        pass
    player.tell({"do": "rate", "learning_rate": 0.003})
    player.tell({"do": "rate", "learning_rate": -1})
    assert "learning_rate must be" in answer(player, "error")["text"]
    player.tell({"do": "step"})
    player.tell({"do": "program"})
    text = answer(player, "program")["text"]
    assert "fn.Adam(0.01)" in text and "model.optimizer.learning_rate = 0.003" in text
    player.tell({"do": "reset"})
    player.tell({"do": "program"})
    assert "fn.Adam(0.003)" in answer(player, "program")["text"]


def test_frames_wait_for_a_page_that_does_not_draw_them(player):
    build(player)
    player.tell({"do": "play"})
    time.sleep(0.5)
    frames = sum(isinstance(player.delivered.get(), bytes) for _ in range(player.delivered.qsize()))
    assert 1 <= frames <= 2


def test_training_pauses_when_nobody_watches(player, monkeypatch):
    monkeypatch.setattr("fastnn.playground.player._PATIENCE", 0.3)
    build(player)
    player.tell({"do": "play"})
    assert answer(player, "state")["playing"]
    time.sleep(0.5)
    found = [player.delivered.get() for _ in range(player.delivered.qsize())]
    states = [json.loads(message) for message in found if isinstance(message, str)]
    assert states == [{"type": "state", "playing": False}]


def test_it_trains_no_more_epochs_a_second_than_are_wanted(player):
    build(player)
    player.tell({"do": "pace", "epochs_per_second": 20})
    player.tell({"do": "play"})
    answer(player, "state")
    start = time.monotonic()
    time.sleep(0.5)
    player.tell({"do": "pause"})
    answer(player, "state")
    assert epochs(answer(player, "frame")) <= 20 * (time.monotonic() - start) + 1


def test_a_network_that_diverges_stops_with_a_message(player):
    build(player, activation="relu", optimizer="SGD", learning_rate=10.0, hidden=[16, 16, 16], l2=1.0)
    player.tell({"do": "play"})
    assert "lower learning rate" in answer(player, "error")["text"]
    answer(player, "frame")  # of a network whose outputs are NaN
    assert build(player)["classes"] == 3


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (None, "a message must be an object, got None"),
        ([1], "a message must be an object"),
        ({}, "unknown command None"),
        ({"do": "plya"}, "unknown command 'plya'; did you mean 'play'?"),
        ({"do": ["play"]}, r"unknown command ['play']"),
        ({"do": "_stop"}, "unknown command '_stop'"),
        ({"do": "play"}, "there is no network yet: send 'build' first"),
        ({"do": "play", "x": 1}, "the command 'play' takes nothing else, got ['x']"),
        ({"do": "build"}, "the command 'build' takes settings, got []"),
        ({"do": "build", "settings": {"hidden": [1000]}}, "units of layer 1 must be from 1 to 16, got 1000"),
        ({"do": "build", "settings": "x" * 1000}, "settings must be an object"),
        ({"do": "pace", "epochs_per_second": 0}, "epochs_per_second must be > 0"),
        ({"do": "frames", "per_second": 1000}, "per_second must be >= 0.5 and <= 20, got 1000"),
    ],
)
def test_a_bad_message_is_answered_and_no_more(player, message, text):
    player.tell(message)
    assert text in answer(player, "error")["text"]
    assert build(player)["classes"] == 3


def test_playing_without_points_says_what_to_do(player):
    build(player, data="own")
    player.tell({"do": "play"})
    assert "there are no points yet" in answer(player, "error")["text"]


def test_messages_beyond_some_number_are_not_kept():
    player = Player(lambda message: None)  # not started
    assert [player.tell({}) for _ in range(MOST_WAITING + 1)] == [True] * MOST_WAITING + [False]
