"""Pictures of what `fastnn.explain` finds."""

import numpy as np
import pytest

import fastnn as fn

pytest.importorskip("matplotlib").use("Agg")


def test_bars_are_the_values_of_the_features():
    ax = fn.plot.attribution([1.0, -2.0, 0.0], names=["a", "b", "c"])
    assert [bar.get_width() for bar in ax.patches] == [1, -2, 0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    low, high = ax.get_xlim()
    assert low < -2 and high > 2


def test_channels_are_summed_over_the_image():
    values = np.arange(24.0).reshape(3, 4, 2) - 12
    ax = fn.plot.attribution(values, sample=np.ones((3, 4, 2)))
    under, over = ax.images
    assert under.get_array().shape == (3, 4)
    np.testing.assert_array_equal(over.get_array(), values.sum(axis=-1))
    assert over.get_clim() == (-23, 23) or over.get_clim() == (
        -np.abs(values.sum(-1)).max(),
        np.abs(values.sum(-1)).max(),
    )


def test_a_sequence_has_time_along_the_axis():
    values = np.arange(10.0).reshape(5, 2)
    ax = fn.plot.attribution(values, sample=np.zeros((5, 2)))
    assert ax.get_xlabel() == "time" and ax.images[0].get_array().shape == (2, 5)


def test_images_side_by_side():
    axes = fn.plot.images(np.random.default_rng(0).normal(size=(5, 4, 3, 3)), titles="abcde", columns=2)
    assert axes.shape == (5,) and [ax.get_title() for ax in axes] == list("abcde")
    assert axes[0].images[0].get_array().shape == (4, 3, 3)
    grey = fn.plot.images(np.zeros((2, 4, 3, 2)))
    assert grey[0].images[0].get_array().shape == (4, 3)


def test_the_most_important_columns_come_first():
    values = np.array([[0.0, 0.2], [3.0, 5.0], [1.0, 1.0]])
    result = fn.explain.Importance(values.mean(axis=1), values.std(axis=1), values, ("a", "b", "c"))
    ax = fn.plot.importance(result, most=2)
    assert [bar.get_width() for bar in ax.patches] == [4, 1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "c"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fn.plot.attribution(np.zeros((2, 2, 2, 2))), "values must have 1 or 2 or 3 dimensions"),
        (lambda: fn.plot.attribution([1.0], sample=[1.0, 2.0]), "sample must have the shape of values"),
        (lambda: fn.plot.attribution([1.0, 2.0], names=["a"]), "names must be one for each feature"),
        (
            lambda: fn.plot.images(np.zeros((2, 2, 2)), titles=["a"]),
            "titles must be one for each of 2 images",
        ),
        (lambda: fn.plot.images(np.zeros((2, 2, 2)), ax=[1]), "one Axes for each of 2 images, got 1"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
