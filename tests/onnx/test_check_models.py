"""The program that counts how many files of a folder load and give what ONNX Runtime gives."""

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HEAD = '<ir_version: 8, opset_import: ["" : 20]>\ng (float[batch, 3] x) => ({outputs}) {{ {body} }}'
OUTPUT = "float[batch, 3] y"
FILES = {
    "right": (OUTPUT, "y = Relu(x)"),
    "folder/right": (OUTPUT, "y = Softmax(x)"),
    "chosen": (f"{OUTPUT}, float[batch, 3] z", "y = Relu(x) z = Tanh(x)"),
    "refused": (OUTPUT, "y = Round(x)"),
}


def counts(folder, patch="", *options):
    """What the program prints of a folder, its lines without spaces around."""
    program = f"import sys, os, time\nimport tools.check_models as program\n{patch}\nprogram.main()"
    command = [sys.executable, "-c", program, str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [line.strip() for line in done.stdout.splitlines()]


@pytest.fixture
def folder(tmp_path):
    for name, (outputs, body) in FILES.items():
        path = tmp_path / f"{name}.onnx"
        path.parent.mkdir(exist_ok=True)
        onnx.save(onnx.parser.parse_model(HEAD.format(outputs=outputs, body=body)), path)
    (tmp_path / "damaged.onnx").write_bytes(b"\x08" * 1000)
    (tmp_path / "other.txt").write_text("no model")
    return tmp_path


def test_counts_and_reasons(folder):
    lines = counts(folder, "", "--each")
    assert "5 files" in lines
    wanted = [
        "2 right",
        "1 right with output=",
        "0 loads, not compared",
        "0 wrong",
        "2 refused",
        "0 crashed",
    ]
    assert lines[lines.index("5 files") + 1 :][: len(wanted)] == wanted
    assert "1 the operator Round is not supported" in lines
    assert "chosen.onnx\tright with output=\ty: (Activation('relu'),); z: (Activation('tanh'),)" in lines


WRONG = "program.fn.onnx.load = lambda path, output=None: program.fn.Model([program.fn.Dense(3)]).build(3)"


@pytest.mark.parametrize(
    ("patch", "line"),
    [
        (WRONG, "5 wrong"),
        ("program.fn.onnx.load = lambda path: os.abort()", "5 SIGABRT"),
        (
            "program.fn.onnx.load = lambda path: time.sleep(60)\nprogram.SECONDS = 1",
            "5 it took more than # s",
        ),
        ("program.fn.onnx.load = lambda path: 1 / 0", "5 ZeroDivisionError: division by zero"),
    ],
    ids=["wrong", "crash", "hang", "error"],
)
def test_files_that_would_end_it(folder, patch, line):
    (folder / "damaged.onnx").write_bytes((folder / "right.onnx").read_bytes())
    assert line in counts(folder, patch)
