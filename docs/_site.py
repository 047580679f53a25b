"""What the build of the site does to pages and functions before Sphinx reads them."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

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
