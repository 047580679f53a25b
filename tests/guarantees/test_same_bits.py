"""The same bits: in another process, with any number of threads, and for a row in any batch."""

import functools
import json

import numpy as np
import pytest

import fastnn as fn
from fastnn.kernels.linalg import tile
from fastnn.kernels.lowlevel import vector_ir
from tests.guarantees import programs
from tests.guarantees.cases import CASES, DTYPES, digest, fit, model_of

pytestmark = pytest.mark.slow

NAMES = [f"{name}, {dtype}" for dtype in DTYPES for name in CASES]


@functools.cache
def trained(threads, hash_seed):
    """What all cases come to in a process of its own, by name."""
    program = ("-m", "tests.guarantees.train_cases")
    return json.loads(programs.run(*program, threads, PYTHONHASHSEED=str(hash_seed)))


@pytest.mark.parametrize(
    ("threads", "hash_seed"),
    [(4, 2), *(pytest.param(*run, marks=pytest.mark.sweep) for run in ((1, 3), (2, 4)))],
)
def test_training_gives_the_same_bits(threads, hash_seed):
    first, found = trained(1, 1), trained(threads, hash_seed)
    assert list(first) == list(found) == NAMES
    assert {name for name in NAMES if first[name] != found[name]} == set()


def test_other_cases_give_other_bits():
    """What is equal above is no constant. Some cases are the same network by other names, but few."""
    found = trained(1, 1)
    assert len(set(found.values())) > 0.8 * len(found)


@pytest.mark.parametrize("change", [{"seed": 4}, {"rate": 0.0101}, {"activation": "sigmoid"}], ids=str)
def test_another_seed_or_setting_gives_other_bits(change):
    model, other = model_of(), model_of(**change)
    assert digest(model, fit(model)) != digest(other, fit(other))


# ---- a row of a prediction ---------------------------------------------------------------------


def assert_rows_stand_alone(model, x, counts):
    """Every row, predicted in batches of all these sizes at either end of `x`, has the bits it has alone."""
    alone = np.concatenate([model.predict(row[np.newaxis]) for row in x])
    assert np.array_equal(model.predict(x[0]), alone[0])
    for n in counts:
        assert model.predict(x[:n]).tobytes() == alone[:n].tobytes(), n
        assert model.predict(x[-n:]).tobytes() == alone[-n:].tobytes(), n


def sizes(dtype):
    """Rows, and columns, of two tiles of the matrix product and one more."""
    lanes = vector_ir.VECTOR_BYTES // np.dtype(dtype).itemsize
    return 2 * max(tile.ROWS) + 1, 2 * tile.VECTORS * lanes + 1


@pytest.mark.parametrize("n_in", [1, 5, 33])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_of_any_width_in_a_batch_of_any_size(dtype, n_in):
    rows, columns = sizes(dtype)
    x = np.random.default_rng(0).normal(size=(rows, n_in)).astype(dtype)
    for width in range(1, columns + 1):
        model = fn.Model([fn.Dense(width, bias_initializer="uniform")], dtype=dtype, seed=width).build(n_in)
        assert_rows_stand_alone(model, x, range(1, rows + 1))


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith(("layer", "activation"))])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_of_any_layer_and_activation(dtype, name):
    model = model_of(dtype=dtype, **CASES[name])
    fit(model, epochs=1)
    x = np.random.default_rng(0).normal(size=(2 * max(tile.ROWS) + 1, model.n_in)).astype(dtype)
    x[:, 0] = np.arange(len(x)) % 5
    x[3, 1:], x[7, 1:] = 1e4, 0
    assert_rows_stand_alone(model, x, range(1, len(x) + 1))


@pytest.mark.parametrize(("n_in", "width"), [(300, 64), (257, 193), (1000, 33), (65, 385)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_where_panels_of_the_weights_are_packed(dtype, n_in, width):
    """From 24 rows on, and where the weights are large, the product goes other ways."""
    model = fn.Model([fn.Dense(width)], dtype=dtype, seed=0).build(n_in)
    x = np.random.default_rng(0).normal(size=(67, n_in)).astype(dtype)
    assert_rows_stand_alone(model, x, [*range(1, 35), 47, 48, 49, 66, 67])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_row_in_the_last_chunk_of_many(threads):
    """More rows than are computed at a time, by one thread or by several."""
    fn.set_threads(threads)
    try:
        model = fn.Model([fn.Dense(40, "tanh"), fn.Dense(3, "softmax")], seed=0).build(31)
        x = np.random.default_rng(0).normal(size=(2 * model.executor.built.chunk + 17, 31)).astype("float32")
        alone = np.concatenate([model.predict(row[np.newaxis]) for row in x])
        for n in (model.executor.built.chunk, model.executor.built.chunk + 1, len(x) - 1, len(x)):
            assert model.predict(x[:n]).tobytes() == alone[:n].tobytes()
            assert model.predict(x[-n:]).tobytes() == alone[-n:].tobytes()
    finally:
        fn.set_threads(None)
