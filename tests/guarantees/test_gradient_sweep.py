"""Gradients beside central differences: every activation with every loss, in odd shapes and both dtypes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import fastnn as fn
from fastnn import activations, losses
from fastnn.layers import registry
from fastnn.layers.preprocessing import Preprocessing
from tests.guarantees.cases import layer_of
from tests.helpers.networks import draw_point, outputs_for
from tests.helpers.sweeps import sampled
from tests.helpers.tolerances import CENTRAL_DIFFERENCE, PRODUCT

pytestmark = pytest.mark.slow

EPS = 1e-6
KINDS = [name for name, kind in registry.TABLE.items() if not kind.of_targets]
#: Rows, inputs, width of the hidden layer, outputs.
SHAPES = [(1, 1, 1, 2), (2, 3, 1, 3), (3, 5, 7, 2), (7, 2, 17, 3), (17, 9, 3, 15), (33, 1, 2, 5)]


def differences(model, X, y, weight=None):
    """The gradient of a float64 model's loss by central differences of its parameters."""
    w, found = model.parameters, np.empty_like(model.parameters)
    for i, value in enumerate(w.copy()):
        sides = []
        for w[i] in (value + EPS, value - EPS):
            sides.append(model.loss_and_gradient(X, y, weight)[0])
        w[i] = value
        found[i] = (sides[0] - sides[1]) / (2 * EPS)
    return found


def assert_gradients(build, X, y, weight=None, start=None):
    """Compare the gradients of a network in float64 and in float32 with central differences in float64.

    `build` makes the network in a dtype; its parameters become `start`, rounded to float32, as X and y are.
    """
    double, single = build("float64"), build("float32")
    X, y = np.float32(X), y if np.issubdtype(np.asarray(y).dtype, np.integer) else np.float32(y)
    for model in (double, single):
        model.build(X.shape[1])
        if start is not None:
            model.parameters[...] = np.float32(start)
    loss, gradient = double.loss_and_gradient(X, y, weight)
    expected = differences(double, X, y, weight)
    tolerance = CENTRAL_DIFFERENCE["float64"]
    assert_allclose(gradient, expected, tolerance["rtol"], tolerance["atol"] * max(1, abs(loss)))
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    tolerance = PRODUCT["float32"]
    single_gradient = single.loss_and_gradient(X, y, weight)[1]
    assert single_gradient.dtype == np.float32
    assert_allclose(single_gradient, expected, tolerance["rtol"], tolerance["atol"] * scale)


@pytest.mark.filterwarnings("ignore:the last activation does not fit")
@pytest.mark.parametrize(
    ("activation", "loss"), sampled(itertools.product(activations.TABLE, losses.TABLE), every=13)
)
def test_every_activation_with_every_loss(activation, loss):
    """In a hidden layer with a bias, in one without, and at the output."""
    rng = np.random.default_rng(0)
    for rows, n_in, width, n in SHAPES:
        n_out = outputs_for(loss, n)

        def build(dtype, width=width, n_out=n_out):
            hidden = [fn.Dense(width, activation), fn.Dense(width, activation, use_bias=False)]
            # Logarithms of probabilities make variances so small that these losses stop them.
            of_variance = loss in ("gaussian_nll", "mixture_density") and activation == "log_softmax"
            last = fn.Dense(n_out, "log_softmax" if loss == "nll" else None if of_variance else activation)
            return fn.Model([*hidden, last], loss, dtype=dtype, seed=0)

        point = build("float64")
        X, y = draw_point(point, rows, n_in, rng)
        weight = rng.uniform(0.5, 2, rows)
        assert_gradients(build, X, y, weight, point.parameters)


@pytest.mark.filterwarnings("ignore:the last activation does not fit")
@pytest.mark.parametrize(("kind", "loss"), sampled(itertools.product(KINDS, losses.TABLE), every=7))
def test_every_layer_with_every_loss(kind, loss):
    """First of all, and where it may stand there, between layers with weights."""
    rng = np.random.default_rng(1)
    goes_first = issubclass(registry.TABLE[kind], Preprocessing) or layer_of(kind).takes_indices
    places = (True,) if goes_first else (True, False)
    for is_first in places:
        for rows, n_in, width, n in SHAPES:
            n_out = outputs_for(loss, n)

            def build(dtype, is_first=is_first, n_in=n_in, width=width, n_out=n_out):
                # With a bias, so that an input of zeros makes no ties for the pooling of maxima.
                own, before = layer_of(kind), fn.Dense(width, "tanh", bias_initializer="uniform")
                if not own.adapted:
                    own.adapt((np.arange(4)[:, np.newaxis] + np.arange(n_in)) % 4)
                first = [own, before] if is_first else [before, own]
                end = "log_softmax" if loss == "nll" else None
                # With a bias also here: the cosine with an output of zeros is none.
                last = fn.Dense(n_out, end, bias_initializer="uniform")
                return fn.Model([*first, last], loss, dtype=dtype, seed=3)

            X = rng.normal(size=(rows, n_in))
            X[:, 0] = rng.integers(0, 2, rows)  # a category that is known
            _, y = draw_point(fn.Model([fn.Dense(n_out)], loss, dtype="float64"), rows, n_in, rng)
            assert_gradients(build, X, y)


SMOOTH = sorted(set(activations.TABLE) - {"relu", "leaky_relu", "elu", "selu", "hard_tanh"})
LAYER = st.one_of(
    st.builds(
        lambda *a: lambda: fn.Dense(*a[:3], l2=a[3], alpha=a[4]),
        st.integers(1, 19),
        st.sampled_from([None, *SMOOTH]),
        st.booleans(),
        st.sampled_from([0.0, 0.1]),
        st.sampled_from([0.0, 0.5]),
    ),
    st.sampled_from(SMOOTH).map(lambda name: lambda: fn.Activation(name)),
    st.sampled_from([0.0, 0.5]).map(lambda rate: lambda: fn.Dropout(rate)),
)


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore:the last activation does not fit")
@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.lists(LAYER, max_size=5),
    st.sampled_from(sorted(set(losses.TABLE) - {"mae", "quantile", "quantiles", "huber", "hinge"})),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(2, 5),
    st.booleans(),
    st.integers(0, 1000),
)
def test_drawn_architectures(makers, loss, rows, n_in, n_out, weighted, seed):
    rng, n_out = np.random.default_rng(seed), outputs_for(loss, n_out)

    def build(dtype):
        last = fn.Dense(n_out, "log_softmax" if loss == "nll" else "tanh")
        return fn.Model([*(make() for make in makers), last], loss, dtype=dtype, seed=seed)

    X = rng.normal(size=(rows, n_in))
    _, y = draw_point(fn.Model([fn.Dense(n_out)], loss, dtype="float64"), rows, n_in, rng)
    assert_gradients(build, X, y, rng.uniform(0.5, 2, rows) if weighted else None)
