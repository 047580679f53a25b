import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastnn import datasets

DATA = Path(datasets.__file__).parent / "resources"

# "Class distribution" of the test set in optdigits.names, which UCI ships with the data.
DIGITS_OF_EACH_CLASS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def nearest_neighbour_accuracy(X, y):
    """Share of points whose nearest other point has the same label."""
    X = X.astype(np.float64)
    squares = (X**2).sum(axis=1)
    distances = squares[:, np.newaxis] + squares - 2.0 * X @ X.T
    np.fill_diagonal(distances, np.inf)
    return np.mean(y[distances.argmin(axis=1)] == y)


def linear_accuracy(X, y):
    """Share of points that the best linear map to one-hot labels, by least squares, puts in their class."""
    inputs = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
    weights, *_ = np.linalg.lstsq(inputs, np.eye(y.max() + 1)[y], rcond=None)
    return np.mean((inputs @ weights).argmax(axis=1) == y)


def test_digits_are_the_uci_test_set():
    X, y = datasets.digits()
    assert X.shape == (1797, 64) and X.dtype == np.float32
    assert y.shape == (1797,) and y.dtype == np.int64
    assert X.min() == 0 and X.max() == 16
    assert np.array_equal(X, np.round(X))
    assert np.bincount(y).tolist() == DIGITS_OF_EACH_CLASS


def test_labels_of_digits_belong_to_their_pictures():
    X, y = datasets.digits()
    assert nearest_neighbour_accuracy(X, y) > 0.97
    assert nearest_neighbour_accuracy(X, np.roll(y, 1)) < 0.3


def test_digits_are_new_arrays_each_time():
    X, y = datasets.digits()
    X[:] = -1
    y[:] = -1
    again, labels = datasets.digits()
    assert again.min() == 0 and labels.min() == 0


def test_shipped_data_has_no_pickle_and_names_its_source_and_licence():
    with zipfile.ZipFile(DATA / "digits.npz") as archive:
        assert sorted(archive.namelist()) == ["images.npy", "labels.npy"]
        for name in archive.namelist():
            with archive.open(name) as member:
                assert np.lib.format.read_array(member, allow_pickle=False).dtype == np.uint8
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for words in ("digits.npz", "Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0"):
        assert words in readme


@pytest.mark.parametrize("samples, classes", [(1, 1), (1, 3), (2, 1), (7, 2), (33, 5)])
def test_spiral_has_samples_of_each_class(samples, classes):
    X, y = datasets.spiral(samples, classes, seed=3)
    assert X.shape == (samples * classes, 2) and X.dtype == np.float32
    assert y.shape == (samples * classes,) and y.dtype == np.int64
    assert np.bincount(y, minlength=classes).tolist() == [samples] * classes
    assert np.isfinite(X).all()


def test_spiral_arms_start_at_the_centre_evenly_spaced_and_turn():
    X, _ = datasets.spiral(samples=2000, classes=4, seed=0)
    arms = X.reshape(4, 2000, 2).astype(np.float64)
    radius = np.hypot(arms[..., 0], arms[..., 1])
    assert np.all(np.diff(radius, axis=1) > 0)
    assert radius[:, 0].max() == 0 and np.round(radius[:, -1], 6).tolist() == [1] * 4
    # The noise of 200 neighbours, of 0.2 radians each, averages to less than 0.1.
    angle = np.unwrap(np.arctan2(arms[..., 0], arms[..., 1]), axis=1)
    inner, outer = angle[:, 1:201].mean(axis=1), angle[:, -200:].mean(axis=1)
    assert np.abs(outer - inner - 4.0 * 0.9).max() < 0.1
    spacing = np.diff(inner) % (2 * np.pi)
    assert np.abs(spacing - np.pi / 2).max() < 0.1


def test_spiral_needs_more_than_a_linear_classifier():
    X, y = datasets.spiral(samples=100, classes=3, seed=0)
    assert linear_accuracy(X, y) < 0.7
    assert nearest_neighbour_accuracy(X, y) > 0.95


def test_spiral_follows_its_seed_and_leaves_the_global_generator_alone():
    state = np.random.get_state()[1].copy()
    X, y = datasets.spiral(20, 3, seed=1)
    same, _ = datasets.spiral(20, 3, seed=1)
    other, _ = datasets.spiral(20, 3, seed=2)
    assert np.array_equal(X, same)
    assert not np.array_equal(X, other)
    assert np.array_equal(np.random.get_state()[1], state)


def test_spiral_takes_numpy_integers():
    X, _ = datasets.spiral(np.int32(5), np.int64(2), np.uint8(7))
    assert np.array_equal(X, datasets.spiral(5, 2, 7)[0])


@pytest.mark.parametrize("name", ["samples", "classes", "seed"])
@pytest.mark.parametrize("value", [2.5, "3", None, True, np.bool_(True), [1, 2]])
def test_spiral_refuses_what_is_not_an_integer(name, value):
    with pytest.raises(TypeError) as error:
        datasets.spiral(**{name: value})
    assert name in str(error.value) and repr(value) in str(error.value)


@pytest.mark.parametrize("name, value", [("samples", 0), ("samples", -4), ("classes", 0), ("seed", -1)])
def test_spiral_refuses_integers_that_are_too_small(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least .*, got {value}"):
        datasets.spiral(**{name: value})


def test_xor_is_the_truth_table():
    X, y = datasets.xor()
    assert X.shape == (4, 2) and X.dtype == np.float32
    assert y.shape == (4, 1) and y.dtype == np.float32
    assert {tuple(row) for row in X.tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert y[:, 0].tolist() == [a != b for a, b in X.tolist()]


def test_digits_in_an_archive(tmp_path):
    """A package that Python imports from a zip file has no files of its own."""
    package = DATA.parent
    with zipfile.ZipFile(tmp_path / "place.zip", "w") as archive:
        for path in package.rglob("*"):
            if path.suffix in (".py", ".npz"):
                archive.write(path, Path("fastnn") / path.relative_to(package))
    program = "import fastnn.datasets as d; X, y = d.digits(); print(d.__file__, X.sum(), y.sum())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "place.zip")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    X, y = datasets.digits()
    assert done.stdout == f"{tmp_path}/place.zip/fastnn/datasets.py {X.sum()} {y.sum()}\n"


def test_xor_with_noise_is_clouds_around_the_truth_table():
    X, y = datasets.xor(50, seed=1, noise=0.05)
    assert X.shape == (200, 2) and X.dtype == np.float32 and y.shape == (200, 1)
    assert np.array_equal(np.round(X).sum(axis=1) % 2, y[:, 0])
    assert 0.04 < X.reshape(4, 50, 2).std(axis=1).mean() < 0.06
    assert np.array_equal(X, datasets.xor(50, seed=1, noise=0.05)[0])
    assert not np.array_equal(X, datasets.xor(50, seed=2, noise=0.05)[0])


def test_circles_are_rings_around_one_centre():
    X, y = datasets.circles(1000, 3, seed=4, noise=0.02)
    assert X.shape == (3000, 2) and X.dtype == np.float32 and y.dtype == np.int64
    radius = np.hypot(*X.astype(np.float64).T)
    assert np.allclose([radius[y == c].mean() for c in range(3)], [1 / 6, 3 / 6, 5 / 6], atol=0.005)
    assert 0.015 < radius[y == 2].std() < 0.025
    assert np.array_equal(X, datasets.circles(1000, 3, seed=4, noise=0.02)[0])
    assert not np.array_equal(X, datasets.circles(1000, 3, seed=5, noise=0.02)[0])


def test_a_spiral_without_noise_is_the_curve_itself():
    X, _ = datasets.spiral(50, 2, seed=0, noise=0)
    assert np.array_equal(X, datasets.spiral(50, 2, seed=9, noise=0)[0])
    assert np.array_equal(datasets.spiral(50, 2, seed=9)[0], datasets.spiral(50, 2, seed=9, noise=0.2)[0])


@pytest.mark.parametrize("draw", [datasets.circles, datasets.spiral, datasets.xor])
@pytest.mark.parametrize("value, error", [(-0.1, ValueError), ("0", TypeError), (np.nan, ValueError)])
def test_noise_is_a_standard_deviation(draw, value, error):
    with pytest.raises(error, match="noise must be"):
        draw(noise=value)
