"""Looks up the names, files and links that README.md and the pages of docs/ use."""

import ast
import importlib
import pkgutil
import re
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastnn as fn
import fastnn.kernels
from fastnn.kernels.abi import descriptor, oprow
from tests.helpers.defining_module import defining_module
from tests.helpers.doc_blocks import BLOCK, DOCS, ROOT, SITE, commented, read

NEEDS = {"river": "fastnn.river", "tornado": "fastnn.playground.server"}
MISSING = tuple(name for package, name in NEEDS.items() if importlib.util.find_spec(package) is None)
# Modules by their own names; one of fastnn goes before one of kernels of the same name.
MODULES = {
    info.name.rpartition(".")[2]: importlib.import_module(info.name)
    for prefix, package in (("fastnn.kernels.", fastnn.kernels), ("fastnn.", fn))
    for info in sorted(
        pkgutil.walk_packages(package.__path__, prefix), key=lambda info: -info.name.count(".")
    )
    if not info.name.endswith(("__main__", "fastnn.kernels")) and "__pyinstaller" not in info.name
    if not info.name.startswith(MISSING)
}
CLASSES = {
    name: value
    for module in MODULES.values()
    for name, value in vars(module).items()
    if isinstance(value, type)
}
# What a dotted name may begin with.
STARTS = {**CLASSES, **MODULES, "fn": fn, "fastnn": fn, "kernels": fastnn.kernels}
STARTS["model"] = fn.Model  # not the module
# Records of compiled code; `net` is also what users call a network.
STARTS["op"] = SimpleNamespace(**dict.fromkeys(oprow.OP.names, True))
STARTS["net"] = SimpleNamespace(**dict.fromkeys([*dir(fn.Network), *descriptor.DESCRIPTOR.names], True))
CAPITALS = set(vars(descriptor)) | set(vars(oprow)) | {"TABLE", *fn.Status.__members__}
CAPITALS |= {"FASTNN_CACHE_DIR", "FASTNN_OBJECTS_ONLY", "FASTNN_SHARED_CACHE_DIR", "FASTNN_THREADS"}
CAPITALS |= {"CC", "OMP_NUM_THREADS"}
# Of the C file that docs/deploy.md writes.
CAPITALS |= {f"DIGITS_{name}" for name in ("INPUTS", "OUTPUTS", "SCRATCH", "API", "USE_LIBM", "STEP_INPUTS")}
CAPITALS |= {"LEARNER_LEARNING_RATE"}


# Pages that say what is called what here, and the heads of their tables.
PEERS = {
    "scikit_learn": "scikit-learn",
    "pytorch": "PyTorch",
    "keras": "Keras",
    "jax": "JAX, with Equinox or Flax and Optax",
    "simplechains": "SimpleChains.jl",
    "skorch": "skorch",
}


def set_in_methods(kind):
    """Attributes that the module of a class sets on anything, such as `self`."""
    tree = ast.parse(Path(defining_module(kind).__file__).read_text(encoding="utf-8"))
    stored = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in stored if isinstance(node.ctx, ast.Store)}


def is_name(dotted):
    first, *rest = dotted.split(".")
    if rest[:1] == ["river"] and "fastnn.river" in MISSING:
        return True
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
    extras = re.fullmatch(r"python -m pip install '\.\[([\w,]+)\]'", command)
    if extras:
        known = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
        return set(extras[1].split(",")) <= set(known)
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


@pytest.mark.parametrize(
    "path, least",
    [
        *((f"docs/comparisons/{page}.md", 3) for page in PEERS),
        ("docs/tasks.md", 20),
        ("docs/scikit_learn.md", 4),
    ],
)
def test_names_of_fastnn_exist(path, least):
    found = names_of_fastnn(path)
    assert len(found) >= least
    assert [name for name in found if not is_name(name)] == []


@pytest.mark.parametrize("page, peer", PEERS.items())
def test_tables_of_names_have_two_columns(page, peer):
    rows = [line for line in read(f"docs/comparisons/{page}.md").splitlines() if line.startswith("|")]
    assert rows[0] == f"| {peer} | fastnn |" and len(rows) > 5
    assert all(line.count(" | ") == 1 for line in rows[2:])


def exists(kind, name):
    return bool(KINDS[kind][1](name))


@pytest.mark.parametrize(
    "path, least",
    [
        ("README.md", {"target": 3, "program": 2, "name": 1}),
        ("docs/tasks.md", {"name": 1}),
        ("docs/examples.md", {"file": 4, "program": 1}),
        ("docs/start/install.md", {"target": 1, "program": 3}),
        ("docs/faq.md", {"program": 2, "name": 2}),
        ("docs/architecture.md", {"file": 40, "name": 120}),
        ("docs/data_and_pictures.md", {"file": 5, "name": 8}),
        ("docs/files_and_formats.md", {"file": 6, "name": 10}),
        ("docs/deploy.md", {"name": 5}),
        ("docs/compiled_code.md", {"file": 2, "program": 2, "name": 10}),
        ("docs/many_networks.md", {"program": 3, "name": 5}),
        ("docs/callbacks.md", {"file": 4, "name": 10}),
        ("docs/scikit_learn.md", {"file": 2, "name": 4}),
        ("docs/streams.md", {"file": 3, "name": 5}),
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
        ("test", "tests/integration/test_docs.py::test_nothing"),
        ("test", "tests/test_nothing.py::test_names_exist"),
        ("target", "make coffee"),
        ("program", "python -m bench.nothing"),
        ("program", "python examples/nothing.py"),
        ("program", "python -m pip install '.[plot,nothing]'"),
        ("name", "Model.fitt"),
        ("name", "nothing.fit"),
        ("name", "kernels.layers.dense.sideways"),
        ("capitals", "NO_SUCH_CONSTANT"),
        ("name", "op.no_such_field"),
        ("name", "net.no_such_field"),
    ],
)
def test_a_name_that_leads_nowhere_is_found(kind, name):
    assert re.fullmatch(KINDS[kind][0], name)
    assert not exists(kind, name)


@pytest.mark.parametrize(
    "path", [*DOCS, "bench/README.md", *(f"docs/comparisons/{page}.md" for page in PEERS)]
)
def test_links_lead_to_files(path):
    targets = re.findall(r"\]\(([^)#]+)\)", BLOCK.sub("", read(path)))
    assert targets or path in SITE
    assert [target for target in targets if not (ROOT / path).parent.joinpath(target).exists()] == []


@pytest.mark.parametrize("folder", ["fastnn", "kernels"])
def test_the_architecture_names_every_source_file(folder):
    sources = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
    named = {Path(name).name for kind, name in names("docs/architecture.md") if name.startswith(f"{folder}/")}
    assert sources - named == set()
