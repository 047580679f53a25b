"""The site has a page for every public name, and knows names of other projects and its own versions."""

import importlib
import json
import re
import zlib
from pathlib import Path

import pytest

import fastnn as fn
from tools.inventories import names_and_roles, trimmed

DOCS = Path(__file__).parents[2] / "docs"
TABLE = re.compile(
    r"^\.\. currentmodule:: (\S+)\n\n\.\. autosummary::\n((?:   .*\n)+)\n((?:   \S+\n)+)", re.MULTILINE
)
# Modules of what a model takes by name, and those that need an extra.
MODULES = [
    "activations",
    "data",
    "datasets",
    "explain",
    "initializers",
    "losses",
    "plot",
    "schedules",
    "uncertainty",
]
EXTRAS = ["onnx", "river", "scipy", "sklearn"]


def described():
    """Return ``module.name`` of all that the tables of docs/api/ list."""
    return [
        f"{module}.{name}"
        for page in sorted((DOCS / "api").glob("*.md"))
        for module, _, names in TABLE.findall(page.read_text(encoding="utf-8"))
        for name in names.split()
    ]


def test_every_public_name_has_a_page():
    names = {f"fastnn.{name}" for name in fn.__all__} - {f"fastnn.{name}" for name in MODULES}
    names -= {"fastnn.callbacks", "fastnn.metrics", "fastnn.optimizers"}
    for module in MODULES:
        names |= {f"fastnn.{module}.{name}" for name in getattr(fn, module).__all__}
    for module in ("callbacks", "metrics", "optimizers"):  # most of which `fastnn` names too
        names |= {f"fastnn.{module}.{name}" for name in getattr(fn, module).__all__ if not hasattr(fn, name)}
    found = described()
    assert len(found) == len(set(found))
    assert {name for name in found if name.split(".")[1] not in EXTRAS} == names


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_name_of_an_extra_has_a_page(extra):
    pytest.importorskip(
        {"river": "river", "onnx": "onnx"}.get(extra, "scipy"), reason=f"the extra `{extra}` is missing"
    )
    module = importlib.import_module(f"fastnn.{extra}")
    assert {f"fastnn.{extra}.{name}" for name in module.__all__} == {
        name for name in described() if name.split(".")[1] == extra
    }


def test_the_first_page_of_the_api_lists_all_others():
    pages = {page.stem for page in (DOCS / "api").glob("*.md")} - {"index"}
    text = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    [listed] = re.findall(r"^:::\{toctree\}\n.*\n\n((?:\w+\n)+):::$", text, re.MULTILINE)
    assert set(listed.split()) == pages


@pytest.mark.parametrize("file", sorted((DOCS / "inventories").glob("*.txt")), ids=lambda file: file.stem)
def test_names_of_other_projects_are_lines_of_inventories(file):
    """A name, a role, a priority, an address in which ``$`` stands for the name, and a title."""
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines))
    for line in lines:
        assert re.fullmatch(r"\S+ (py|std):[a-z]+ -?\d [\w/.]+\.html#\S+ \S.*", line), line


def test_an_inventory_is_brought_up_to_date():
    there = ["a.B py:class 1 b.html#$ -", "a term std:term 1 g.html#term-a-term -", "c py:data 1 c.html#$ -"]
    header = b"# Sphinx inventory version 2\n# Project: a\n# Version: 3\n# compressed by zlib\n"
    inventory = header + zlib.compress("\n".join(there).encode())
    assert names_and_roles(there[1]) == "a term std:term"
    assert trimmed(inventory, ["a term std:term 1 old.html#$ -", "a.B py:class"]) == [there[1], there[0]]
    with pytest.raises(ValueError, match=r"not in the inventory: c py:class"):
        trimmed(inventory, ["c py:class 1 c.html#$ -"])
    with pytest.raises(ValueError, match="no inventory"):
        trimmed(b"<html>\n\n\n\n\n", [])


def test_versions_are_rows_with_the_folders_of_their_sites():
    rows = json.loads((DOCS / "switcher.json").read_text(encoding="utf-8"))
    assert rows[0]["version"] == "dev"
    assert all(re.fullmatch(r"\.\./[\w.]+/", row["url"]) and row["name"] for row in rows)
    assert len({row["version"] for row in rows}) == len({row["url"] for row in rows}) == len(rows)
