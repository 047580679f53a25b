"""C files: what is in them, their names, what is refused, and the command."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn as fn
from fastnn.__main__ import main
from fastnn.c.compiler import WARNINGS
from fastnn.c.export import TOLERANCE
from fastnn.c.names import KEYWORDS, checked_prefix
from tests.helpers.c_files import (
    C,
    agrees,
    compiled,
    dense_model,
    predict,
    require,
    selftest,
)
from tests.helpers.doc_blocks import blocks

DTYPES = ["float32", "float64"]


def test_file_needs_nothing(tmp_path):
    """No library, no variables that change, no functions beside those that it promises."""
    written = dense_model().to_c(tmp_path / "net.h")
    text = (tmp_path / "net.h").read_text()
    assert set(re.findall(r"#include (\S+)", text)) == {
        "<limits.h>", "<stddef.h>", "<stdint.h>", "<string.h>", "<math.h>",
    }  # fmt: skip
    assert "MIT License" in text and f"fastnn {fn.__version__}" in text
    require("gcc")
    command = [
        "gcc",
        "-std=c99",
        "-O2",
        "-DNET_API=",
        "-c",
        "-x",
        "c",
        written.paths[0],
        "-o",
        str(tmp_path / "o"),
    ]
    subprocess.run(command, check=True)
    symbols = subprocess.run(["nm", str(tmp_path / "o")], check=True, capture_output=True, text=True).stdout
    kinds = {line.split()[-1]: line.split()[-2] for line in symbols.splitlines()}
    assert {name for name, kind in kinds.items() if kind == "T"} == {"net_predict", "net_selftest"}
    assert {name for name, kind in kinds.items() if kind == "U"} <= {"memcpy", "memset"}
    assert not {kind for kind in kinds.values()} & set("BbDdC")


def test_the_first_comment_is_a_table_of_the_layers(tmp_path):
    layers = [fn.MinMax(), fn.Dense(64, "relu"), fn.Dense(10)]
    model = fn.Model(layers, seed=0).adapt([[0.0, 1.0], [2.0, 3.0]]).build(2)
    model.to_c(tmp_path / "net.h")
    lines = (tmp_path / "net.h").read_text().splitlines()[3:7]
    assert [line.split()[-1] for line in lines] == ["(2,)", "(2,)", "(64,)", "(10,)"]
    assert len({line.rindex("(") for line in lines}) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_are_exact(dtype, tmp_path):
    model = fn.Model([fn.Dense(1, use_bias=False)], dtype=dtype, seed=0).build(5)
    model.parameters[...] = np.array([np.pi, -1e-40, 3e38, 0.1, -np.finfo(dtype).smallest_subnormal], dtype)
    model.to_c(tmp_path / "net.h", samples=np.zeros((1, 5)))
    text = (tmp_path / "net.h").read_text()
    [body] = re.findall(r"net_weights\[\d+\] NET_ALIGNED = \{(.*?)\}", text, re.DOTALL)
    numbers = [float.fromhex(word.strip().rstrip("f")) for word in body.split(",") if word.strip()]
    assert np.array(numbers, dtype)[1:6].tobytes() == model.parameters.tobytes()  # behind the bias
    assert ("f," in body) == (dtype == "float32")


def test_the_program_of_the_page(tmp_path):
    """The C program of docs/deploy.md compiles, and runs."""
    require("gcc")
    program, _ = [block.code for block in blocks("docs/deploy.md") if block.language == "c"]
    fn.Model([fn.Dense(3)], "cross_entropy", seed=0).build(4).to_c(tmp_path / "digits.h")
    (tmp_path / "main.c").write_text(program)
    command = [*C["gcc"], *WARNINGS, "-O1", "main.c", "-o", "main"]
    subprocess.run(command, check=True, cwd=tmp_path)
    out = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(r"[-\d.e]+, error [\d.e-]+\n", out)


@settings(max_examples=100)
@given(
    st.text(max_size=12)
    | st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,50}\Z")
    | st.sampled_from(sorted(KEYWORDS))
)
def test_prefixes(text):
    """What is taken makes good names; anything else is refused with its text."""
    try:
        assert checked_prefix(text, "x.h") == text
    except ValueError as error:
        assert repr(text) in str(error)
        assert (
            text in KEYWORDS or "_" in text or len(text) > 40 or not (text.isascii() and text.isidentifier())
        )
    else:
        assert text.isascii() and text.isidentifier() and text not in KEYWORDS and len(text) <= 40


def test_names_in_one_program(tmp_path):
    """Prefixes that C has uses for, and layers whose paths are long, stand side by side."""
    model = fn.Model([fn.Sequential([fn.Residual([fn.Dense(3, "softmax"), fn.Dense(3)])])], seed=0).build(3)
    names = [
        "a",
        "exp",
        "float32",
        "main",
        "NULL",
        "net1",
        "net_1",
        "x",
        "y",
        "w",
        "scratch",
        "size",
        "printf",
    ]
    written = [model.to_c(tmp_path / f"{name}.h") for name in names]
    written.append(model.to_c(tmp_path / "my net (2).h", prefix="Other"))
    library, x = compiled(tmp_path, written), np.ones((2, 3))
    for each in written:
        agrees(predict(library, each, model, x), model.predict(x), "float32")
    assert written[-1].prefix == "Other"


@pytest.mark.parametrize(
    ("path", "prefix", "message"),
    [
        ("net.h", "2nd", "prefix '2nd' is not an identifier of C"),
        ("net.h", "while", "prefix 'while' is a word of C or C"),
        ("net.h", "_net", "begins or ends with an underscore"),
        ("net.h", "n" * 41, "has 41 characters, at most 40"),
        ("my-net.h", None, "the file's name, 'my-net', is not an identifier of C; give prefix="),
        ("int.h", None, "the file's name, 'int', is a word of C or C"),
    ],
)
def test_bad_prefixes(path, prefix, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        dense_model().to_c(tmp_path / path, prefix=prefix)
    with pytest.raises(TypeError, match="prefix must be a string, got 3"):
        dense_model().to_c(tmp_path / "net.h", prefix=3)
    assert not list(tmp_path.iterdir())


def unbuilt():
    return fn.Model([fn.Dense(2)])


def not_adapted():
    return fn.Model([fn.Standardize(), fn.Dense(2)]).build(3)


def of_text():
    return fn.Model([fn.OneHot(categories=[["a", "b"]]), fn.Dense(2)]).build(1)


class Twice(fn.Layer):
    kind = "twice"

    def lower(self, graph, *inputs):
        return graph.op("layers.combine.add", [inputs[0], inputs[0]], inputs[0].shape)

    def __repr__(self):
        return "Twice()"


def of_another_kind():
    return fn.Model([fn.Dense(3), fn.Residual(Twice())]).build(2)


def derivatives():
    return fn.Model([fn.Dense(3, "tanh"), fn.Derivatives([0])]).build(2)


def user_defined():
    try:
        own = fn.register_activation(lambda x: x * x, lambda x: 2 * x, "square_in_c")
    except ValueError:  # registered by an earlier test
        own = "square_in_c"
    return fn.Model([fn.Dense(2, own)]).build(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (of_another_kind, r"layer 1.body, Twice\(\), cannot be written as C; what can is Activation, .*"),
        (derivatives, r"layer 1, Derivatives\(.*\), cannot be written as C"),
        (unbuilt, "not built"),
        (not_adapted, r"Standardize\(\) is not adapted to data yet"),
        (of_text, "layer 0, OneHot, has categories that are text"),
        (user_defined, "layer 0: the activation 'square_in_c' is user-defined"),
    ],
)
def test_models_that_cannot_be_written(make, message, tmp_path):
    (tmp_path / "net.h").write_text("old")
    with pytest.raises(ValueError, match=message):
        make().to_c(tmp_path / "net.h")
    assert [path.name for path in tmp_path.iterdir()] == ["net.h"]
    assert (tmp_path / "net.h").read_text() == "old"


def test_bad_arguments(tmp_path):
    model, path = dense_model(), tmp_path / "net.h"
    with pytest.raises(ValueError, match="weights must be 'static' or 'separate', got 'heap'"):
        model.to_c(path, weights="heap")
    with pytest.raises(ValueError, match="quantize must be None or 'int8', got 'int4'"):
        model.to_c(path, quantize="int4")
    with pytest.raises(ValueError, match="leave weights at 'static'"):
        model.to_c(path, quantize="int8", weights="separate")
    with pytest.raises(TypeError, match="check must be True or False, got 1"):
        model.to_c(path, check=1)
    with pytest.raises(ValueError, match="4"):
        model.to_c(path, samples=np.ones((2, 5)))
    with pytest.raises(ValueError, match="nan|NaN"):
        model.to_c(path, samples=np.full((2, 4), np.nan))
    with pytest.raises(OSError, match="there is no folder"):
        model.to_c(tmp_path / "missing" / "net.h")
    assert not list(tmp_path.iterdir())


def test_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(RuntimeError, match=r"needs a C compiler, and none was found: CC=no-such-compiler"):
        dense_model().to_c(tmp_path / "net.h", check=True)
    assert not list(tmp_path.iterdir())


def test_a_failing_compiler_and_a_wrong_file(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", f"{sys.executable} -c raise_SystemExit(3)")
    with pytest.raises(RuntimeError, match="failed"):
        dense_model().to_c(tmp_path / "net.h", check=True)
    monkeypatch.delenv("CC")
    monkeypatch.setattr("fastnn.c.compiler.WARNINGS", ("-DNET_H",))  # the file is empty then
    with pytest.raises(RuntimeError, match="failed"):
        dense_model().to_c(tmp_path / "net.h", check=True)
    assert not list(tmp_path.iterdir())


def test_selftest_notices_another_weight(tmp_path):
    model = dense_model()
    written = model.to_c(tmp_path / "net.h")
    text = (tmp_path / "net.h").read_text()
    first = re.search(r"0x1\.[0-9a-f]+p-[34]f", text)[0]
    (tmp_path / "net.h").write_text(text.replace(first, f"2.0f * {first}", 1))
    assert selftest(compiled(tmp_path, [written]), written, model) > TOLERANCE["float32"]


def test_command(tmp_path, capsys, monkeypatch):
    require("gcc")
    dense_model().save(tmp_path / "model.safetensors")
    assert (
        main(["export-c", str(tmp_path / "model.safetensors"), str(tmp_path / "net.h"), "--prefix", "own"])
        == 0
    )
    out = capsys.readouterr().out
    assert re.search(r"net\.h: \d+ bytes, .*\n[\d.e-]+ us a call, error [\d.e-]+ \(.*\)\n", out), out
    assert "own_predict" in (tmp_path / "net.h").read_text()
    monkeypatch.setenv("CC", "no-such-compiler")
    assert main(["export-c", str(tmp_path / "model.safetensors"), str(tmp_path / "more.h")]) == 0
    assert "will not be checked" in capsys.readouterr().err and os.path.exists(tmp_path / "more.h")
    assert main(["export-c", str(tmp_path / "none.safetensors"), str(tmp_path / "net.h")]) == 1
    assert "none.safetensors" in capsys.readouterr().err
