"""Entries made from declarations: what they hand to a kernel, and what a declaration may not say."""

import ctypes
import importlib
import inspect
import pkgutil
import re
import traceback

import numpy as np
import pytest
from numba import cfunc

import fastnn.kernels
from fastnn.kernels.abi import entries, oprow, tensors
from fastnn.kernels.abi.descriptor import DESCRIPTOR
from fastnn.kernels.abi.entries import BY_ELEMENT, Op, entry
from fastnn.kernels.lowlevel._jit import ENTRY_SIGNATURE, INTERPRETED, inline_ir, kernel
from fastnn.kernels.lowlevel.simd import view

ROWS, N_IN, N_OUT = 3, 4, 2


def python_view(address, shape, dtype):
    """What `simd.view` is to compiled code."""
    shape = tuple(int(size) for size in shape) if isinstance(shape, tuple) else (int(shape),)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = (ctypes.c_char * size).from_address(int(address))
    return np.frombuffer(memory, dtype).reshape(shape)


def python_record(address, dtype):
    """What `simd.record` is to compiled code."""
    return python_view(address, 1, dtype).view(np.recarray)[0]


class Memory:
    """A descriptor, an op row, and flat vectors of zeros that they point to."""

    def __init__(self, dtype):
        self.tables = np.zeros(1, oprow.OP), np.zeros(1, DESCRIPTOR)
        self.op, self.net = (table.view(np.recarray)[0] for table in self.tables)
        self.vectors = {}
        for name in ("workspace", "input", "output", "parameters", "rows_gradient", "constants"):
            self.put(name, np.zeros(100, dtype))
        self.net.rows, self.net.itemsize = ROWS, np.dtype(dtype).itemsize
        self.op.n_in, self.op.n_out = N_IN, N_OUT
        self.dtype = dtype

    def put(self, name, vector):
        """Make this the vector that a field of the descriptor points to."""
        self.vectors[name], self.net[name] = vector, vector.ctypes.data

    def run(self, factory, monkeypatch):
        """Run an entry on this memory: compiled, or as Python where there is no JIT."""
        if INTERPRETED:
            monkeypatch.setattr(tensors, "view", python_view)
            for name, twin in {"view": python_view, "record": python_record}.items():
                monkeypatch.setitem(factory.__globals__, name, twin)
                monkeypatch.setattr(entries, name, twin)
            factory(self.dtype)(*[table.ctypes.data for table in self.tables])
        else:
            options = {"error_model": "numpy", "_nrt": False}
            compiled = cfunc(ENTRY_SIGNATURE, **options)(factory(self.dtype))
            compiled.ctypes(*[table.ctypes.data for table in self.tables])


def expected(size=100, **parts):
    """A vector of zeros, but for parts that begin at some offset and are of so many equal numbers."""
    vector = np.zeros(size)
    for start, count, value in parts.values():
        vector[start : start + count] = value
    return vector


def test_a_kernel_is_handed_the_arrays_that_are_declared(dtype, monkeypatch):
    @kernel
    def fill(x, w, b, first, second, mask, rate, count, dw, y, n_in):
        x[ROWS - 1, N_IN - 1] = x.shape[0] * 10 + x.shape[1]
        w[N_IN - 1, N_OUT - 1] = w.shape[0] * 10 + w.shape[1]
        b[N_OUT - 1] = b.size
        first[0], second[0] = first.size, second.size
        mask[ROWS * N_IN - 1] = mask.size
        dw[N_IN - 1, N_OUT - 1] = dw.size
        y[0, 0], y[0, 1], y[1, 0] = rate, count, n_in
        y[ROWS - 1, N_OUT - 1] = y.shape[0] * 10 + y.shape[1]

    op = Op(
        parameters={"w": "n_in, n_out", "b": "n_out"},
        constants={"first": "n_in", "second": "count"},
        scratch={"mask": "rows * n_in"},
        settings={"rate": None, "count": np.int64},
    )
    memory = Memory(dtype)
    memory.op.x, memory.op.y, memory.op.scratch, memory.op.constants = 10, oprow.OUTPUT, 50, 7
    memory.op.parameters[:2], memory.op.settings[:2] = (20, 40), (0.25, 5)
    memory.run(op.entry(fill, writes="y"), monkeypatch)
    vectors = memory.vectors
    assert vectors["workspace"].tolist() == expected(x=(21, 1, 34), mask=(61, 1, 12)).tolist()
    assert vectors["parameters"].tolist() == expected(w=(27, 1, 42), b=(41, 1, 2)).tolist()
    assert vectors["rows_gradient"].tolist() == expected(dw=(27, 1, 8)).tolist()
    assert vectors["constants"].tolist() == expected(first=(7, 1, 4), second=(11, 1, 5)).tolist()
    assert vectors["output"][:6].tolist() == [0.25, 5, N_IN, 0, 0, 32]
    assert not vectors["input"].any()


def test_shapes_are_computed_of_numbers_and_settings(dtype, monkeypatch):
    @kernel
    def fill(x, y, moments):
        x[5, 1] = x.shape[0] * 10 + x.shape[1]
        moments[5, 0] = moments.shape[0] * 10 + moments.shape[1]
        y[5] = y.size

    op = Op(
        tensors={"x": "rows * positions, features", "y": "rows * positions"},
        scratch={"moments": "rows * positions, 1"},
        settings={"features": np.int64},
        numbers={"positions": "n_in // features"},
    )
    memory = Memory(dtype)
    memory.op.x, memory.op.y, memory.op.scratch = oprow.INPUT, 20, 30
    memory.op.settings[0] = 2
    memory.run(op.entry(fill, writes="y moments"), monkeypatch)
    assert memory.vectors["input"].tolist() == expected(x=(11, 1, 62)).tolist()
    assert memory.vectors["workspace"].tolist() == expected(y=(25, 1, 6), moments=(35, 1, 61)).tolist()


def test_tensors_begin_with_the_rows_at_hand_and_parameters_do_not(dtype, monkeypatch):
    @kernel
    def fill(x, gamma, moments, y):
        x[0, 0], gamma[0], moments[0, 0], y[0, 0] = 1, 2, 3, 4

    op = Op(
        tensors={"x": "rows * positions, features", "y": "rows, n_out"},
        parameters={"gamma": "features"},
        scratch={"moments": "rows * positions, 3"},
        settings={"features": np.int64},
        numbers={"positions": "n_in // features"},
    )
    memory = Memory(dtype)
    memory.op.x, memory.op.y, memory.op.scratch = 10, oprow.OUTPUT, 40
    memory.op.parameters[0], memory.op.settings[0], memory.net.first_row = 7, 2, 2
    memory.run(op.entry(fill, writes="x gamma moments y"), monkeypatch)
    skipped = 2 * N_IN, 2 * (N_IN // 2) * 3  # numbers of two rows
    tensors = {"x": (10 + skipped[0], 1, 1), "moments": (40 + skipped[1], 1, 3)}
    assert memory.vectors["workspace"].tolist() == expected(**tensors).tolist()
    assert memory.vectors["parameters"].tolist() == expected(gamma=(7, 1, 2)).tolist()
    assert memory.vectors["output"].tolist() == expected(y=(2 * N_OUT, 1, 4)).tolist()


@pytest.mark.parametrize("given", [False, True])
def test_an_optional_array_has_no_rows_where_there_is_none(given, dtype, monkeypatch):
    @kernel
    def fill(b, pairs, y):
        y[0, 0] = b.size
        y[0, 1] = pairs.shape[0] * 10 + pairs.shape[1]

    op = Op(
        parameters={"w": "n_in, n_out", "b": "n_out"},
        scratch={"pairs": "rows, 2"},
        optional=("b", "pairs"),
    )
    memory = Memory(dtype)
    memory.op.parameters[1], memory.op.scratch = (4, 20) if given else (oprow.NONE, oprow.NONE)
    memory.run(op.entry(fill, writes="y"), monkeypatch)
    assert memory.vectors["workspace"][:2].tolist() == ([N_OUT, 32] if given else [0, 2])


@pytest.mark.parametrize("y_at", [0, 20, 50])
def test_a_kernel_gets_one_array_where_two_lie_at_one_place(y_at, dtype, monkeypatch):
    @inline_ir
    def add(x, x2, y, y_is_x):
        for i in range(y.size):
            y[i] = x[i] + x2[i] + (100 if y_is_x else 0)

    op = Op(tensors=BY_ELEMENT)
    factory = op.entry(add, writes="y", over=("x", "x2"))
    memory = Memory(dtype)
    memory.op.n_out = N_IN
    memory.op.x, memory.op.x2, memory.op.y = 0, 20, y_at
    memory.vectors["workspace"][:40] = np.arange(40)
    memory.run(factory, monkeypatch)
    total = np.arange(12) + np.arange(20, 32) + (100 if y_at == 0 else 0)
    assert memory.vectors["workspace"][y_at : y_at + 12].tolist() == total.tolist()
    assert re.findall(r"add\((.*?), y_is_x\)", factory.source) == ["y, x2, y", "x, y, y", "x, x2, y"]


def test_a_body_is_handed_both_records_and_the_dtype(dtype, monkeypatch):
    @entry(oprow.OP)
    def example_entry(op, net, T):
        """What it does."""
        vector = view(net.output, 3, T)
        vector[0], vector[1], vector[2] = op.n_in, op.settings[0], net.scale

    assert (example_entry.__name__, example_entry.__doc__) == ("example_entry", "What it does.")
    monkeypatch.setitem(globals(), "view", python_view if INTERPRETED else view)
    memory = Memory(dtype)
    memory.op.settings[0], memory.net.scale = 0.5, 0.25
    memory.run(example_entry, monkeypatch)
    assert memory.vectors["output"][:4].tolist() == [N_IN, 0.5, 0.25, 0]


def test_an_unknown_name_is_refused_when_a_module_is_imported():
    def forward(x, beta, y):
        pass

    with pytest.raises(TypeError, match=r"test_entries.*forward takes 'beta', which its op does not have"):
        Op().entry(forward, writes="y")
    Op(parameters={"beta": "n_in"}).entry(forward, writes="y")


@pytest.mark.parametrize(
    "declaration", [{"writes": "dx"}, {"writes": "y n_in"}, {"writes": "y", "over": ("dy",)}]
)
def test_what_is_written_is_an_array_of_the_kernel(declaration):
    def forward(x, y, n_in):
        pass

    with pytest.raises(TypeError, match=r"forward takes no array '(dx|n_in|dy)'"):
        Op().entry(forward, **declaration)


@pytest.mark.parametrize("group", ["parameters", "constants", "scratch", "tensors"])
def test_a_shape_of_unknown_numbers_is_refused(group):
    with pytest.raises(TypeError, match=r"shape \(n_in // k\) of 'x' is of unknown numbers: k"):
        Op(**{group: {"x": "n_in // k"}})


def test_a_tensor_without_a_field_is_refused():
    with pytest.raises(TypeError, match="an op row has no offset of a tensor 'x3'"):
        Op(tensors={"x": "rows, n_in", "x3": "rows, n_in"})


def test_arrays_of_scratch_of_two_sizes_in_one_place_are_refused():
    with pytest.raises(TypeError, match=r"arrays of scratch mask, pairs lie in one place and differ in size"):
        Op(scratch={"mask": "rows * n_in", "pack": "100", "pairs": "rows, 2"})
    with pytest.raises(TypeError, match="pack, table lie"):
        Op(scratch={"pack": "100", "mask": "rows * n_in", "table": "n_in, n_out"})
    Op(scratch={"mask": "rows * n_in", "pack": "100", "line": "rows, n_in"})  # the same memory in two shapes


def test_a_traceback_shows_the_source_of_an_entry():
    def broken(x):
        pass

    factory = Op().entry(broken, writes="x")
    with pytest.raises(Exception) as raised:  # an address that is none
        factory(np.float32)(None, None)
    assert "op = record(op_address, OP)" in "".join(traceback.format_exception(raised.value))


def signature(factory):
    """Names of the parameters of an entry's kernel."""
    return list(inspect.signature(getattr(factory.kernel, "py_func", factory.kernel)).parameters)


def declared():
    """All entries of the library that are made from a declaration, one of each kernel's code, by name."""
    found = {}
    for info in pkgutil.walk_packages(fastnn.kernels.__path__, "fastnn.kernels."):
        if info.ispkg or "._" in info.name:
            continue
        for name, value in vars(importlib.import_module(info.name)).items():
            fields = {
                f"{name}.{field}": getattr(value, field) for field in getattr(type(value), "_fields", ())
            }
            for path, factory in {name: value, **fields}.items():
                if hasattr(factory, "op") and hasattr(factory, "writes"):
                    code = getattr(factory.kernel, "py_func", factory.kernel).__code__
                    found.setdefault(code, (f"{info.name.removeprefix('fastnn.kernels.')}.{path}", factory))
    return dict(found.values())


DECLARED = declared()


@pytest.mark.parametrize("name", DECLARED)
def test_a_kernel_names_in_its_docstring_what_it_writes(name):
    factory = DECLARED[name]
    described = factory.kernel.__doc__
    assert re.search(r"\bWrites?\b|\*\*written\*\*", described)
    for array in factory.writes:
        assert re.search(rf"\b{array}\b", described)


# Where tensors lie in the workspace, and settings and widths of outputs where 4 will not do.
OFFSETS = {"x": 0, "x2": 50, "y": 100, "dx": 150, "dx2": 200, "dy": 250, "scratch": 300}
# A sequence of four numbers that is pooled in two windows, as an image of height 1.
WINDOWS = (1, 4, 1, 1, 2, 1, 2, 1, 2, 0, 0)
SETTINGS = {
    "layers.dropout": 0.5,
    "layers.combine.select": 2,
    "layers.normalization.group_normalization": (1e-3, 2, 2),
    "layers.attention": (1, 1, 1, 0, 0),
    "layers.pooling.max_pooling": WINDOWS,
    "layers.pooling.average_pooling": WINDOWS,
    "layers.resizing.upsampling": (1, 4, 1, 1, 8, 1, 2),
    "layers.resizing.bilinear": (1, 4, 1, 1, 8, 1, 2),
    "layers.resizing.padding": (1, 4, 1, 1, 6, 0, 1),
    "layers.resizing.cropping": (1, 4, 1, 1, 2, 0, 1),
    "layers.dropout.spatial": (0.5, 1, 4),
    "layers.impute": (1, 4, 0),
    "layers.one_hot": (4, 1, 4),
    "layers.embedding.entity": (4, 4, 4, 1, 4),
    "layers.derivatives.seed": 1,
    "layers.derivatives.scaling": 2,
    "layers.derivatives.tanh": (2, 1, 1),
}
WIDTHS = {
    "layers.combine.concatenate": 8,
    "layers.attention": 2,
    "layers.derivatives.seed": 8,
    "layers.pooling.max_pooling": 2,
    "layers.pooling.average_pooling": 2,
    "layers.resizing.upsampling": 8,
    "layers.resizing.bilinear": 8,
    "layers.resizing.padding": 6,
    "layers.resizing.cropping": 2,
}


def written_by(factory, setting, n_out, monkeypatch):
    """What an entry writes when it runs: names of tensors, "scratch", "gradient", or flat vectors."""
    memory = Memory(np.float32)
    rng = np.random.default_rng(0)
    for name in ("workspace", "parameters", "rows_gradient", "scratch"):
        memory.put(name, rng.uniform(1, 2, 400).astype(np.float32))
    memory.vectors["constants"][...] = 1
    memory.op.settings[:] = np.resize(setting, memory.op.settings.size)
    memory.op.n_out, memory.net.training = n_out, 1
    for name, offset in OFFSETS.items():
        memory.op[name] = offset
    memory.op.parameters[:] = 50 * np.arange(memory.op.parameters.size)
    before = {name: vector.copy() for name, vector in memory.vectors.items()}
    memory.run(factory, monkeypatch)
    changed = {name: np.flatnonzero(vector != before[name]) for name, vector in memory.vectors.items()}
    found = {name for name, at in OFFSETS.items() if ((changed["workspace"] // 50) == at // 50).any()}
    others = {name for name, places in changed.items() if places.size and name != "workspace"}
    return found | {"gradient" if name == "rows_gradient" else name for name in others}


# Products call another entry: what they write is tested with it, in `test_dense`.
ALONE = [name for name, factory in DECLARED.items() if "product" not in signature(factory)]


@pytest.mark.parametrize("name", ALONE)
def test_a_kernel_writes_what_it_declares_and_nothing_else(name, monkeypatch):
    factory, op = DECLARED[name], name.rpartition(".")[0]
    written = written_by(factory, SETTINGS.get(op, 4), WIDTHS.get(op, 4), monkeypatch)
    own = {array for array in factory.writes if array not in OFFSETS}
    gradients = {array for array in own if array.startswith("d")}
    expected = {*factory.writes} - own
    assert written == expected | ({"gradient"} if gradients else set()) | (
        {"scratch"} if own - gradients else set()
    )


def test_declarations_are_found():
    assert {"layers.scaling.forward_entry", "layers.one_hot.backward_input_entry"} <= set(ALONE)
    kinds = ("layers.dense", "layers.recurrent.simple_rnn", "layers.derivatives.dense")
    expected = {f"{kind}.{name}_entry" for kind in kinds for name in ("forward", "backward_input")}
    assert {*DECLARED} - {*ALONE} == expected | {"layers.derivatives.dense.backward_weights_entry"}
