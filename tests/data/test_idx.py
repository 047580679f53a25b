"""`fn.datasets.mnist`, which reads files in the IDX format."""

import gzip
import struct

import numpy as np
import pytest

import fastnn as fn

NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def written(array):
    return (
        struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    )


@pytest.fixture
def pictures(tmp_path):
    """A folder with the four files, and what they hold."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (7, 5, 4), np.uint8),
        rng.integers(0, 10, 7, np.uint8),
        rng.integers(0, 256, (3, 5, 4), np.uint8),
        rng.integers(0, 10, 3, np.uint8),
    ]
    for name, array in zip(NAMES, arrays, strict=True):
        (tmp_path / name).write_bytes(written(array))
    return tmp_path, arrays


def test_the_four_files_are_read(pictures):
    folder, arrays = pictures
    (X, y), (X_test, y_test) = fn.datasets.mnist(folder)
    assert X.shape == (7, 5, 4, 1) and X.dtype == np.float32 and X.flags.c_contiguous
    assert y.shape == (7,) and y.dtype == np.int64
    np.testing.assert_allclose(X[..., 0], arrays[0] / 255, rtol=1e-6)
    assert np.array_equal(y, arrays[1])
    np.testing.assert_allclose(X_test[..., 0], arrays[2] / 255, rtol=1e-6)
    assert np.array_equal(y_test, arrays[3])


@pytest.mark.parametrize("spelling", ["{}.gz", "{}"])
def test_compressed_files_and_the_other_spelling_are_read(spelling, pictures):
    folder, arrays = pictures
    for name in NAMES:
        path = folder / name
        content = path.read_bytes()
        path.unlink()
        other = name.replace("-idx", ".idx")
        (folder / spelling.format(other)).write_bytes(gzip.compress(content))
    (X, _), (_, y_test) = fn.datasets.mnist(str(folder))
    np.testing.assert_allclose(X[..., 0], arrays[0] / 255, rtol=1e-6)
    assert np.array_equal(y_test, arrays[3])


def test_missing_files_are_named(pictures):
    folder, _ = pictures
    (folder / NAMES[1]).unlink()
    (folder / NAMES[2]).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no file {NAMES[1]}, {NAMES[2]} "):
        fn.datasets.mnist(folder)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        fn.datasets.mnist(folder / "nowhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda content: content[:-1],
            "damaged: its header says 140 bytes of shape .7, 5, 4., and 139 follow",
        ),
        (lambda content: content + b"\0", "damaged: its header says 140 bytes .* and more follow"),
        (lambda content: content[:9], "damaged"),
        (lambda content: b"", "not an IDX file of unsigned bytes with 3 axes"),
        (lambda content: b"<html>", "not an IDX file .* begins with 3c 68 74 6d"),
        (
            lambda content: content[:4] + b"\xff" * 12 + content[16:],
            "damaged: its header says .* and 140 follow",
        ),
        (lambda content: gzip.compress(content)[:-20], "damaged"),
        (lambda content: b"\x1f\x8b" + content, "damaged"),
    ],
)
def test_damaged_files_are_refused(damage, message, pictures):
    folder, _ = pictures
    path = folder / NAMES[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        fn.datasets.mnist(folder)


def test_a_picture_without_a_label_is_refused(pictures):
    folder, arrays = pictures
    (folder / NAMES[1]).write_bytes(written(arrays[1][:-1]))
    with pytest.raises(ValueError, match=r"has 7 pictures, but .* has 6 labels"):
        fn.datasets.mnist(folder)
