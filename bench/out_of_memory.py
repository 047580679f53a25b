"""Training on data that does not fit into memory: rows a second, and the memory that it takes.

    python -m bench.out_of_memory [folder]

A Parquet file is read beside the same data in memory, in an Arrow file, in an HDF5 dataset and as an iterable
of batches. Then a process that may allocate little more than it has after its first steps (RLIMIT_DATA: all
of its private memory that can be written to) trains on a file ten times larger than that.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastnn as fn

FEATURES, GROUP = 50, 8192
ALLOWED = 100 << 20  # bytes beyond those at the start


def model(width):
    layers = [fn.Dense(width, "relu"), fn.Dense(1)]
    return fn.Model(layers, loss="mse", optimizer=fn.Adam(1e-3), seed=0)


def write(path, rows):
    """A Parquet file of float32 columns, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"x{i}" for i in range(FEATURES)]
    schema = pa.schema([(name, pa.float32()) for name in [*names, "y"]])
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, GROUP):
            X = rng.standard_normal((min(GROUP, rows - start), FEATURES), np.float32)
            columns = dict(zip(names, X.T.copy(), strict=True)) | {"y": X[:, 0] * X[:, 1]}
            writer.write_table(pa.table(columns, schema), row_group_size=GROUP)
    return path


def as_arrow(path):
    """The same as an Arrow file of record batches."""
    import pyarrow.parquet as pq
    from pyarrow import ipc

    table = pq.read_table(path)
    with ipc.new_file(path.with_suffix(".arrow"), table.schema) as file:
        file.write_table(table, max_chunksize=GROUP)
    return path.with_suffix(".arrow")


def rows_a_second(fit, rows):
    fit()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        fit()
        times.append(time.perf_counter() - start)
    return rows / min(times)


def speeds(folder):
    import h5py

    rows = 20 * GROUP
    path = write(folder / "small.parquet", rows)
    arrow = as_arrow(path)
    X, y, _ = fn.data.Parquet(path, target="y", shuffle=False, buffer_size=rows).read(list(range(20)))
    X, y = np.stack([column.to_numpy() for column in X.columns], axis=1), np.asarray(y)
    with h5py.File(folder / "small.h5", "w") as file:
        file["X"], file["y"] = X, y
        print("million rows a second:")
        print(
            f"{'width':>6} {'batch':>6} {'arrays':>8} {'Parquet':>8} {'Arrow':>8} {'HDF5':>8} {'iterable':>8}"
        )
        for width, batch in [(8, 32), (64, 32), (64, 256), (512, 256)]:
            sources = [
                ((X, y), {"batch_size": batch}),
                ((fn.data.Parquet(path, target="y", batch_size=batch),), {}),
                ((fn.data.Arrow(arrow, target="y", batch_size=batch),), {}),
                ((fn.data.Rows(file["X"], file["y"], batch_size=batch),), {}),
                (([(X[i : i + batch], y[i : i + batch]) for i in range(0, rows, batch)],), {}),
            ]
            found = []
            for given, options in sources:
                net = model(width).build(FEATURES)
                found.append(rows_a_second(lambda n=net, g=given, o=options: n.fit(*g, **o), rows) / 1e6)
            print(f"{width:>6} {batch:>6}", *(f"{speed:8.2f}" for speed in found), flush=True)


def status(name):
    """A line of /proc/self/status, in bytes."""
    line = next(of for of in Path("/proc/self/status").read_text().splitlines() if of.startswith(name))
    return 1024 * int(line.split()[1])


def limited(path, small):
    """What the child does: a fit under the limit, after a small one."""
    net = model(64)
    net.fit(fn.data.Parquet(small, target="y", batch_size=256, buffer_size=GROUP))
    before, resident = status("VmData"), status("VmRSS")
    resource.setrlimit(resource.RLIMIT_DATA, (before + ALLOWED, before + ALLOWED))
    data = fn.data.Parquet(path, target="y", batch_size=256, buffer_size=GROUP)
    start = time.perf_counter()
    net.fit(data)
    seconds, peak = time.perf_counter() - start, status("VmHWM")
    print(f"{data.n_samples} rows of {FEATURES} columns, a file of {path.stat().st_size >> 20} MiB;")
    print(f"allowed: {ALLOWED >> 20} MiB more; resident before {resident >> 20}, at most {peak >> 20} MiB;")
    print(f"{data.n_samples / seconds / 1e6:.2f} million rows a second")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="where files are written, of 1.2 GB")
    parser.add_argument("--limited", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.limited:
        limited(*map(Path, given.limited))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        speeds(folder)
        rows = 10 * ALLOWED // (4 * (FEATURES + 1))
        large = write(folder / "large.parquet", rows)
        command = [sys.executable, "-m", "bench.out_of_memory", "--limited", large, folder / "small.parquet"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
