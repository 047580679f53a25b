"""`fn.data.Rows`: blocks of rows, shuffled and not, and the fits of them; arrays of h5py."""

import h5py
import numpy as np
import pytest

import fastnn as fn
from fastnn.data import row_sources

rng = np.random.default_rng(0)
X = rng.normal(size=(1003, 4)).astype("float32")
Y = X[:, 0] * X[:, 1] + np.arange(1003) / 1000


def make(**options):
    return fn.Model([fn.Standardize(), fn.Dense(8, "tanh"), fn.Dense(1)], loss="mse", seed=1, **options)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(row_sources, "_BLOCK", 16 * 100)  # bytes: blocks of 100 rows


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["X"], file["y"], file["w"] = X, Y, np.linspace(0.5, 2, 1003)
        yield file


def same(one, other):
    return one.parameters.tobytes() == other.parameters.tobytes()


def seen(rows):
    """The targets of an epoch, which tell the rows apart."""
    return np.concatenate([y for _, y, *_ in rows])


@pytest.mark.parametrize("batch_size", [7, 32, 100, 150, 1003, 5000])
def test_all_rows_once_each_epoch_in_another_order(small_blocks, batch_size):
    rows = fn.data.Rows(X, Y, batch_size=batch_size, seed=3, buffer_size=250)
    assert len(rows.sizes) == 11
    first, second = seen(rows), seen(rows)
    np.testing.assert_array_equal(np.sort(first), np.sort(Y))
    np.testing.assert_array_equal(np.sort(second), np.sort(Y))
    assert (first != second).mean() > 0.9
    again = seen(fn.data.Rows(X, Y, batch_size=batch_size, seed=3, buffer_size=250))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(seen(fn.data.Rows(X, Y, shuffle=False)), Y)


@pytest.mark.parametrize("batch_size", [7, 32, 150, 2000])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_bits_as_arrays_in_their_order(file, small_blocks, batch_size, weighted):
    one, other = make(), make()
    weight = {"sample_weight": file["w"][...]} if weighted else {}
    one.adapt(X, **weight)
    other.adapt(X, **weight)
    rows = fn.data.Rows(
        file["X"],
        file["y"],
        file["w"] if weighted else None,
        batch_size=batch_size,
        shuffle=False,
        buffer_size=1,
    )
    expected = one.fit(X, Y, epochs=3, batch_size=batch_size, shuffle=False, **weight)
    history = other.fit(rows, epochs=3)
    assert same(one, other)
    assert history.history == expected.history


def test_a_fit_goes_through_the_rows_as_the_reader_does(small_blocks):
    model, other = make(), make()
    model.adapt(X)
    model.fit(fn.data.Rows(X, Y, seed=5, buffer_size=300, batch_size=40), epochs=2)
    other.adapt(X)
    rows = fn.data.Rows(X, Y, seed=5, buffer_size=300, batch_size=40)
    for _ in range(2):
        other.fit(iter(rows))
    assert same(model, other)


def test_datasets_of_h5py_by_blocks(file, small_blocks, monkeypatch):
    monkeypatch.setattr(row_sources, "SMALL", 1000)
    largest = 0
    read = row_sources.RowSource.read

    def watched(self, start, end):
        nonlocal largest
        largest = max(largest, end - start)
        return read(self, start, end)

    monkeypatch.setattr(row_sources.RowSource, "read", watched)
    monkeypatch.setattr("fastnn.data.readers.BUFFER", 200)
    model, other = make(), make()
    held_out = file["X"], file["y"]
    history = model.fit(
        file["X"], file["y"], epochs=2, batch_size=50, shuffle=False, validation_data=held_out
    )
    other.fit(fn.data.Rows(X, Y, batch_size=50, shuffle=False), epochs=2)
    np.testing.assert_allclose(model.parameters, other.parameters, rtol=1e-6)
    expected = other.evaluate(X, Y)["loss"]
    np.testing.assert_allclose(history.history["val_loss"][-1], expected, rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(file["X"], file["y"])["loss"], expected, rtol=1e-5)
    weight = np.linspace(0.1, 3, 1003)
    np.testing.assert_allclose(
        model.evaluate(file["X"], file["y"], weight)["loss"], other.evaluate(X, Y, weight)["loss"], rtol=1e-5
    )
    with pytest.raises(ValueError, match="sample_weight is for arrays.*yield"):
        model.evaluate([(X, Y)], sample_weight=weight)
    with pytest.raises(TypeError, match="X must be an array, got Rows, which reads batches"):
        model.predict(fn.data.Rows(X, Y))
    with pytest.raises(ValueError, match="validation_split is for arrays"):
        make().fit(file["X"], file["y"], validation_split=0.1)


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("stopped_at", [3, 9])
def test_resumed_to_the_same_order(small_blocks, saved, stopped_at, tmp_path):
    class Stopped(Exception):
        pass

    class Failing(fn.data.Rows):
        reads = 0

        def read(self, blocks):
            self.reads += 1
            if self.reads == stopped_at + 5:  # behind a pass of `Standardize` before
                raise Stopped
            return super().read(blocks)

    def rows(kind=fn.data.Rows):
        return kind(X, Y, batch_size=30, buffer_size=250)

    whole, model = make(), make()
    whole.fit(rows(), epochs=4)
    with pytest.raises(Stopped):
        model.fit(rows(Failing), epochs=4)
    assert model.state.position
    if saved:
        model.save(tmp_path / "model.safetensors", training=True)
        model = fn.load(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="batch_size=30"):
        model.fit(fn.data.Rows(X, Y, batch_size=10), resume=True)
    done = model.state.epoch
    model.fit(rows(), epochs=4, initial_epoch=done, resume=True)
    assert same(whole, model)


OTHERS = {
    "seed": (lambda options: fn.data.Rows(X, Y, **{**options, "seed": 4}), "shuffled with seed=3, .* seed=4"),
    "model's seed": (lambda options: fn.data.Rows(X, Y, **{**options, "seed": None}), "seed=3, .* seed=1"),
    "buffer": (
        lambda options: fn.data.Rows(X, Y, **{**options, "buffer_size": 300}),
        "buffer_size=250, .*=300",
    ),
    "blocks": (lambda options: fn.data.Rows(X, Y, **options), "blocks of other sizes"),
    "data": (lambda options: fn.data.Rows(X[::-1], Y[::-1], **options), "began with other samples"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_an_interrupted_epoch_is_resumed_by_the_same_reader_only(small_blocks, kind, monkeypatch, tmp_path):
    class Stopped(Exception):
        pass

    class Failing(fn.data.Rows):
        def read(self, blocks):
            if self.describe(blocks) == last:
                raise Stopped
            return super().read(blocks)

    options = {"seed": 3, "batch_size": 30, "buffer_size": 250}
    rows = fn.data.Rows(X, Y, **options)
    last = rows.describe(rows.groups(0, 0)[2])
    model = fn.Model([fn.Dense(1)], loss="mse", seed=1)
    with pytest.raises(Stopped):
        model.fit(Failing(X, Y, **options))
    model.save(tmp_path / "model.safetensors", training=True)
    model = fn.load(tmp_path / "model.safetensors")
    before = model.parameters.tobytes()
    make_other, message = OTHERS[kind]
    if kind == "blocks":
        monkeypatch.setattr(row_sources, "_BLOCK", 16 * 50)
    with pytest.raises(ValueError, match=f"interrupted epoch .*{message}.* leave out resume=True"):
        model.fit(make_other(options), resume=True)
    with pytest.raises(ValueError, match="was over blocks of a reader, and cannot be resumed over arrays"):
        model.fit(X, Y, batch_size=30, resume=True)
    assert model.parameters.tobytes() == before
    monkeypatch.setattr(row_sources, "_BLOCK", 16 * 100)
    model.fit(rows, resume=True)
    whole = fn.Model([fn.Dense(1)], loss="mse", seed=1)
    whole.fit(fn.data.Rows(X, Y, **options))
    assert same(whole, model)


def test_files_that_cannot_be_read_are_named(file, small_blocks, monkeypatch):
    with pytest.raises(TypeError, match="a File of h5py holds several arrays; give one of them"):
        make().fit(file, Y)
    with pytest.raises(TypeError, match="an array or a table with rows is needed, got int"):
        fn.data.Rows(X, 3)
    read = row_sources.RowSource.read

    def fails(self, start, end):
        if start <= 500 < end:
            raise OSError("the disk")
        return read(self, start, end)

    model = make()
    model.adapt(X)
    rows = fn.data.Rows(file["X"], file["y"], shuffle=False, buffer_size=100, batch_size=50)
    monkeypatch.setattr(row_sources.RowSource, "read", fails)
    with pytest.raises(OSError, match="the disk") as error:
        model.fit(rows)
    assert error.value.__notes__ == ["It was raised while fastnn read rows from 500 to 599."]
    assert model.state.position == 500
    given = file["X"]
    file.close()
    with pytest.raises(ValueError, match="a Dataset of h5py is of a file that is closed"):
        model.fit(given, Y)


def test_a_bad_block_is_named(small_blocks):
    bad = X.copy()
    bad[523, 2] = np.nan
    model = make()
    model.adapt(X)
    with pytest.raises(ValueError, match=r"rows from 500 to 599: X must be finite .* nan at \(23, 2\)"):
        model.fit(fn.data.Rows(bad, Y, shuffle=False, buffer_size=300, batch_size=50))
    assert model.state.position == 300
    for arrays, message in [((X, Y[:5]), "y must have 1003 rows"), ((X[:0], Y[:0]), "must not be empty")]:
        with pytest.raises(ValueError, match=message):
            fn.data.Rows(*arrays)
    with pytest.raises(ValueError, match="steps_per_epoch is for iterables; X has 32 batches"):
        model.fit(fn.data.Rows(X, Y), steps_per_epoch=3)
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="y must not be given"):
            call(fn.data.Rows(X, Y), Y)
    with pytest.raises(ValueError, match="shuffle=False is for arrays: make X with shuffle=False"):
        model.fit(fn.data.Rows(X, Y), shuffle=False)
