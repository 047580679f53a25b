"""Holds the direction of imports and who may set numba's options, by reading the sources.

Each rule is a function from a syntax tree to the offences it finds. It runs over every file of its
folder, and over a few lines that break it, so that a rule which finds nothing cannot pass.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = sorted((ROOT / "kernels").rglob("*.py"))
FASTNN = sorted((ROOT / "fastnn").rglob("*.py"))

MAY_BE_IMPORTED_BY_KERNELS = {"numpy", "numba", "llvmlite"} | sys.stdlib_module_names
LOADED_ONLY_WHEN_NEEDED = {
    "numba",
    "llvmlite",
    "platformdirs",
    "tqdm",
    "safetensors",
    "matplotlib",
    "pandas",
    "onnx",
}
NUMBA_OPTIONS = {
    "_nrt",
    "boundscheck",
    "cache",
    "error_model",
    "fastmath",
    "forceinline",
    "forceobj",
    "looplift",
    "no_cfunc_wrapper",
    "no_cpython_wrapper",
    "nogil",
    "nopython",
    "parallel",
}

KERNEL_DECORATORS = {"kernel", "reduction", "force_inline", "inline_ir"}

# Private by their names, but meant for others: of NamedTuples; of locks, as `threading.Condition` uses them;
# of Numba, where what kernels need has no public name.
NOT_PRIVATE = {"_asdict", "_is_owned", "_release_save", "_getvalue", "_definitions"}


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(node):
    """Full names of the modules that an import statement names, relative ones with their dots."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


def root_of(module):
    return module.split(".")[0]


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def run_on_import(node):
    """Walk the statements that run when a module is imported: not functions, not blocks for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if is_type_checking(child):
            for statement in child.orelse:
                yield statement
                yield from run_on_import(statement)
            continue
        yield child
        yield from run_on_import(child)


def foreign_imports(tree, depth=0):
    """Imports of a kernels/ module other than numpy, numba, llvmlite, the standard library and kernels/.

    `depth` is the number of folders of kernels/ that the module is in.
    """

    def is_allowed(module):
        if module.startswith("."):
            return len(module) - len(module.lstrip(".")) <= depth + 1
        return (
            module == "fastnn.kernels"
            or module.startswith("fastnn.kernels.")
            or root_of(module) in MAY_BE_IMPORTED_BY_KERNELS
        )

    return [name for node in ast.walk(tree) for name in imported(node) if not is_allowed(name)]


def numba_imports_at_start(tree):
    return [name for node in run_on_import(tree) for name in imported(node) if root_of(name) == "numba"]


def prints(tree):
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "print"]


def unnamed_writes(tree):
    """Arrays that a kernel is given and writes into, and does not name in its docstring."""
    found = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or not KERNEL_DECORATORS & {
            ast.unparse(decorator) for decorator in function.decorator_list
        }:
            continue
        given = {argument.arg for argument in function.args.args}
        stores = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
        ]
        written = {array.id for array in stores if isinstance(array, ast.Name)}
        said = re.findall(r"\w+", ast.get_docstring(function) or "")
        found += [f"{function.name}: {name}" for name in sorted(given & written - set(said))]
    return found


def numba_options(tree):
    """Options given as keywords, and as keys of a dictionary to be unpacked."""
    keywords = [node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    keys = [key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys]
    constants = [key.value for key in keys if isinstance(key, ast.Constant)]
    return [name for name in keywords + constants if name in NUMBA_OPTIONS]


def is_private(name):
    return name.startswith("_") and not name.endswith("__") and name not in NOT_PRIVATE


def own_names(tree):
    """What a module itself defines or sets, wherever."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def foreign_private_members(tree):
    """Private members of another module's objects that are read, set or imported.

    A module may use what it defines, and a class what its bases define.
    """
    own, found = set(own_names(tree)), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            if ast.unparse(node.value) not in ("self", "cls", "super()"):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and node.level and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names if is_private(alias.name)]
    return found


def offences(rule, paths):
    found = {path.relative_to(ROOT).as_posix(): rule(parse(path)) for path in paths}
    assert found, "no file was read"
    return {path: what for path, what in found.items() if what}


def test_the_folders_are_where_these_tests_look():
    assert {"__init__.py", "_jit.py", "gemm.py", "loop.py"} <= {path.name for path in KERNELS}
    assert {"__init__.py", "model.py", "loader.py", "datasets.py"} <= {path.name for path in FASTNN}


def test_kernels_import_only_numpy_numba_llvmlite_and_each_other():
    depths = {path: len(path.relative_to(ROOT / "kernels").parts) - 1 for path in KERNELS}
    for depth in set(depths.values()):
        paths = [path for path in KERNELS if depths[path] == depth]
        assert offences(lambda tree, depth=depth: foreign_imports(tree, depth), paths) == {}


@pytest.mark.parametrize(
    "source, expected",
    [
        ("import scipy.linalg", ["scipy.linalg"]),
        ("from fastnn import plan", ["fastnn"]),
        ("import fastnn.kernelsx", ["fastnn.kernelsx"]),
        ("from .. import plan", [".."]),
        ("def f():\n    from ..plan import Plan", ["..plan"]),
        ("import math, numpy as np\nfrom numba.core import types\nimport llvmlite.binding", []),
        ("from . import simd\nfrom .gemm import gemm\nfrom fastnn.kernels.gemm import gemm", []),
    ],
)
def test_a_foreign_import_of_kernels_is_found(source, expected):
    assert foreign_imports(ast.parse(source)) == expected


def test_a_folder_of_kernels_may_import_another_one_and_no_more():
    source = "from ..math import random\nfrom ... import plan\nfrom ...engine.plan import Plan"
    assert foreign_imports(ast.parse(source), depth=1) == ["...", "...engine.plan"]


def test_fastnn_does_not_import_numba_at_start():
    assert offences(numba_imports_at_start, FASTNN) == {}


@pytest.mark.parametrize(
    "source, expected",
    [
        ("import numba", ["numba"]),
        ("from numba.core import types", ["numba.core"]),
        ("try:\n    import numba\nexcept ImportError:\n    pass", ["numba"]),
        ("class A:\n    import numba", ["numba"]),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import numba", ["numba"]),
        ("if TYPE_CHECKING:\n    import numba", []),
        ("def f():\n    import numba", []),
        ("class A:\n    def f(self):\n        import numba", []),
        ("import numpy", []),
    ],
)
def test_an_import_of_numba_at_start_is_found(source, expected):
    assert numba_imports_at_start(ast.parse(source)) == expected


def test_kernels_do_not_print():
    assert offences(prints, KERNELS) == {}
    assert prints(ast.parse("x = 1\nprint(x)")) == [2]


def test_kernels_name_the_arrays_that_they_write():
    assert offences(unnamed_writes, KERNELS) == {}


@pytest.mark.parametrize(
    "source, expected",
    [
        ('@kernel\ndef f(x, y):\n    """Write `y`."""\n    y[0] = x[0]', []),
        ('@kernel\ndef f(x, y):\n    """Copy `x`."""\n    y[0] = x[0]', ["f: y"]),
        ("@reduction\ndef f(x, y):\n    y[0, 1] += x[0]", ["f: y"]),
        ("def f(x, y):\n    y[0] = x[0]", []),
        ("@kernel\ndef f(net):\n    own = [0]\n    own[0] = net.n = 1", []),
    ],
)
def test_a_write_that_is_not_named_is_found(source, expected):
    assert unnamed_writes(ast.parse(source)) == expected


def test_numba_options_are_set_in_one_module():
    elsewhere = [path for path in KERNELS + FASTNN if path != ROOT / "kernels" / "lowlevel" / "_jit.py"]
    assert offences(numba_options, elsewhere) == {}
    assert numba_options(parse(ROOT / "kernels" / "lowlevel" / "_jit.py")) != []


@pytest.mark.parametrize("option", sorted(NUMBA_OPTIONS))
def test_a_numba_option_is_found(option):
    source = f"@njit(inline='always', {option}=True)\ndef f(x):\n    return x"
    assert numba_options(ast.parse(source)) == [option]
    assert numba_options(ast.parse(f"OPTIONS = {{'{option}': True, **MORE}}")) == [option]


def test_no_module_uses_private_members_of_another_ones_objects():
    assert offences(foreign_private_members, FASTNN + KERNELS) == {}


@pytest.mark.parametrize(
    "source, expected",
    [
        ("model._state", ["model._state"]),
        ("def f(layer):\n    layer._views = {}", ["layer._views"]),
        ("class A(B):\n    def f(self):\n        return self.model._lock", ["self.model._lock"]),
        ("state.layers[0]._views['bias']", ["state.layers[0]._views"]),
        ("from .plan import _places", ["plan._places"]),
        ("class A(B):\n    def f(self):\n        return self._x + super()._x", []),
        ("class A:\n    def f(self, other):\n        self._x = other._x", []),
        ("class A:\n    _x = 1\n\ndef f(a):\n    return a._x", []),
        ("from . import _jit\nfrom numba.core import _x\nnet._asdict()\nx.__class__", []),
    ],
)
def test_a_private_member_is_found(source, expected):
    assert foreign_private_members(ast.parse(source)) == expected


def modules_loaded_by(statement):
    program = f"import sys; {statement}; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {root_of(name) for name in output.split()}


def test_import_fastnn_loads_numpy_and_leaves_the_rest_for_later():
    loaded = modules_loaded_by("import fastnn")
    assert {"fastnn", "numpy"} <= loaded
    assert loaded & LOADED_ONLY_WHEN_NEEDED == set()
    assert "numba" in modules_loaded_by("import numba")
