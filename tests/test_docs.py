"""Runs the code of README.md and docs/architecture.md, and looks up the names that they use.

A comment in the line before a code block says what is done with it:

- ``<!-- not run -->``: nothing;
- ``<!-- prints the next block -->``: it is run, and prints what the block after it shows;
- ``<!-- add to FILE -->``: it is added to the end of a file in a copy of the sources;
- ``<!-- add to FILE, and NAME to its TABLE -->``: there above the statement ``TABLE = ...``;
- ``<!-- replace in FILE: LINE -->``: it takes the place of that line there;
- ``<!-- check: NAME -->``: it is run there, after all of those.
"""

import ast
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import fastnn as fn
import fastnn.kernels
from fastnn.kernels import descriptor, oprow

ROOT = Path(__file__).parents[1]
# Pages for users: their code is run from top to bottom.
GUIDES = [
    "docs/scikit_learn.md",
    "docs/data_and_pictures.md",
    "docs/files_and_formats.md",
    "docs/compiled_code.md",
    "docs/many_networks.md",
]
DOCS = ["README.md", "docs/architecture.md", *GUIDES, "docs/what_you_can_rely_on.md"]
COMMENT = r"^<!-- (not run|prints the next block|(?:add to|replace in|check:) [^\n]+) -->$"
BLOCK = re.compile(rf"(?:{COMMENT}\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    path: str
    line: int
    comment: str
    language: str
    code: str

    def run(self, namespace):
        """Run as a part of its page, so that an error shows its line there."""
        source = "\n" * (self.line - 1) + self.code
        exec(compile(source, self.path, "exec"), namespace)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(path):
    text = read(path)
    return [
        Block(path, text.count("\n", 0, found.start(3)) + 1, found[1] or "", found[2], found[3])
        for found in BLOCK.finditer(text)
    ]


README, ARCHITECTURE = (blocks(path) for path in DOCS[:2])


def commented(instruction):
    """Blocks of the architecture by the rest of a comment that begins so."""
    found = [block for block in ARCHITECTURE if block.comment.startswith(instruction)]
    return [(block.comment.removeprefix(instruction).strip(), block) for block in found]


CHECKS = dict(commented("check:"))


@pytest.mark.parametrize("path", DOCS)
def test_every_block_and_comment_is_read(path):
    fences = re.findall("^```", read(path), re.MULTILINE)
    comments = re.findall(r"^<!-- (?!bench\.compare: )(.*) -->$", read(path), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(path))
    assert comments == [block.comment for block in blocks(path) if block.comment]


def test_blocks_are_found():
    assert sum(block.language == "python" for block in README) >= 15
    assert not any(block.comment for block in README)  # all are run
    assert list(CHECKS) == ["activation", "loss", "optimizer", "layer"]
    assert len(commented("add to")) >= 2 * len(CHECKS) + 1
    # On the page for newcomers nothing is shown that is not run.
    assert all(block.comment for block in ARCHITECTURE if block.language == "python")
    assert not commented("not run")


def test_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    models = []
    for block in README:
        if block.language == "python":
            block.run(namespace)
            models.append(namespace["model"])
    X, y = namespace["X"], namespace["y"]
    assert 0.97 < models[0].evaluate(X[1350:] / 16, y[1350:])["accuracy"] < 0.99
    assert np.mean(namespace["classes"] == y) > 0.95
    np.testing.assert_allclose(namespace["probabilities"].sum(axis=1), 1, rtol=1e-5)
    assert namespace["precise"].evaluate(namespace["inputs"], namespace["wave"])["loss"] < 1e-4
    assert namespace["together"].evaluate(X[1500:], y[1500:])["accuracy"] > 0.93
    assert namespace["search"].best_score_ > 0.9
    assert Path("digits.onnx").stat().st_size > 4 * 64 * 64
    assert fn.load("digits.safetensors").state.step == 20 * 57
    assert namespace["hidden"].shape == (2, 5)
    assert namespace["features"].shape == (1797, 64)
    assert namespace["gradient"].shape == namespace["start"].shape
    assert "parameters in all" in capsys.readouterr().out


@pytest.mark.parametrize("path", GUIDES)
def test_guide(path, tmp_path, monkeypatch):
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


def test_readme_has_a_place_for_the_benchmarks():
    marks = re.findall(r"^<!-- bench\.compare: (\w+) -->$", read("README.md"), re.MULTILINE)
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


# ---- Names ---------------------------------------------------------------------------------------------

MODULES = {
    info.name: importlib.import_module(f"{package.__name__}.{info.name}")
    for package in (fastnn.kernels, fn)
    for info in pkgutil.iter_modules(package.__path__)
    if info.name != "kernels"
}
CLASSES = {
    name: value
    for module in MODULES.values()
    for name, value in vars(module).items()
    if isinstance(value, type)
}
# What a dotted name may begin with; a module of fastnn goes before one of kernels of the same name.
STARTS = {**CLASSES, **MODULES, "fn": fn, "fastnn": fn, "kernels": fastnn.kernels, "net": fn.Network}
CAPITALS = set(vars(descriptor)) | set(vars(oprow)) | {"TABLE", *fn.Status.__members__}
CAPITALS |= {"FASTNN_CACHE_DIR", "FASTNN_OBJECTS_ONLY"}


def set_in_methods(kind):
    """Attributes that the module of a class sets on anything, such as `self`."""
    tree = ast.parse(Path(sys.modules[kind.__module__].__file__).read_text(encoding="utf-8"))
    stored = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in stored if isinstance(node.ctx, ast.Store)}


def is_name(dotted):
    first, *rest = dotted.split(".")
    place = STARTS.get(first)
    for i, name in enumerate(rest):
        if isinstance(place, type) and not hasattr(place, name):
            return i == len(rest) - 1 and name in {*place.__annotations__, *set_in_methods(place)}
        place = getattr(place, name, None)
    return place is not None


def is_file(path):
    return (ROOT / path).exists() or path in dict(commented("add to"))


def is_make_target(command):
    return re.search(rf"^{command.split()[1]}:", read("Makefile"), re.MULTILINE) is not None


def is_program(command):
    program = re.match(r"python (-m )?(\S+)", command)
    if not program[1]:
        return is_file(program[2])
    path = program[2].replace(".", "/")
    return is_file(f"{path}.py") or is_file(f"{path}/__main__.py")


def is_test(name):
    path, function = name.split("::")
    return is_file(path) and f"\ndef {function}(" in read(path)


# Kinds of names: how they look, and whether one exists.
KINDS = {
    "test": (r"tests/[\w/]+\.py::\w+", is_test),
    "file": (r"[\w./-]+(\.(py|md|toml)|/)", is_file),
    "target": (r"make \w+", is_make_target),
    "program": (r"python (-m )?[\w./]+( .*)?", is_program),
    "name": (r"[A-Za-z_]\w*(\.\w+)+", is_name),
    "capitals": (r"[A-Z][A-Z_]+", CAPITALS.__contains__),
}


def names(path):
    """What stands between backticks outside of code blocks, or alone in an indented line: (kind, name)."""
    text = BLOCK.sub("", read(path))
    spans = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^    (make \w+)", text, re.MULTILINE)
    return [(kind, span) for span in spans for kind, (form, _) in KINDS.items() if re.fullmatch(form, span)]


def names_of_fastnn(path):
    """All names in `fn` and `fastnn` that the text uses, in calls and tables too."""
    return re.findall(r"\b((?:fn|fastnn)(?:\.[A-Za-z]\w*)+)", BLOCK.sub("", read(path)))


@pytest.mark.parametrize("path, least", [("README.md", 50), ("docs/scikit_learn.md", 4)])
def test_names_of_fastnn_exist(path, least):
    found = names_of_fastnn(path)
    assert len(found) >= least
    assert [name for name in found if not is_name(name)] == []


def test_tables_of_names_have_two_columns():
    text = read("README.md")
    for peer in ("scikit-learn", "PyTorch", "Keras"):
        table = text.split(f"## Coming from {peer}\n")[1].split("\n## ")[0]
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert rows[0] == f"| {peer} | fastnn |" and len(rows) > 12
        assert all(line.count(" | ") == 1 for line in rows[2:])


def exists(kind, name):
    return bool(KINDS[kind][1](name))


@pytest.mark.parametrize(
    "path, least",
    [
        ("README.md", {"file": 5, "target": 3, "program": 2, "name": 1}),
        ("docs/architecture.md", {"file": 40, "name": 60, "capitals": 20}),
        ("docs/data_and_pictures.md", {"file": 5, "name": 8}),
        ("docs/files_and_formats.md", {"file": 6, "name": 10}),
        ("docs/compiled_code.md", {"file": 2, "program": 2, "name": 10}),
        ("docs/many_networks.md", {"program": 3, "name": 5}),
        ("docs/scikit_learn.md", {"file": 2, "name": 4}),
        ("docs/what_you_can_rely_on.md", {"file": 10, "target": 1}),
    ],
)
def test_names_exist(path, least):
    found = names(path)
    assert Counter(kind for kind, _ in found) >= Counter(least)
    assert [name for kind, name in found if not exists(kind, name)] == []


@pytest.mark.parametrize(
    "kind, name",
    [
        ("file", "kernels/nowhere.py"),
        ("file", "tests/nothing/"),
        ("test", "tests/test_docs.py::test_nothing"),
        ("test", "tests/test_nothing.py::test_names_exist"),
        ("target", "make coffee"),
        ("program", "python -m bench.nothing"),
        ("program", "python examples/nothing.py"),
        ("name", "Model.fitt"),
        ("name", "nothing.fit"),
        ("name", "kernels.dense.sideways"),
        ("capitals", "NO_SUCH_SLOT"),
    ],
)
def test_a_name_that_leads_nowhere_is_found(kind, name):
    assert re.fullmatch(KINDS[kind][0], name)
    assert not exists(kind, name)


@pytest.mark.parametrize("path", DOCS)
def test_links_lead_to_files(path):
    targets = re.findall(r"\]\(([^)#]+)\)", BLOCK.sub("", read(path)))
    assert targets
    assert [target for target in targets if not (ROOT / path).parent.joinpath(target).exists()] == []


@pytest.mark.parametrize("folder", ["fastnn", "kernels"])
def test_the_architecture_names_every_source_file(folder):
    sources = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
    named = {Path(name).name for kind, name in names("docs/architecture.md") if name.startswith(f"{folder}/")}
    assert sources - named == set()
