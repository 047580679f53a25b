"""Small data sets to learn on: handwritten digits, spirals, rings and exclusive or; and MNIST, from files.

Every function returns a pair ``(X, y)`` of new arrays: the inputs, one sample per row, in float32, and
the targets. `mnist` returns two such pairs, for training and for testing.
"""

import importlib.resources
import math
import operator
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .checks import validate

__all__ = ["circles", "digits", "mnist", "spiral", "xor"]


def __dir__() -> list[str]:
    return __all__


_SPIRAL_TURN = 4.0  # radians from the inner to the outer end of an arm


def circles(
    samples: int = 100, classes: int = 2, seed: int = 0, noise: float = 0.05
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw rings around one centre, one per class: no straight line separates them.

    Parameters
    ----------
    samples : int, default 100
        Points of each class, at least 1.
    classes : int, default 2
        Number of classes, at least 1.
    seed : int, default 0
        Seed of the noise, not negative. The same seed gives the same points.
    noise : float, default 0.05
        Standard deviation of what is added to both coordinates, not negative.

    Returns
    -------
    X : ndarray of shape (samples * classes, 2), float32
        The points, class after class from the inner ring to the outer, each evenly spaced around its
        ring. Ring ``c`` has the radius ``(c + 0.5) / classes``.
    y : ndarray of shape (samples * classes,), int64
        The class of each point, 0 to ``classes - 1``.

    Raises
    ------
    TypeError
        If an argument is not a number, or not an integer where one is expected.
    ValueError
        If `samples` or `classes` is less than 1, or `seed` or `noise` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.datasets import circles
    >>> X, y = circles(samples=4, classes=2, noise=0.0)
    >>> print(np.hypot(X[:, 0], X[:, 1]))
    [0.25 0.25 0.25 0.25 0.75 0.75 0.75 0.75]
    >>> print(y)
    [0 0 0 0 1 1 1 1]
    """
    samples = _integer("samples", samples, minimum=1)
    classes = _integer("classes", classes, minimum=1)
    seed, noise = _integer("seed", seed, minimum=0), _noise(noise)
    radius = (np.arange(classes)[:, np.newaxis] + 0.5) / classes
    angle = 2.0 * math.pi / samples * np.arange(samples)
    X = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1)
    X += np.random.default_rng(seed).normal(0.0, noise, X.shape)
    return X.reshape(-1, 2).astype(np.float32), np.repeat(np.arange(classes, dtype=np.int64), samples)


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Load the pictures of handwritten digits that ship with fastnn.

    They are the test set of the UCI Optical Recognition of Handwritten Digits [1]_, in its order: digits
    written by 13 people, each scanned to 32 x 32 black or white pixels and reduced to 8 x 8 by counting
    the set pixels of each 4 x 4 block.

    Returns
    -------
    X : ndarray of shape (1797, 64), float32
        The pixels of each picture, row by row: whole numbers from 0 (empty) to 16 (full).
    y : ndarray of shape (1797,), int64
        The digit that each picture shows, 0 to 9.

    References
    ----------
    .. [1] E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
       Repository, 1998, https://doi.org/10.24432/C50P49. Licence: CC BY 4.0.

    Examples
    --------
    >>> from fastnn.datasets import digits
    >>> X, y = digits()
    >>> X.shape, y.shape
    ((1797, 64), (1797,))
    >>> print(X[0].reshape(8, 8).astype(int))
    [[ 0  0  5 13  9  1  0  0]
     [ 0  0 13 15 10 15  5  0]
     [ 0  3 15  2  0 11  8  0]
     [ 0  4 12  0  0  8  8  0]
     [ 0  5  8  0  0  9  8  0]
     [ 0  4 11  0  1 12  7  0]
     [ 0  2 14  5 10 12  0  0]
     [ 0  0  6 13 10  0  0  0]]
    >>> print(y[:10])
    [0 1 2 3 4 5 6 7 8 9]
    """
    data = importlib.resources.files("fastnn") / "resources" / "digits.npz"  # in an archive too
    with data.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return file["images"].astype(np.float32), file["labels"].astype(np.int64)


def spiral(
    samples: int = 100, classes: int = 3, seed: int = 0, noise: float = 0.2
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw interleaved spirals in the plane, one arm per class: no straight line separates them.

    Parameters
    ----------
    samples : int, default 100
        Points of each class, at least 1.
    classes : int, default 3
        Number of classes, at least 1.
    seed : int, default 0
        Seed of the noise, not negative. The same seed gives the same points.
    noise : float, default 0.2
        Standard deviation of the angle in radians, not negative.

    Returns
    -------
    X : ndarray of shape (samples * classes, 2), float32
        The points, class after class, each class from the centre outwards; all within the unit circle.
    y : ndarray of shape (samples * classes,), int64
        The class of each point, 0 to ``classes - 1``.

    Raises
    ------
    TypeError
        If an argument is not a number, or not an integer where one is expected.
    ValueError
        If `samples` or `classes` is less than 1, or `seed` or `noise` is negative.

    Notes
    -----
    A point of class ``c`` at distance ``r`` from the centre lies at the angle
    ``2 pi c / classes + 4 r + e`` from the vertical axis, with ``r`` evenly spaced from 0 to 1 and ``e``
    drawn from a normal distribution of standard deviation `noise`. Turn and the default noise are those of
    the spirals of Stanford's CS231n [1]_, on which ``nnfs.datasets.spiral_data`` [2]_ is modelled too. There
    each arm starts 4 radians after the one before; here the arms are evenly spaced, so that no two of them
    meet whatever the number of classes.

    References
    ----------
    .. [1] A. Karpathy, "CS231n: Putting it together: minimal neural network case study",
       https://cs231n.github.io/neural-networks-case-study/
    .. [2] H. Kinsley and D. Kukiela, "Neural Networks from Scratch in Python", 2020, chapter 3.

    Examples
    --------
    >>> from fastnn.datasets import spiral
    >>> X, y = spiral(samples=100, classes=3, seed=0)
    >>> X.shape, y.shape
    ((300, 2), (300,))
    >>> print(y[[0, 99, 100, 299]])
    [0 0 1 2]
    """
    samples = _integer("samples", samples, minimum=1)
    classes = _integer("classes", classes, minimum=1)
    seed, noise = _integer("seed", seed, minimum=0), _noise(noise)
    radius = np.linspace(0.0, 1.0, samples)
    start = np.arange(classes)[:, np.newaxis] * (2.0 * math.pi / classes)
    turned = np.random.default_rng(seed).normal(0.0, noise, (classes, samples))
    angle = start + _SPIRAL_TURN * radius + turned
    X = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1, dtype=np.float32)
    return X.reshape(-1, 2), np.repeat(np.arange(classes, dtype=np.int64), samples)


def xor(
    samples: int = 1, seed: int = 0, noise: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the truth table of exclusive or, which a network without a hidden layer cannot learn.

    Parameters
    ----------
    samples : int, default 1
        How often each row of the table is there, one after the other, at least 1.
    seed : int, default 0
        Seed of the noise, not negative. The same seed gives the same points.
    noise : float, default 0
        Standard deviation of what is added to both inputs, not negative: clouds of points in place of four.

    Returns
    -------
    X : ndarray of shape (4 * samples, 2), float32
        The four pairs of zeros and ones.
    y : ndarray of shape (4 * samples, 1), float32
        1 where exactly one of the pair is 1, else 0.

    Raises
    ------
    TypeError
        If an argument is not a number, or not an integer where one is expected.
    ValueError
        If `samples` is less than 1, or `seed` or `noise` is negative.

    References
    ----------
    .. [1] M. Minsky and S. Papert, "Perceptrons", MIT Press, 1969.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.datasets import xor
    >>> X, y = xor()
    >>> print(np.hstack([X, y]).astype(int))
    [[0 0 0]
     [0 1 1]
     [1 0 1]
     [1 1 0]]
    """
    samples = _integer("samples", samples, minimum=1)
    seed, noise = _integer("seed", seed, minimum=0), _noise(noise)
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32).repeat(samples, axis=0)
    y = np.array([[0], [1], [1], [0]], dtype=np.float32).repeat(samples, axis=0)
    if noise:
        X += np.random.default_rng(seed).normal(0.0, noise, X.shape).astype(np.float32)
    return X, y


def mnist(
    folder: str | os.PathLike[str],
) -> tuple[
    tuple[NDArray[np.float32], NDArray[np.int64]],
    tuple[NDArray[np.float32], NDArray[np.int64]],
]:
    """Read MNIST, or a data set of the same form, from four files in a folder. Nothing is downloaded.

    The files are those that Y. LeCun, C. Cortes and C. J. C. Burges published: ``train-images-idx3-ubyte``,
    ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, plain or with
    ``.gz`` at the end. Fashion-MNIST and Kuzushiji-MNIST come as files of the same names.

    Parameters
    ----------
    folder : str or path
        Where the files are.

    Returns
    -------
    (X_train, y_train), (X_test, y_test)
        X of shape (n, height, width, 1), float32: pixels from 0 to 1. y of shape (n,), int64: the class
        of each picture.

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message names all that are.
    ValueError
        If a file is damaged, or has another number of pictures than of labels.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
       recognition", Proceedings of the IEEE, 1998.

    Examples
    --------
    >>> from fastnn.datasets import mnist
    >>> mnist("no_such_folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: no_such_folder is not a folder
    """
    from .data import idx  # it imports what unpacks files, which few programs need

    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    paths = {name: path for name in names if (path := idx.find(folder, name)) is not None}
    missing = ", ".join(name for name in names if name not in paths)
    if missing:
        raise FileNotFoundError(f"{folder} has no file {missing} (nor one of that name with .gz at the end)")
    train, test = (_pictures(paths[names[i]], paths[names[i + 1]]) for i in (0, 2))
    return train, test


def _pictures(images: Path, labels: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pictures of one channel and their classes."""
    from .data import idx

    X, y = idx.read(images, axes=3), idx.read(labels, axes=1)
    if len(X) != len(y):
        raise ValueError(f"{images} has {len(X)} pictures, but {labels} has {len(y)} labels")
    return np.divide(X, 255, dtype=np.float32)[..., np.newaxis], y.astype(np.int64)


def _noise(value: float) -> float:
    """A standard deviation."""
    return validate.number("noise", value, low=0.0)


def _integer(name: str, value: int, minimum: int) -> int:
    """Return `value` as an int, or raise an error that names it."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number
