"""What a page may ask for, and what it is told if it asks for more."""

import pytest

from fastnn.playground.settings import Settings, batches, parse


def test_the_defaults_are_those_of_an_empty_message():
    assert parse({}) == Settings()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden": [1000]}, "units of layer 1 must be from 1 to 16, got 1000"),
        ({"hidden": [4, 0]}, "units of layer 2 must be from 1 to 16, got 0"),
        ({"hidden": [2] * 1000}, "hidden must be a list of 1 to 4 numbers of units, got .{57}...$"),
        ({"hidden": []}, "hidden must be a list of 1 to 4"),
        ({"hidden": 8}, "hidden must be a list of 1 to 4 numbers of units, got 8"),
        ({"data": "spirals"}, "data must be one of spiral, .*; did you mean 'spiral'?"),
        ({"data": ["spiral"]}, "data must be one of"),
        ({"activation": "softmax"}, "activation must be one of tanh"),
        ({"optimizer": "adam"}, "did you mean 'Adam'?"),
        ({"optimizer": {"name": "Adam"}}, "optimizer must be one of"),
        ({"classes": 4}, "classes must be from 2 to 3, got 4"),
        ({"seed": -1}, "seed must be from 0 to 9999, got -1"),
        ({"batch_size": 0}, "batch_size must be from 1 to 1024, got 0"),
        ({"noise": float("nan")}, "noise must be"),
        ({"learning_rate": 0}, "learning_rate must be"),
        ({"learning_rate": 1e9}, "learning_rate must be"),
        ({"l2": -1}, "l2 must be"),
        ({"points": [[0, 0, 0]] * 601}, "points must be a list of at most 600 points"),
        ({"points": [[0, 0, 3]]}, "the class of a point must be from 0 to 2, got 3"),
        ({"points": [[0, 5, 1]]}, "a coordinate must be >= -1.1 and <= 1.1, got 5"),
        ({"points": [[0, 0]]}, r"a point must be a list \[x, y, class\]"),
        ({"learning_rates": 1}, "unknown setting 'learning_rates'; did you mean 'learning_rate'?"),
    ],
)
def test_what_is_out_of_limits_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        parse(given)


@pytest.mark.parametrize(
    "given", [None, [], "spiral", {"seed": "0"}, {"l2": "0"}, {"hidden": ["4"]}, {"classes": True}]
)
def test_what_is_of_another_type_is_refused(given):
    with pytest.raises(TypeError, match="must be"):
        parse(given)


def test_a_message_shows_no_more_than_a_line_of_what_was_given():
    with pytest.raises(ValueError) as error:
        parse({"data": "x" * 10_000})
    assert len(str(error.value)) < 200


def test_an_epoch_has_a_last_batch_of_fewer_samples():
    assert batches(Settings(batch_size=32), 300) == 10
    assert batches(Settings(batch_size=None), 300) == 1
    assert batches(Settings(data="own"), 0) == 0
