"""What the build of the site does to pages and functions before Sphinx reads them."""

import inspect
import json
import re
import zlib
from pathlib import Path

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

HERE = Path(__file__).parent

#: Other projects whose names pages link to, and where their sites are.
PROJECTS = {
    "python": "https://docs.python.org/3/",
    "numpy": "https://numpy.org/doc/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "sklearn": "https://scikit-learn.org/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "matplotlib": "https://matplotlib.org/stable/",
}

#: Files of the repository that pages link to, and the pages of the site that hold them.
PAGES = {
    "../README.md": "index.md",
    "../bench/README.md": "benchmarks.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
    "../SECURITY.md": "security.md",
}


def links(app, name, source):
    """Make links to files outside docs/ links to their pages; those of files at the top begin with docs/."""
    text = source[0].replace("](docs/", "](")
    up = "../" * name.count("/")
    for file, page in PAGES.items():
        for written in (f"{up}{file}", file, file.removeprefix("../")):
            text = re.sub(rf"\]\({re.escape(written)}(?=[)#])", f"]({up}{page}", text)
    source[0] = text


def escape_shapes(app, what, name, value, options, lines):
    """Keep the star of shapes such as ``(n, *input_shape)``, which begins emphasis in reStructuredText."""
    for number, line in enumerate(lines):
        parts = line.split("`")  # every second one is code
        parts[::2] = [re.sub(r"(?<![\w*])\*(?=[a-z_]+[,)\[])", r"\*", part) for part in parts[::2]]
        lines[number] = "`".join(parts)


def public_name(app, env, node, content):
    """Find what fastnn exports from other modules too: ``Model.fit`` on a page of `fastnn.explain`."""
    if node.get("refdomain") != "py":
        return None
    name = f"fastnn.{node['reftarget']}"
    return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)


def inline_math(translator, node):
    """Write a formula as MathML, which browsers show without a script from elsewhere."""
    translator.body.append(convert(node.astext()))
    raise SkipNode


def displayed_math(translator, node):
    """Write a formula that stands by itself: several lines, aligned at ``&``, where it has line breaks."""
    formula = node.astext()
    if r"\\" in formula:
        formula = rf"\begin{{split}}{formula}\end{{split}}"
    translator.body.append(f'<div class="formula">{convert(formula, display="block")}</div>')
    raise SkipNode


def compiled_functions(package):
    """Put the Python functions in the place of the compiled ones, whose signatures Sphinx can read."""
    for name in package.__all__:
        function = getattr(getattr(package, name), "py_func", None)
        if function is not None:
            function.__module__ = package.__name__
            setattr(package, name, function)


def classes(package):
    """The names of its public classes and where each is described."""
    return {
        name: f"{package.__name__}.{name}"
        for name in package.__all__
        if inspect.isclass(getattr(package, name))
    }


def exceptions(name):
    """The exceptions of another project, by name, and the links to them."""
    lines = (HERE / "inventories" / f"{name}.txt").read_text(encoding="utf-8")
    return {error: f":exc:`{error}`" for error in re.findall(r"^(\w+) py:exception ", lines, re.MULTILINE)}


def inventory(name):
    """Write the names of another project in docs/inventories/ to a file of the form that Sphinx reads."""
    lines = (HERE / "inventories" / f"{name}.txt").read_bytes()
    header = f"# Sphinx inventory version 2\n# Project: {name}\n# Version: \n# compressed by zlib\n"
    path = HERE / "_build" / "inventories" / f"{name}.inv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + zlib.compress(lines))
    return str(path)


def versions(version):
    """What the list of versions shows: the rows of docs/switcher.json, and which of them this site is."""
    rows = json.loads((HERE / "switcher.json").read_text(encoding="utf-8"))
    released = [row["version"] for row in rows]
    return {"versions": rows, "shown_version": version if version in released else "dev"}
