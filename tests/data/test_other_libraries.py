"""Parquet and Arrow files, rows of arrays and tables of Dask, polars, xarray and zarr: block by block."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fn
from fastnn.data import row_sources

pytestmark = [pytest.mark.ecosystem, pytest.mark.filterwarnings("ignore")]  # of other libraries

rng = np.random.default_rng(0)
N = 2500
X = rng.normal(size=(N, 3))
Y = X[:, 0] * X[:, 1] + np.arange(N) / 1000
NAMES = ["a", "b", "c"]


def make(n_out=1, **options):
    return fn.Model([fn.Standardize(), fn.Dense(8, "tanh"), fn.Dense(n_out)], loss="mse", seed=1, **options)


def same(one, other):
    return one.parameters.tobytes() == other.parameters.tobytes()


def write_parquet(table, path, rows):
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, path, row_group_size=rows)


def write_arrow(table, path, rows):
    from pyarrow import ipc

    options = ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=True)
    with ipc.new_file(path, table.schema, options=options) as file:
        file.write_table(table, max_chunksize=rows)


FORMATS = {"Parquet": (write_parquet, "row group"), "Arrow": (write_arrow, "record batch")}


class Files:
    """Files of a format in a folder, and what reads them."""

    def __init__(self, kind, folder):
        self.kind, self.folder = kind, folder
        self.write, self.block = FORMATS[kind]
        self.reader = getattr(fn.data, kind)

    def __call__(self, name="data.file", rows=slice(None), block_rows=300, **other):
        """Write some rows of the data, and other columns."""
        import pyarrow

        columns = {
            **dict(zip(NAMES, X[rows].T, strict=True)),
            "y": Y[rows],
            "w": 1 + X[rows, 0] ** 2,
            **other,
        }
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.write(pyarrow.table(columns), path, block_rows)
        return path


@pytest.fixture(params=FORMATS)
def write(request, tmp_path):
    pytest.importorskip("pyarrow")
    return Files(request.param, tmp_path)


@pytest.mark.parametrize("kind", ["file", "folder", "list", "dataset"])
def test_columns_in_its_order_is_as_arrays(write, kind):
    import pyarrow.dataset

    if kind == "file":
        path = write()
    else:
        paths = [write(f"folder/{i}.file", slice(i * 1000, (i + 1) * 1000)) for i in range(3)]
        path = {"folder": paths[0].parent, "list": paths}.get(kind)
        path = pyarrow.dataset.dataset(paths[0].parent, format=write.kind.lower()) if path is None else path
    one, other = (fn.Model([fn.Dense(8, "tanh"), fn.Dense(1)], loss="mse", seed=0) for _ in range(2))
    options = {"batch_size": 40, "shuffle": False}
    data = write.reader(path, NAMES, "y", weight="w", buffer_size=700, **options)
    weight = 1 + X[:, 0] ** 2
    expected = one.fit(X, Y, sample_weight=weight, epochs=2, **options)
    history = other.fit(data, epochs=2, validation_data=data)
    assert same(one, other)
    assert history.history["loss"] == expected.history["loss"]
    assert list(other.feature_names_in_) == NAMES
    for again in (pickle.loads(pickle.dumps(data)), copy.deepcopy(data)):
        for mine, its in zip(data, again, strict=True):
            np.testing.assert_array_equal(mine[0], its[0])
    with pytest.raises(ValueError, match="must have the columns"):
        other.fit(write.reader(path, ["a", "b", "w"], "y"))
    np.testing.assert_array_equal(np.concatenate([y for _, y, _ in data]), Y)


def test_columns_shuffled_and_resumed(write, tmp_path):
    def data(**options):
        return write.reader(write(), NAMES, batch_size=50, buffer_size=700, **options)

    assert {name for *_, name in [(data().names)]} == {"c"}
    every = np.concatenate([y for _, y in data()])
    np.testing.assert_array_equal(np.sort(every), np.sort(Y))
    assert (every != Y).mean() > 0.9

    class Stopped(Exception):
        pass

    whole, model = make(), make()
    reader = data()
    read, reads = reader.read, []

    def fails(blocks):
        reads.append(blocks)
        if len(reads) == 11:
            raise Stopped
        return read(blocks)

    whole.fit(data(), epochs=3)
    reader.read = fails
    with pytest.raises(Stopped):
        model.fit(reader, epochs=3)
    assert model.state.position
    model.save(tmp_path / "model.safetensors", training=True)
    model = fn.load(tmp_path / "model.safetensors")
    model.fit(data(), epochs=3, initial_epoch=model.state.epoch, resume=True)
    assert same(whole, model)


def test_columns_of_text_categories_integers_and_several_targets(write):
    towns = rng.choice(["Basel", "Ulm"], N)
    path = write(town=towns, age=rng.integers(0, 90, N), flag=rng.random(N) > 0.5)
    layers = [fn.Standardize([0, 1]), fn.OneHot(2, categories=[["Basel", "Ulm"]]), fn.Dense(2)]
    model = fn.Model(layers, loss="mse", seed=0)
    data = write.reader(path, ["a", "age", "town", "flag"], ["y", "w"])
    model.fit(data, epochs=1)
    assert np.isfinite(model.evaluate(data)["loss"])
    with pytest.raises(TypeError, match=rf"{write.block} .*'town'; fn.OneHot\(2\) or .* codes text"):
        make(2).fit(data)


def test_categories_are_those_of_all_blocks(write):
    import pandas as pd
    import pyarrow

    towns = np.array(["Ulm", "Basel", "Bonn"])[np.arange(N) // 1000]
    dictionary = [pyarrow.array(part.tolist()).dictionary_encode() for part in np.split(towns, [900, 1700])]
    path = write(town=pyarrow.chunked_array(dictionary))
    data = write.reader(path, ["a", "town"], "y", shuffle=False, batch_size=50, buffer_size=300)
    one, other = (
        fn.Model([fn.OneHot(1), fn.Dense(4, "tanh"), fn.Dense(1)], loss="mse", seed=0) for _ in range(2)
    )
    one.fit(pd.DataFrame({"a": X[:, 0], "town": towns}), Y, shuffle=False, batch_size=50)
    other.fit(data)
    assert other.layers[0].categories[0].tolist() == ["Basel", "Bonn", "Ulm"]
    assert same(one, other)


def test_columns_with_missing_values(write):
    holes = [None if i % 7 == 0 else float(i) for i in range(N)]
    path = write(holes=holes)
    data = write.reader(path, ["a", "holes"], "y", shuffle=False, buffer_size=1)
    model = fn.Model([fn.Impute(), fn.Standardize(), fn.Dense(1)], loss="mse", seed=0)
    model.fit(data)
    with pytest.raises(ValueError, match=r"data.file.*nan at \(0, 1\), column 'holes'; put fn.Impute"):
        make().fit(data)
    bad = Y.copy()
    bad[1234] = np.nan
    path = write("bad.file", target=bad)
    model = make()
    model.adapt(X.astype("float32"))
    data = write.reader(path, NAMES, "target", shuffle=False, buffer_size=600, batch_size=50)
    with pytest.raises(
        ValueError, match=rf"bad.file, {write.block} 4: y .column .target.. must be finite .* nan at 34"
    ):
        model.fit(data)
    assert model.state.position == 1200


def test_files_that_is_not_right(write, tmp_path):
    path = write(when=np.arange(N).astype("datetime64[s]"), label=["x"] * N)
    cases = [
        ({"features": ["a", "bb"]}, ValueError, "no column 'bb'; did you mean 'b'"),
        ({"features": NAMES, "target": "yy"}, ValueError, "no column 'yy'; did you mean 'y'"),
        (
            {"features": ["a", "when"]},
            TypeError,
            "'when' of .* must be numbers or text, got timestamp",
        ),
        (
            {"features": ["a"], "target": "label"},
            TypeError,
            "'label' of .* must be numbers, got string",
        ),
        ({"features": "a"}, TypeError, "features must be a sequence of names"),
        ({"features": NAMES, "batch_size": 0}, ValueError, "batch_size must be"),
    ]
    for options, error, message in cases:
        with pytest.raises(error, match=message):
            write.reader(path, **options)
    with pytest.raises(OSError):
        write.reader(tmp_path / "none.file")
    whole = write("many/0.file")
    cut = whole.parent / "1.file"
    cut.write_bytes(whole.read_bytes()[:-1000])
    for given, name in ((cut, "1.file"), (whole.parent, "1.file")):
        with pytest.raises(ValueError, match=f"{name}.*may be cut short"):
            write.reader(given, NAMES)


def test_values_of_files_that_differ_in_how_they_are_stored(write):
    import pyarrow

    def text(values, kind):
        return pyarrow.array(values.tolist()).cast(kind)

    towns = rng.choice(["Basel", "Ulm", "Lyon"], N)
    towns[:1000] = "Ulm"
    kinds = [pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), pyarrow.large_string(), None]
    ages = [rng.integers(0, 90, N).astype(kind) for kind in ("i2", "f4", "f8")]
    paths = []
    for i, kind in enumerate(kinds):
        rows = slice(1000 * i, 1000 * (i + 1))
        town = text(towns[rows], kind) if kind else pyarrow.array(towns[rows].tolist()).dictionary_encode()
        paths.append(write(f"part={i}/x.file", rows, town=town, age=ages[i][rows]))
    options = {"batch_size": N, "shuffle": False}
    [(table, part)] = write.reader(paths, ["town", "age"], "part", buffer_size=N, **options)
    assert table[:, 0].tolist() == towns.tolist()
    age = np.concatenate([ages[i][1000 * i : 1000 * (i + 1)] for i in range(3)])
    np.testing.assert_array_equal(table[:, 1].astype(float), age)
    np.testing.assert_array_equal(part, np.arange(N) // 1000)
    other = write("other.file", town=np.arange(N), age=age > 3)
    for name, message in [("town", "must be string, as .* got int64"), ("age", "must be .*, got bool")]:
        with pytest.raises(TypeError, match=f"column '{name}' of other.file {message}"):
            write.reader([*paths, other], [name], "y")


def test_files_of_another_format_are_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import ipc

    table = pa.table({"a": X[:, 0], "y": Y})
    write_parquet(table, tmp_path / "a.parquet", 100)
    write_arrow(table, tmp_path / "a.arrow", 100)
    with ipc.new_stream(tmp_path / "a.stream", table.schema) as stream:
        stream.write_table(table)
    for reader, name, message in [
        (fn.data.Parquet, "a.arrow", "is an Arrow file: use fn.data.Arrow"),
        (fn.data.Arrow, "a.parquet", "is a Parquet file: use fn.data.Parquet"),
        (fn.data.Arrow, "a.stream", "is a stream of Arrow's.*use pyarrow.ipc.new_file"),
    ]:
        with pytest.raises(ValueError, match=f"{name} {message}"):
            reader(tmp_path / name)


def test_a_file_cut_short_while_it_is_read(write):
    path = write()
    data = write.reader(path, NAMES, shuffle=False, buffer_size=300, batch_size=50)
    model = make()
    model.adapt(X.astype("float32"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises((ValueError, OSError), match="data.file|cannot be read"):
        model.fit(data)
    path.write_bytes(content)
    model.fit(data, resume=True)
    other = make()
    other.adapt(X.astype("float32"))
    other.fit(data)
    assert same(model, other)


def _zarr(tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(str(tmp_path / "x.zarr"), shape=X.shape, chunks=(128, 3), dtype="f8")
    array[:] = X
    return array, Y


def _xarray(tmp_path):
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(X), xarray.DataArray(Y)


def _dask(tmp_path):
    da = pytest.importorskip("dask.array")
    return da.from_array(X, chunks=(600, 3)), da.from_array(Y, chunks=500)


def _dask_frame(tmp_path):
    dd = pytest.importorskip("dask.dataframe")
    import pandas as pd

    frame = pd.DataFrame({**dict(zip(NAMES, X.T, strict=True)), "y": Y})
    frame = dd.from_pandas(frame, npartitions=5)
    return frame[NAMES], frame["y"]


def _polars(tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({**dict(zip(NAMES, X.T, strict=True)), "y": Y}).lazy()
    return frame.select(NAMES), frame.select("y")


@pytest.mark.parametrize("make_rows", [_zarr, _xarray, _dask, _dask_frame, _polars])
def test_rows_of_other_libraries_by_blocks(make_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(row_sources, "SMALL", 100)
    monkeypatch.setattr(row_sources, "_BLOCK", 24 * 300)
    given, targets = make_rows(tmp_path)
    one, other, shuffled = make(), make(), make()
    for model in (one, other):
        model.adapt(X.astype("float32"))
    one.fit(X, Y, batch_size=50, shuffle=False, epochs=2)
    other.fit(given, targets, batch_size=50, shuffle=False, epochs=2)
    assert same(one, other)
    shuffled.fit(given, targets, batch_size=50, epochs=2, validation_data=(given, targets))
    expected = shuffled.evaluate(X, Y)["loss"]
    np.testing.assert_allclose(shuffled.history.history["val_loss"][-1], expected, rtol=1e-5)
