"""Pictures of what a model tells where, read back from matplotlib's objects."""

import re

import numpy as np
import pytest

import fastnn as fn

pytestmark = pytest.mark.slow

matplotlib = pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra 'plot'")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

X, Y = fn.datasets.spiral(30, 3, seed=0)


def trained(epochs=5, layers=None, loss="cross_entropy", y=Y, **options):
    layers = layers or [fn.Dense(16, "relu"), fn.Dense(3)]
    model = fn.Model(layers, loss=loss, seed=0, **options)
    model.fit(X, y, epochs=epochs, validation_split=0.2)
    return model


def test_classes():
    model = trained(100)
    ax = fn.plot.decision_boundary(model, X, Y, resolution=50)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column 0", "column 1")
    assert [text.get_text() for text in ax.get_legend().texts] == ["0", "1", "2"]
    regions = ax.collections[0].get_array().reshape(50, 50)
    sides = [np.linspace(*limits, 50) for limits in (ax.get_xlim(), ax.get_ylim())]
    points = np.stack([grid.ravel() for grid in np.meshgrid(*sides)], axis=1)
    same = regions.ravel() == model.predict(points).argmax(axis=1)
    assert same.mean() > 0.95  # the mesh reaches half a cell beyond its points
    drawn = np.concatenate([c.get_offsets() for c in ax.collections[-3:]])
    assert len(drawn) == len(X)


def test_two_classes_of_one_output():
    y = (Y > 0).astype(float)
    for layers, loss in (
        ([fn.Dense(8, "tanh"), fn.Dense(1)], "binary_cross_entropy"),
        ([fn.Dense(8, "tanh"), fn.Dense(2)], "cross_entropy"),
    ):
        model = trained(20, layers, loss, y)
        ax = fn.plot.decision_boundary(model, X, y, resolution=20)
        assert [text.get_text() for text in ax.get_legend().texts] == ["0", "1"]
        assert set(np.unique(ax.collections[0].get_array())) <= {0, 1}


def test_probabilities_have_the_regions_of_their_logits():
    y = (Y > 0).astype(float)
    regions = []
    for last in (None, "sigmoid"):
        model = trained(20, [fn.Dense(8, "tanh"), fn.Dense(1, last)], "binary_cross_entropy", y)
        ax = fn.plot.decision_boundary(model, X, y, resolution=20)
        regions.append(ax.collections[0].get_array())
    assert np.array_equal(*regions)
    assert set(np.unique(regions[0])) == {0, 1}


def test_values():
    model = trained(5, [fn.Dense(4, "tanh"), fn.Dense(1)], "mse", Y * 1.0)
    ax = fn.plot.decision_boundary(model, X, Y * 1.0, resolution=20)
    assert ax.get_legend() is None
    assert ax.figure.axes[1].get_ylabel() == "output"
    assert len(ax.collections[-1].get_offsets()) == len(X)


def test_other_columns_are_held_at_their_medians():
    wide = np.column_stack([np.full(len(X), 7.0), X[:, 1], np.arange(len(X)), X[:, 0]])
    model = fn.Model([fn.Standardize(), fn.Dense(8, "tanh"), fn.Dense(3)], loss="cross_entropy", seed=0)
    model.fit(wide, Y, epochs=5)
    seen = []
    model.executor.predict = lambda points: seen.append(points) or np.zeros((len(points), 3))
    ax = fn.plot.decision_boundary(model, wide, np.eye(3)[Y], columns=(3, 1), resolution=10)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column 3", "column 1")
    assert np.unique(seen[0][:, 0]) == 7 and np.unique(seen[0][:, 2]) == np.median(wide[:, 2])
    assert len(np.unique(seen[0][:, 3])) == 10


@pytest.mark.parametrize("classes", [8, 40])
def test_many_classes(classes):
    model = fn.Model([fn.Dense(classes)], loss="cross_entropy", seed=0).build(2)
    model.parameters[...] = np.random.default_rng(0).normal(size=model.parameters.size)
    y = np.arange(len(X)) % classes
    ax = fn.plot.decision_boundary(model, X, y, resolution=30)
    assert (ax.get_legend() is None) == (classes > 10)


def test_labels_of_text_and_many_samples():
    model = trained()
    names = np.array(["a", "b", "c"])[Y]
    ax = fn.plot.decision_boundary(model, X, names, resolution=10)
    assert [text.get_text() for text in ax.get_legend().texts] == ["a", "b", "c"]
    many = np.tile(X, (200, 1))
    ax = fn.plot.decision_boundary(model, many, np.tile(Y, 200), resolution=10)
    assert sum(len(c.get_offsets()) for c in ax.collections[-3:]) <= 5000
    assert fn.plot.decision_boundary(model, X, resolution=10).get_legend() is None


@pytest.mark.parametrize("scale", [37.3, 0.0123])
def test_the_colour_bar_has_round_numbers(scale):
    y = scale * np.sin(3 * X[:, 0])
    model = trained(20, [fn.Dense(8, "tanh"), fn.Dense(1)], "mse", y)
    ax = fn.plot.decision_boundary(model, X, y, resolution=20)
    ticks = ax.figure.axes[1].get_yticks()
    step = np.diff(ticks).min()
    first_digit = step / 10 ** np.floor(np.log10(step))
    assert min(abs(first_digit - digit) for digit in (1, 2, 2.5, 5, 10)) < 1e-6
    assert abs(ticks / step - np.round(ticks / step)).max() < 1e-6


def test_one_column_of_values():
    x, model = X[:, :1], fn.Model([fn.Dense(8, "tanh"), fn.Dense(1)], "mse", seed=0)
    model.fit(x, x[:, 0] ** 2, epochs=3)
    ax = fn.plot.decision_boundary(model, x, x[:, 0] ** 2)
    line = ax.lines[0].get_xdata()
    assert line.min() < x.min() and line.max() > x.max()
    expected = model.predict(line.reshape(-1, 1))[:, 0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected, rtol=1e-6)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), np.column_stack([x, x**2]), rtol=1e-6)


@pytest.mark.parametrize("units, loss", [(3, "cross_entropy"), (1, "binary_cross_entropy")])
def test_one_column_of_classes(units, loss):
    x, model = X[:, :1], fn.Model([fn.Dense(units)], loss, seed=0)
    y = np.minimum(Y, units - 1 if units > 1 else 1)
    model.fit(x, y, epochs=3)
    ax = fn.plot.decision_boundary(model, x, y)
    assert len(ax.lines) == units + len(np.unique(y))
    expected = model.predict(ax.lines[0].get_xdata().reshape(-1, 1))
    np.testing.assert_allclose(ax.lines[units - 1].get_ydata(), expected[:, -1], rtol=1e-6)


def test_estimators():
    linear_model = pytest.importorskip("sklearn.linear_model")
    from fastnn.sklearn import MLPClassifier, MLPRegressor

    names = np.array(["c", "b", "a"])[Y]
    for estimator in (
        MLPClassifier((8,), max_iter=300, tol=1, n_iter_no_change=2, random_state=0),
        linear_model.LogisticRegression(),
        linear_model.RidgeClassifier(),
    ):
        estimator.fit(X, names)
        ax = fn.plot.decision_boundary(estimator, X, names, resolution=50)
        assert [text.get_text() for text in ax.get_legend().texts] == ["a", "b", "c"]
        regions = ax.collections[0].get_array().reshape(50, 50)
        sides = [np.linspace(*limits, 50) for limits in (ax.get_xlim(), ax.get_ylim())]
        points = np.stack([grid.ravel() for grid in np.meshgrid(*sides)], axis=1)
        told = np.searchsorted(estimator.classes_, estimator.predict(points))
        assert (regions.ravel() == told).mean() > 0.95
    regressor = MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, tol=1e9, n_iter_no_change=1)
    for estimator in (regressor, linear_model.Ridge()):
        estimator.fit(X, X[:, 0])
        assert fn.plot.decision_boundary(estimator, X, X[:, 0], resolution=10).get_legend() is None
        estimator.fit(X[:, :1], X[:, 0])
        assert len(fn.plot.decision_boundary(estimator, X[:, :1], X[:, 0]).lines) == 1


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="model must be a Model, or an estimator with predict, got 'net'"):
        fn.plot.decision_boundary("net", X, Y)


def test_a_legend_covers_no_points():
    ax = fn.plot.decision_boundary(trained(3), X, Y, resolution=10)
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert legend.x0 >= ax.get_window_extent().x1


def test_boundary_refuses():
    model = trained()
    for call, error, piece in (
        (lambda: fn.plot.decision_boundary(model, X, Y[:5]), ValueError, "y must have 90 rows"),
        (lambda: fn.plot.decision_boundary(model, X[:, :1], Y), ValueError, "(90, 1)"),
        (lambda: fn.plot.decision_boundary(model, X, columns=(0, 2)), ValueError, "column 2"),
        (lambda: fn.plot.decision_boundary(model, X, columns=(0,)), ValueError, "must be two"),
        (lambda: fn.plot.decision_boundary(model, X, resolution=1), ValueError, "resolution"),
        (lambda: fn.plot.decision_boundary(fn.Model([fn.OneHot()]), X), ValueError, "not adapted"),
    ):
        with pytest.raises(error, match=re.escape(piece)):
            call()
