"""The site has a page for every public name, and every page is in its navigation."""

import importlib
import re
from pathlib import Path

import pytest

import fastnn as fn

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
