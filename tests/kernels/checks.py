"""How the kernel tests compare: with an oracle within the dtype's tolerance, or with differences."""

from numpy.testing import assert_allclose

from tests.helpers.reference import central_difference
from tests.helpers.tolerances import CENTRAL_DIFFERENCE


def assert_close(actual, expected, tolerance):
    """Compare with the tolerance of the actual array's dtype."""
    assert actual.shape == expected.shape
    assert_allclose(actual, expected, **tolerance[actual.dtype.name])


def assert_gradient(gradient, function, x):
    """Compare `gradient`, float64, with central differences of ``function(x) -> number`` at `x`."""
    assert_allclose(gradient, central_difference(function, x), **CENTRAL_DIFFERENCE[gradient.dtype.name])
