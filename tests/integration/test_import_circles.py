"""Imports run one way: no module needs, by whatever way, one that needs it.

Every import counts, wherever in a file it stands: in functions and under TYPE_CHECKING too.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"fastnn.kernels": ROOT / "kernels", "fastnn": ROOT / "fastnn"}


def sources():
    """The text of each module, by its full name; whether it is a package is told by its path."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = [part for part in path.relative_to(folder).with_suffix("").parts if part != "__init__"]
            found[".".join([package, *parts])] = (path.name == "__init__.py", path.read_text("utf-8"))
    return found


def imported_by(name, is_package, source, modules):
    """The modules that one imports: those named, and where it imports names, the modules that have these."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) + 1 - node.level], *base.split(".")]).rstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}"
                if full in modules or base in modules:
                    yield full if full in modules else base


def circle(modules):
    """The modules of a circle of imports, or an empty list."""
    graph = {name: {*imported_by(name, *module, modules)} - {name} for name, module in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_imports_run_one_way():
    modules = sources()
    assert {"fastnn", "fastnn.model", "fastnn.plot", "fastnn.kernels.lowlevel.simd"} <= set(modules)
    assert len(modules) > 150
    assert circle(modules) == []


@pytest.mark.parametrize(
    "back",
    [
        "from .model import Model",
        "from . import model",
        "import fastnn.model",
        "from fastnn.model import Model",
        "def f():\n    from .model import Model",
        "if TYPE_CHECKING:\n    from .model import Model",
        "from .engine.plan import plan",
        "from . import Model",
        "from .engine import VERSION",
    ],
)
def test_a_circle_is_found(back):
    modules = {
        "fastnn": (True, "from .model import Model"),
        "fastnn.model": (False, "from .engine import plan\nfrom .errors import Error"),
        "fastnn.engine": (True, "from ..errors import Error"),
        "fastnn.engine.plan": (False, "from .. import errors\nfrom . import VERSION"),
        "fastnn.errors": (False, "import numpy"),
    }
    assert circle(modules) == []
    modules["fastnn.errors"] = (False, back)
    found = circle(modules)
    assert found[0] == found[-1] and "fastnn.errors" in found
