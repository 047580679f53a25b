"""What notebooks of the gallery need besides fastnn: files of examples/ that a program imports or reads."""

import re
import zipfile
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"


def needed(program):
    """The other files of examples/ that a program uses: modules by import, other files by name."""
    text = program.read_text(encoding="utf-8")
    modules = {EXAMPLES / f"{name}.py" for name in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)}
    files = {EXAMPLES / name for name in re.findall(r'"(\w+\.(?:c|f90))"', text)}
    return sorted(path for path in modules | files if path.exists())


def complete(app):
    """Give each notebook cells that write those files, and put them into the archive beside it."""
    for program in sorted(EXAMPLES.glob("*.py")):
        place = HERE / "gallery" / program.name
        if not (files := needed(program)) or not place.exists():
            continue
        notebook = nbformat.read(place.with_suffix(".ipynb"), as_version=4)
        if notebook.cells[1].source.startswith("%%writefile"):
            continue  # not made anew by this build
        for path in reversed(files):
            cell = nbformat.v4.new_code_cell(f"%%writefile {path.name}\n{path.read_text(encoding='utf-8')}")
            del cell["id"]  # which notebooks of this version do not have
            notebook.cells.insert(1, cell)
        nbformat.write(notebook, place.with_suffix(".ipynb"))
        with zipfile.ZipFile(place.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (place, place.with_suffix(".ipynb"), *files):
                archive.write(path, path.name)
