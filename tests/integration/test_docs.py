"""Runs the code of README.md and of the pages in docs/; `doc_blocks` says what a comment asks for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.doc_blocks import (
    ARCHITECTURE,
    DOCS,
    GUIDES,
    README,
    ROOT,
    SITE,
    TASKS,
    blocks,
    commented,
    read,
)

pytestmark = pytest.mark.slow

CHECKS = dict(commented("check:"))


@pytest.mark.parametrize("path", DOCS)
def test_every_block_and_comment_is_read(path):
    fences = re.findall("^```", read(path), re.MULTILINE)
    comments = re.findall(r"^<!-- (?!bench\.compare: )(.*) -->$", read(path), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(path))
    assert comments == [block.comment for block in blocks(path) if block.comment]


def test_blocks_are_found():
    assert sum(block.language == "python" for block in blocks(TASKS)) >= 15
    assert not any(block.comment for block in [*README, *blocks(TASKS)])  # all are run
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert {path for path in pages if "```python" in read(path)} <= set(DOCS)
    assert list(CHECKS) == ["activation", "loss", "optimizer", "layer"]
    assert len(commented("add to")) >= 2 * len(CHECKS) + 1
    # On the page for newcomers nothing is shown that is not run.
    assert all(block.comment for block in ARCHITECTURE if block.language == "python")
    assert not commented("not run")


# What the code of a section of the guide by task leaves behind.
RESULTS = {
    "Classify": lambda n: np.mean(n["classes"] == n["y"]) > 0.95 and n["probabilities"].shape == (1797, 10),
    "Regress": lambda n: n["precise"].evaluate(n["inputs"], n["wave"])["loss"] < 1e-4,
    "Branches and shapes": lambda n: n["model"].evaluate(n["X"][1350:], n["y"][1350:])["accuracy"] > 0.9,
    "Images": lambda n: n["model"].evaluate(n["X"][1350:], n["y"][1350:])["accuracy"] > 0.9,
    "Sequences": lambda n: n["model"].evaluate(n["X"], n["y"])["loss"] < 0.5 * n["y"].var(),
    "Tune": lambda n: (
        n["model"].state.step == 20 * 57
        and n["together"].evaluate(n["X"][1500:], n["y"][1500:])["accuracy"] > 0.93
        and n["search"].best_score_ > 0.9
    ),
    "Deploy": lambda n: (
        fn.load("digits.safetensors").state.step == 20 * 57
        and Path("digits.onnx").stat().st_size > 4 * 64 * 64
        and "digits_predict" in Path("digits.h").read_text(encoding="ascii")
    ),
    "Embed": lambda n: (
        n["hidden"].shape == (2, 5)
        and n["features"].shape == (2, 64)
        and n["gradient"].shape == n["start"].shape
    ),
}


def sections(path):
    """The Python code of each section, by its heading."""
    lines, found = read(path).splitlines(), {}
    for block in blocks(path):
        if block.language == "python":
            heading = next(line for line in reversed(lines[: block.line - 1]) if re.match("#+ ", line))
            found.setdefault(heading.lstrip("# "), []).append(block)
    return found


def test_every_section_of_the_guide_by_task_has_a_result():
    assert list(sections(TASKS)) == list(RESULTS)


@pytest.mark.parametrize("name", RESULTS)
def test_a_section_of_the_guide_by_task_runs_alone(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "tasks"}
    for block in sections(TASKS)[name]:
        block.run(namespace)
    assert RESULTS[name](namespace)


def test_the_first_example_runs():
    namespace = {"__name__": "readme"}
    README[0].run(namespace)
    accuracy = namespace["model"].evaluate(namespace["X"][1350:], namespace["y"][1350:])["accuracy"]
    assert 0.97 < accuracy < 0.99


@pytest.mark.parametrize("path", [*GUIDES, *(pytest.param(path, marks=pytest.mark.sweep) for path in SITE)])
def test_guide(path, tmp_path, monkeypatch):
    if path == "docs/streams.md":
        pytest.importorskip("river", reason="the extra `river` is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    namespace = {"__name__": "guide"}
    run = [block for block in blocks(path) if block.language == "python" and block.comment != "not run"]
    assert run
    for block in run:
        block.run(namespace)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def test_the_first_example_has_about_ten_lines():
    assert len(README[0].code.splitlines()) <= 12


def test_the_benchmarks_have_a_place_for_the_table():
    marks = re.findall(r"^<!-- bench\.compare: (\w+) -->$", read("bench/README.md"), re.MULTILINE)
    assert marks == ["begin", "end"]


def test_a_block_prints_what_the_next_one_shows(capsys):
    found = commented("prints the next block")
    assert len(found) == 1
    for _, block in found:
        block.run({"__name__": "architecture"})
        shown = ARCHITECTURE[ARCHITECTURE.index(block) + 1]
        assert capsys.readouterr().out == shown.code, f"{shown.path}, line {shown.line}"


# ---- The worked examples, in a copy of the sources -----------------------------------------------------


# The statement that makes a dictionary out of a tuple of names, up to the last of these.
TABLE = re.compile(r"^(TABLE\b[^=\n]*= \{.*? in \([^()]*\w),?\s*\)", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the sources to which the worked examples are added as the page says."""
    root = tmp_path_factory.mktemp("copy")
    for folder, place in [("fastnn", "fastnn"), ("kernels", "fastnn/kernels")]:
        shutil.copytree(ROOT / folder, root / place, ignore=shutil.ignore_patterns("__pycache__"))

    def in_copy(name):
        return root / (f"fastnn/{name}" if name.startswith("kernels/") else name)

    for where, block in commented("replace in"):
        name, line = where.split(": ", 1)
        lines = in_copy(name).read_text(encoding="utf-8").splitlines()
        assert lines.count(line) == 1, f"{name} does not have the line {line!r} once"
        lines[lines.index(line)] = block.code.rstrip("\n")
        in_copy(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for where, block in commented("add to"):
        name, entry = re.fullmatch(r"(\S+?)(?:, and (\w+) to its TABLE)?", where).groups()
        if entry:
            text = in_copy(name).read_text(encoding="utf-8")
            [table] = TABLE.finditer(text)
            text = f"{text[: table.start()]}{block.code}\n\n{table[1]}, {entry}{text[table.end(1) :]}"
            in_copy(name).write_text(text, encoding="utf-8")
        else:
            with in_copy(name).open("a", encoding="utf-8") as file:
                file.write("\n\n" + block.code if file.tell() else block.code)
    return root


@pytest.mark.sweep
@pytest.mark.parametrize("example", CHECKS)
def test_worked_example(example, copy):
    script = copy / f"check_{example}.py"
    script.write_text(CHECKS[example].code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=copy,
        env={**os.environ, "FASTNN_CACHE_DIR": str(copy / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_the_examples_would_find_a_wrong_gradient():
    namespace = {}
    dict(commented("add to"))["gradient_check.py"].run(namespace)

    class Parabola:
        parameters = np.array([1.0, 2.0])
        slope = 2.0

        def loss_and_gradient(self, X, y):
            return np.sum(self.parameters**2), self.slope * self.parameters

    model = Parabola()
    namespace["check_gradient"](model, None, None)
    model.slope = 2.00001
    with pytest.raises(AssertionError):
        namespace["check_gradient"](model, None, None)
