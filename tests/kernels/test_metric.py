"""Metrics against plain NumPy in float64, over several batches, with and without weights."""

import numpy as np
import pytest

from fastnn.kernels.training import metric as kernels

SHAPES = [(1, 1), (2, 3), (3, 1), (7, 2), (15, 17), (33, 5)]
BY_LARGEST = np.nan  # accuracy's setting where the largest output is the answer


def accuracy(prediction, target, weight, threshold):
    if not np.isnan(threshold):
        right = ((prediction > threshold) == (target > 0.5)).mean(axis=1)
    else:
        labels = target[:, 0] if target.shape[1] == 1 else target.argmax(axis=1)
        right = prediction.argmax(axis=1) == labels
    return np.average(right, weights=weight)


def mse(prediction, target, weight, _):
    return np.average(((prediction - target) ** 2).mean(axis=1), weights=weight)


def mae(prediction, target, weight, _):
    return np.average(np.abs(prediction - target).mean(axis=1), weights=weight)


def r2(prediction, target, weight, _):
    about_mean = (target - np.average(target, axis=0, weights=weight)) ** 2
    errors = np.average((prediction - target) ** 2, axis=0, weights=weight)
    return (1 - errors / np.average(about_mean, axis=0, weights=weight)).mean()


ORACLES = {"accuracy": accuracy, "mse": mse, "mae": mae, "r2": r2}


def run(name, prediction, target, weight=None, p=0.0, cuts=()):
    """Result after one update for each batch that `cuts` make."""
    dtype = prediction.dtype.type
    metric = getattr(kernels, name)
    state = np.zeros(4 * prediction.shape[1] if name == "r2" else 2)
    borders = [0, *cuts, len(prediction)]
    for first, end in zip(borders, borders[1:], strict=False):
        row_weights = np.zeros(0, dtype) if weight is None else weight[first:end]
        metric.update(prediction[first:end], target[first:end], row_weights, dtype(p), state)
    return metric.result(state)


def targets(kind, rng, rows, n_out, dtype):
    """Targets of a kind, and the setting that goes with it."""
    if kind == "labels":
        return rng.integers(0, n_out, (rows, 1)).astype(dtype), BY_LARGEST
    if kind == "shares":
        return rng.dirichlet(np.ones(n_out), rows).astype(dtype), BY_LARGEST
    return rng.integers(0, 2, (rows, n_out)).astype(dtype), {"logits": 0.0, "zero to one": 0.5}[kind]


def assert_as_oracle(name, prediction, target, weight, p, cuts=(), rel=1e-12):
    prediction64, target64 = prediction.astype(np.float64), target.astype(np.float64)
    weight64 = None if weight is None else weight.astype(np.float64)
    expected = ORACLES[name](prediction64, target64, weight64, p)
    assert run(name, prediction, target, weight, p, cuts) == pytest.approx(expected, rel=rel, abs=rel)


def test_every_kernel_has_an_oracle():
    own = {name for name, value in vars(kernels).items() if isinstance(value, kernels.Metric)}
    assert own == set(ORACLES)


@pytest.mark.parametrize("kind", ["labels", "shares", "logits", "zero to one"])
@pytest.mark.parametrize("is_weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", SHAPES)
def test_accuracy(kind, is_weighted, shape, dtype, rng):
    rows, n_out = shape if kind != "shares" else (shape[0], shape[1] + 1)
    target, p = targets(kind, rng, rows, n_out, dtype)
    prediction = (rng.standard_normal((rows, n_out)) + 0.5).astype(dtype)
    weight = rng.uniform(0.1, 2, rows).astype(dtype) if is_weighted else None
    assert_as_oracle("accuracy", prediction, target, weight, p)
    assert_as_oracle("accuracy", prediction, target, weight, p, cuts=[rows // 2])


@pytest.mark.parametrize("name", ["mse", "mae", "r2"])
@pytest.mark.parametrize("is_weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] > 1])
def test_of_numbers(name, is_weighted, shape, dtype, rng):
    prediction, target = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    weight = rng.uniform(0.1, 2, shape[0]).astype(dtype) if is_weighted else None
    if is_weighted and shape[0] > 2:  # of a single row that counts r2 has no variance
        weight[0] = 0
    # Far from zero the mean is rounded more coarsely, and its square would drown the variance.
    for offset, rel in ((0, 1e-12), (1000, 1e-10)):
        moved = prediction + dtype(offset), target + dtype(offset)
        assert_as_oracle(name, *moved, weight, 0.0, rel=rel)
        assert_as_oracle(name, *moved, weight, 0.0, cuts=[1, shape[0] // 2], rel=rel)


def test_known_values(dtype):
    prediction, target = np.array([[1], [2], [4]], dtype), np.array([[1], [3], [2]], dtype)
    assert run("mse", prediction, target) == pytest.approx(5 / 3)
    assert run("mae", prediction, target) == pytest.approx(1)
    assert run("r2", prediction, target) == pytest.approx(1 - 5 / 2)
    logits, classes = np.array([[0, 1], [2, 1], [5, 4]], dtype), np.array([[1], [1], [0]], dtype)
    assert run("accuracy", logits, classes, p=BY_LARGEST) == pytest.approx(2 / 3)


def test_r2_of_a_constant_target(dtype, rng):
    for constant, weight in zip(rng.standard_normal(200), rng.uniform(0.1, 3, (200, 7)), strict=True):
        target = np.full((7, 1), constant, dtype)
        for weights in (None, weight.astype(dtype)):
            assert run("r2", target.copy(), target, weights) == 1
            assert run("r2", target + dtype(1), target, weights) == 0


def test_r2_of_the_mean_is_zero_and_of_the_target_one(dtype, rng):
    target = rng.standard_normal((33, 3)).astype(dtype)
    mean = np.broadcast_to(target.astype(np.float64).mean(axis=0), target.shape)
    assert run("r2", target.copy(), target) == 1
    assert run("r2", mean.copy(), target.astype(np.float64)) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("name", ["mse", "mae", "accuracy"])
def test_without_rows_a_mean_is_nan(name, dtype):
    nothing = np.zeros((0, 3), dtype)
    with np.errstate(invalid="ignore"):  # NumPy warns of 0 / 0 without JIT
        assert np.isnan(run(name, nothing, nothing))


@pytest.mark.parametrize("name", ["mse", "mae"])
def test_nan_stays_visible(name, dtype):
    prediction = np.array([[1, np.nan], [1, 1]], dtype)
    assert np.isnan(run(name, prediction, np.ones((2, 2), dtype)))
