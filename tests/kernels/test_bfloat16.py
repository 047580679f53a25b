"""Matrix products in bfloat16, by AMX and by `vdpbf16ps`: against NumPy, at every edge, bits, guards, NaN."""

import sys

import numpy as np
import pytest

from fastnn.compiler import loader
from fastnn.kernels.abi.oprow import PACK_SIZE
from tests.helpers.bfloat16 import ENTRIES, ROUNDING, needed, rounded
from tests.helpers.guard_pages import copy_of

pytestmark = needed

SIZES = (1, 2, 15, 16, 17, 31, 32, 33, 49, 65)
# Deeper than what is copied at a time, wider than it, and higher.
LARGE = [(3, 521, 40), (70, 300, 530), (1000, 40, 33), (500, 257, 1029)]
GUARD, UNTOUCHED = 64, -12345.0
EPS = float(np.finfo(np.float32).eps)


@pytest.fixture(params=ENTRIES)
def entry(request):
    return loader.function(f"linalg.bfloat16.{request.param}", "float32")


def product(entry, a, b, start=None, form="nn", first=0):
    """``start + a b`` of compiled code; `form` says which of the two lies transposed in memory."""
    (m, k), n = a.shape, b.shape[1]
    if form == "tn":  # as part of a wider matrix, whose first column it is not
        wider = np.full((k, first + m), np.nan, np.float32)
        wider[:, first:] = a.T
        a, a_steps = wider[:, first:], (1, first + m)
    else:
        a, a_steps = np.ascontiguousarray(a), (k, 1)
    b, b_steps = (b.T.copy(), (1, k)) if form == "nt" else (np.ascontiguousarray(b), (n, 1))
    c = np.full(m * n + 2 * GUARD, UNTOUCHED, np.float32)
    pack = np.full(PACK_SIZE + 2 * GUARD, UNTOUCHED, np.float32)
    begin = 0 if start is None else start.ctypes.data
    places = (c[GUARD:].ctypes.data, pack[GUARD:].ctypes.data)
    numbers = [m, n, k, a.ctypes.data, *a_steps, b.ctypes.data, *b_steps, begin, *places]
    arguments = np.array(numbers, np.int64)
    entry(arguments.ctypes.data, 0)
    for array in (c, pack):
        assert (array[:GUARD] == UNTOUCHED).all()
        assert (array[-GUARD:] == UNTOUCHED).all()
    return c[GUARD:-GUARD].reshape(m, n)


def random(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def assert_product(c, a, b, start=0.0):
    """For rounded factors within the roundings of the sum, for others within two of bfloat16 each."""
    k = a.shape[1]
    for x, y, each in ((rounded(a), rounded(b), 0.0), (a, b, 2 * ROUNDING + ROUNDING**2)):
        x, y = x.astype(np.float64), y.astype(np.float64)
        size = np.abs(x) @ np.abs(y)
        bound = (each + (k + 2) * EPS) * size + (k + 2) * EPS * np.abs(start)
        error = np.abs(c - (x @ y + start))
        assert (error <= bound).all(), f"error {error.max()} for m, k, n = {a.shape, b.shape}"


def check_products(entry, rng, m, k, n):
    a, b, start = random(rng, m, k), random(rng, k, n), random(rng, n)
    assert_product(product(entry, a, b, start), a, b, start)
    assert_product(product(entry, a, b), a, b)
    assert_product(product(entry, a, b, form="tn", first=3), a, b)
    assert_product(product(entry, a, b, form="nt"), a, b)


@pytest.mark.parametrize("m", SIZES)
def test_products(m, entry, rng):
    for k in SIZES:
        for n in SIZES:
            check_products(entry, rng, m, k, n)


@pytest.mark.parametrize(("m", "k", "n"), LARGE)
def test_products_that_are_copied_in_parts(m, k, n, entry, rng):
    check_products(entry, rng, m, k, n)


def test_an_empty_sum_is_what_it_starts_with(entry, rng):
    start = random(rng, 700)
    for m in (1, 40):
        a, b = random(rng, m, 0), random(rng, 0, 700)
        assert np.array_equal(product(entry, a, b, start), np.tile(start, (m, 1)))
        assert not product(entry, a, b).any()


def test_a_wrong_product_is_caught(entry, rng):
    a, b = random(rng, 7, 65), random(rng, 65, 17)
    c = product(entry, a, b)
    for wrong in (
        c * np.float32(1.001),
        product(entry, a[:, :-1], b[:-1]),
        product(entry, a, b + np.float32(0.05)),
    ):
        with pytest.raises(AssertionError):
            assert_product(wrong, a, b)


def special_numbers():
    """Every exponent, ties to even and odd and their neighbours, the largest, infinities, zeros."""
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    upper = np.arange(0x7F80, dtype=np.uint32)[:: 0x7F80 // 2040] << 16  # at least 8 of each exponent
    bits = (upper[:, None] | lower).ravel()
    numbers = np.concatenate([bits, bits | 0x80000000, [0x7F7FFFFF, 0x7F800000, 0xFF800000]])
    return numbers.astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("form", ["nn", "tn", "nt"])
def test_rounding_is_to_nearest_ties_to_even(form, entry):
    """A product with a single 1 is the factor itself, rounded; so it is from either side."""
    x, one = special_numbers(), np.ones((1, 1), np.float32)
    for found in (
        product(entry, x[:, None], one, form=form).ravel(),
        product(entry, one, x[None], form=form).ravel(),
    ):
        assert np.array_equal(found, rounded(x))
    assert np.isinf(rounded(x)).sum() > 2  # the largest become infinite
    assert (rounded(x) == 0).sum() > 2


def test_denormal_numbers_are_zeros(entry):
    """Factors, and what a sum comes to."""
    tiny = np.finfo(np.float32).tiny
    a, b = np.array([[tiny / 2], [tiny]], np.float32), np.array([[2.0**20, 0.5, 1.0]], np.float32)
    assert product(entry, a, b).tolist() == [[0.0, 0.0, 0.0], [float(tiny * 2**20), 0.0, float(tiny)]]


@pytest.mark.parametrize("form", ["nn", "tn", "nt"])
def test_nan_stays_nan_and_touches_nothing_else(form, entry, rng):
    """Whatever its bits are; what is beyond the edge of a matrix is never part of a sum."""
    for bits in (0x7F800001, 0x7FFFFFFF, 0xFFC00000):
        a, b = random(rng, 37, 45), random(rng, 45, 35)
        clean = product(entry, a, b, form=form)
        a[36, 44] = np.array([bits], np.uint32).view(np.float32)[0]
        found = product(entry, a, b, form=form)
        assert np.isnan(found[36]).all()
        assert np.array_equal(found[:36], clean[:36])
        b[44, 34] = np.inf
        found = product(entry, a, b, form=form)
        assert np.isinf(found[:36, 34]).all()
        assert np.array_equal(found[:36, :34], clean[:36, :34])


@pytest.mark.parametrize(("k", "n"), [(1, 1), (45, 3), (64, 64), (300, 513)])
def test_a_row_does_not_depend_on_the_rows_around_it(k, n, entry, rng):
    a, b, start = random(rng, 500, k), random(rng, k, n), random(rng, n)
    for form in ("nn", "tn", "nt"):
        whole = product(entry, a, b, start, form)
        for first, m in ((0, 1), (499, 1), (3, 7), (17, 16), (90, 33), (8, 460)):
            part = product(entry, a[first : first + m], b, start, form)
            assert part.tobytes() == whole[first : first + m].tobytes(), (form, first, m)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("form", ["nn", "tn", "nt"])
def test_nothing_beyond_a_matrix_is_read_or_written(form, entry, rng):
    """Each lies between pages of memory where any access ends the process."""
    for m, k, n in [
        (1, 1, 1),
        (3, 5, 7),
        (16, 32, 16),
        (17, 33, 15),
        (33, 31, 49),
        (32, 64, 32),
        (45, 300, 500),
    ]:
        a, b, start = random(rng, m, k), random(rng, k, n), random(rng, n)
        a_steps, b_steps = (1, m) if form == "tn" else (k, 1), (1, k) if form == "nt" else (n, 1)
        kept = [copy_of(a.T if form == "tn" else a), copy_of(b.T if form == "nt" else b), copy_of(start)]
        c, pack = copy_of(np.zeros((m, n), np.float32)), copy_of(np.zeros(PACK_SIZE, np.float32))
        places = [array.ctypes.data for array in (*kept, c, pack)]
        numbers = [m, n, k, places[0], *a_steps, places[1], *b_steps, *places[2:]]
        arguments = np.array(numbers, np.int64)
        entry(arguments.ctypes.data, 0)
        assert c.tobytes() == product(entry, a, b, start, form).tobytes()


def test_products_of_integers_are_exact(entry, rng):
    """Integers up to 256 need 8 bits, and sums of their products fit into float32."""
    a, b = (rng.integers(-256, 257, shape).astype(np.float32) for shape in ((33, 100), (100, 41)))
    assert np.array_equal(product(entry, a, b), a.astype(np.float64) @ b)
