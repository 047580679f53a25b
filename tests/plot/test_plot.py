"""Pictures: what is drawn, read back from matplotlib's objects, and what is refused."""

import re
import subprocess
import sys

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


# ---- the history


def test_history_panels():
    model = trained(optimizer=fn.Adam(fn.schedules.step(0.01, every=9)))
    history = model.history
    axes = history.plot()
    assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy", "learning rate"]
    assert [ax.get_xlabel() for ax in axes] == ["", "", "epoch"]
    for ax, names in zip(axes, [("loss", "val_loss"), ("accuracy", "val_accuracy")], strict=False):
        assert [line.get_label() for line in ax.lines] == ["training", "validation"]
        assert len(ax.get_legend().texts) == 2
        for line, name in zip(ax.lines, names, strict=True):
            assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]
            assert line.get_ydata().tolist() == history.history[name]
    assert axes[2].lines[0].get_ydata().tolist() == history.learning_rate


def test_history_chosen():
    history = trained().history
    assert [ax.get_ylabel() for ax in history.plot()] == ["loss", "accuracy"]  # the rate is constant
    assert history.plot("learning_rate").get_ylabel() == "learning rate"
    _, ax = plt.subplots()
    assert history.plot(ax=ax) is ax and ax.get_ylabel() == "loss"
    _, (first, second) = plt.subplots(2)
    axes = history.plot(["accuracy", "loss"], ax=[first, second])
    assert axes.tolist() == [first, second] and second.get_ylabel() == "loss"


def test_a_loss_over_decades_has_a_logarithmic_axis():
    history = fn.History()
    history.append({"loss": [100.0, 1.0, 0.01]}, [0.1] * 3)
    assert history.plot("loss").get_yscale() == "log"
    history = fn.History()
    history.append({"loss": [100.0, 1.0, 0.0]}, [0.1] * 3)
    assert history.plot("loss").get_yscale() == "linear"


def test_the_best_epoch_is_marked():
    history = fn.History()
    rows = {"loss": [3.0, 2.0, 1.0, 0.5], "val_loss": [3.0, 1.0, 2.0, 4.0], "accuracy": [0.1, 0.3, 0.2, 0.2]}
    history.append(rows, [0.1] * 4)
    loss, accuracy = history.plot()
    marks = [[(line.get_marker(), line.get_markevery()) for line in ax.lines] for ax in (loss, accuracy)]
    assert marks == [[("None", None), ("o", [1])], [("o", [1])]]


def test_several_histories_in_the_same_axes():
    first, second = trained(3).history, trained(4).history
    ax = first.plot("loss", label="three")
    second.plot(label="four", ax=ax)
    first.plot(ax=ax)
    texts = [text.get_text() for text in ax.get_legend().texts]
    names = ["three training", "three validation", "four training", "four validation"]
    assert texts == [*names, "3 training", "3 validation"]
    assert len({line.get_color() for line in ax.lines}) == 6


def test_history_refuses():
    with pytest.raises(ValueError, match="no epoch"):
        fn.History().plot()
    history = trained(1).history
    for call, piece in (
        (lambda: history.plot("mae"), "unknown name 'mae'"),
        (lambda: history.plot(["loss", "val_loss"]), "'val_loss'"),
        (lambda: history.plot([]), "empty"),
        (lambda: history.plot(ax=[plt.gca()]), "for each of loss, accuracy, got 1"),
    ):
        with pytest.raises(ValueError, match=re.escape(piece)):
            call()


# ---- weights, and the network


def test_weights():
    model = trained(layers=[fn.Dense(16, "relu"), fn.Dropout(0.1), fn.Dense(3)])
    axes = fn.plot.weights(model)
    assert [ax.get_title() for ax in axes] == ["0: Dense(16)", "2: Dense(3)"]
    for ax, layer in zip(axes, (model.layers[0], model.layers[2]), strict=True):
        image = ax.images[0]
        assert np.array_equal(image.get_array(), layer.weights)
        low, high = image.get_clim()
        assert -low == high == np.abs(layer.weights).max()
    _, ax = plt.subplots()
    assert fn.plot.weights(model, 2, ax=ax) is ax
    deep = fn.Model([fn.Dense(3) for _ in range(6)]).build(2)
    assert len(fn.plot.weights(deep)) == 6


def test_weights_in_containers():
    model = fn.Model([fn.Dense(3), fn.Residual([fn.LayerNormalization(), fn.Dense(3)])], seed=0).build(2)
    assert [ax.get_title() for ax in fn.plot.weights(model)] == ["0: Dense(3)", "1.body.1: Dense(3)"]
    ax = fn.plot.weights(model, "1.body.1")
    assert np.array_equal(ax.images[0].get_array(), model.layers[1].body.layers[1].weights)
    with pytest.raises(ValueError, match=re.escape("[0, '1.body.1'], got '1.body.0'")):
        fn.plot.weights(model, "1.body.0")


def test_weights_of_images():
    model = fn.Model([fn.Dense(5, "relu"), fn.Dense(3)], seed=0).build(12)
    ax = fn.plot.weights(model, 0, image_shape=(3, 4))
    shown = np.asarray(ax.images[0].get_array())
    assert shown.shape == (2 * 3 + 1, 3 * 4 + 2)  # two rows of three images, a line between
    weights = model.layers[0].weights
    assert np.array_equal(shown[:3, :4], weights[:, 0].reshape(3, 4))
    assert np.array_equal(shown[4:, 5:9], weights[:, 4].reshape(3, 4))
    assert (ax.get_title(), ax.get_xlabel()) == ("0: Dense(5)", "5 units")
    wide = fn.Model([fn.Dense(70)], seed=0).build(4)
    assert fn.plot.weights(wide, 0, image_shape=(2, 2)).get_xlabel() == "the first 64 of 70 units"
    both = fn.plot.weights(model, image_shape=(3, 4))
    assert both[1].images[0].get_array().shape == (5, 3)
    with pytest.raises(ValueError, match=r"\(28, 28\) is of 784 inputs; the layers have 12, 5"):
        fn.plot.weights(model, image_shape=(28, 28))
    for shape in (12, (12,), "34"):
        with pytest.raises(TypeError, match="image_shape must be"):
            fn.plot.weights(model, image_shape=shape)


def test_positive_and_negative_have_the_same_colours_in_all_pictures():
    model = fn.Model([fn.Dense(1, use_bias=False)]).build(2)
    model.layers[0].weights = [[1.0], [-1.0]]
    image = fn.plot.weights(model, 0).images[0]
    positive, negative = (image.cmap(image.norm(value)) for value in (1.0, -1.0))
    drawn = {tuple(color[:3]) for color in lines(fn.plot.network(model))[0].get_colors()}
    assert drawn == {positive[:3], negative[:3]}


def test_nothing_overlaps_in_a_grid():
    """Titles and legends of networks stay within their axes."""
    figure, axes = plt.subplots(2, 2, figsize=(8, 6))
    for ax in axes.flat:
        fn.plot.network(trained(), ax=ax)
    figure.canvas.draw()
    for ax in axes.flat:
        frame, legend = ax.get_window_extent(), ax.get_legend().get_window_extent()
        assert legend.y0 >= frame.y0 - 1 and legend.x0 >= frame.x0 - 1


def test_weights_refuses():
    model = trained()
    for call, piece in (
        (lambda: fn.plot.weights(fn.Model([fn.Dense(2)])), "not built"),
        (lambda: fn.plot.weights(fn.Model([fn.Dropout(0.1)]).build(2)), "no dense layer"),
        (lambda: fn.plot.weights(model, 2), "[0, 1], got 2"),
        (lambda: fn.plot.weights(model, ax=plt.gca()), "[0, 1], got 1"),
    ):
        with pytest.raises(ValueError, match=re.escape(piece)):
            call()


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def units(ax):
    return [len(c.get_offsets()) for c in ax.collections if type(c).__name__ == "PathCollection"]


def lines(ax):
    return [c for c in ax.collections if type(c).__name__ == "LineCollection"]


def test_network():
    layers = [fn.OneHot(1, [[0, 1]]), fn.Standardize(), fn.Dense(4, "tanh"), fn.Dropout(0.5), fn.Dense(1)]
    model = fn.Model(layers, seed=0).build(2)
    ax = fn.plot.network(model)
    expected = ["input\n2", "OneHot\n3", "Standardize()", "Dense\ntanh\n4", "Dropout(0.5)", "Dense\n1"]
    assert texts(ax) == expected
    assert units(ax) == [2, 3, 4, 1]
    assert [len(c.get_segments()) for c in lines(ax)] == [6, 12, 4]
    assert [text.get_text() for text in ax.get_legend().texts] == ["positive weight", "negative"]


def test_network_shows_the_weights():
    model = fn.Model([fn.Dense(2, use_bias=False)]).build(2)
    model.layers[0].weights = [[1.0, -2.0], [0.0, 0.5]]
    drawn = {
        tuple(np.ravel(ends)): (width, color)
        for ends, width, color in zip(
            lines(fn.plot.network(model))[0].get_segments(),
            lines(fn.plot.network(model))[0].get_linewidths(),
            lines(fn.plot.network(model))[0].get_colors(),
            strict=True,
        )
    }
    # from (column 0, height) to (column 1, height); the first unit is on top
    strongest = drawn[(0, 0.5, 1, -0.5)]
    assert strongest[0] == max(width for width, _ in drawn.values())
    assert strongest[1][2] > strongest[1][0]  # negative is blue
    positive = drawn[(0, 0.5, 1, 0.5)]
    assert positive[1][0] > positive[1][2] and positive[1][3] < strongest[1][3]


def heights(ax):
    """Height of the middle of each column."""
    circles = [c.get_offsets() for c in ax.collections if type(c).__name__ == "PathCollection"]
    return [points[:, 1].mean() for points in circles]


def test_network_with_a_shortcut():
    body = [fn.LayerNormalization(), fn.Dense(5, "relu"), fn.Dropout(0.1), fn.Dense(4)]
    model = fn.Model([fn.Dense(4), fn.Dropout(0.2), fn.Residual(body), fn.Dense(2)], seed=0).build(3)
    ax = fn.plot.network(model)
    titles = ["input\n3", "Dense\n4", "LayerNormalization\n4", "Dense\nrelu\n5", "Dense\n4", "Residual\n4"]
    assert [text for text in texts(ax) if "\n" in text] == [*titles, "Dense\n2"]
    assert [text for text in texts(ax) if "\n" not in text] == ["Dropout(0.2)", "Dropout(0.1)"]
    assert units(ax) == [3, 4, 4, 5, 4, 4, 2]
    assert [len(c.get_segments()) for c in lines(ax)] == [12, 20, 20, 8]
    bands, curves = ([p for p in ax.patches if p.get_fill() is fill] for fill in (True, False))
    assert [tuple(p.get_xy()[:2, 0]) for p in bands] == [(1, 2), (4, 5)]
    (curve,) = curves  # below the units that it passes by, and within the picture
    low = curve.get_path().vertices[:, 1].min()
    assert {tuple(end) for end in curve.get_path().vertices[[0, -1]]} == {(1, -2), (5, -2)}
    assert low < -2.5 and ax.get_ylim()[0] < curve.get_path().interpolated(20).vertices[:, 1].mean()
    assert np.allclose(heights(ax), 0)


def test_network_with_branches():
    joined = fn.Concatenate([fn.Dense(3), None, [fn.Dense(2), fn.Add([None, fn.Activation("relu")])]])
    ax = fn.plot.network(fn.Model([joined, fn.Dense(2)], seed=0).build(4))
    titles = ["input\n4", "Dense\n3", "Dense\n2", "Activation\n2", "Add\n2", "Concatenate\n9", "Dense\n2"]
    assert texts(ax) == titles
    _, above, below, activation, total, end, _ = heights(ax)
    assert above > end > below == activation == total and end == 0
    bands = [p.get_xy() for p in ax.patches if p.get_fill()]
    # where the branches end up in the column that joins them: 3 of 9 units, then 2 of 9 behind 4 others
    last = [band[1:3, 1].tolist() for band in bands if band[1, 0] == 4]
    assert np.allclose(last, [[4.5, 1.5], [-2.5, -4.5]])
    assert sum(not p.get_fill() for p in ax.patches) == 2


def test_a_large_network_is_abbreviated():
    model = fn.Model([fn.Dense(512, "relu"), fn.Dense(10)], seed=0).build(784)
    ax = fn.plot.network(model)
    assert units(ax) == [10, 10, 10]
    assert texts(ax).count("\N{VERTICAL ELLIPSIS}") == 2
    assert "Dense\nrelu\n512" in texts(ax)
    assert units(fn.plot.network(model, most=3)) == [3, 3, 3]
    _, given = plt.subplots()
    assert fn.plot.network(model, ax=given) is given


def test_network_refuses():
    with pytest.raises(ValueError, match="not built"):
        fn.plot.network(fn.Model([fn.Dense(2)]))
    with pytest.raises(ValueError, match="most must be >= 3, got 2"):
        fn.plot.network(trained(), most=2)


# ---- without the libraries


@pytest.mark.parametrize(
    "missing, call, piece",
    [
        ("matplotlib", "history.plot()", "extra 'plot'"),
        ("matplotlib", "fn.plot.weights(model)", "extra 'plot'"),
        ("matplotlib", "fn.plot.network(model)", "extra 'plot'"),
        ("matplotlib", "fn.plot.decision_boundary(model, X)", "extra 'plot'"),
        ("pandas", "history.to_pandas()", "to_pandas needs pandas"),
    ],
)
def test_what_is_missing_is_named(missing, call, piece):
    program = f"""
import sys
sys.modules[{missing!r}] = None
import fastnn as fn
X, y = fn.datasets.spiral(5, 3, seed=0)
model = fn.Model([fn.Dense(3)], loss="cross_entropy", seed=0)
history = model.fit(X, y)
try:
    {call}
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert piece in done.stdout
