"""Pages and notebooks of the built site, read as files: `make browser`."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser]

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [path.stem for path in sorted((DOCS.parent / "examples").glob("*.py"))]
LESSONS = [path.stem for path in sorted((DOCS / "lessons").glob("*.py"))]
MODULES = {"pole", "plain_numpy"}  # which examples import
# Absolute paths, but not parts of addresses.
MACHINE = re.compile(r"(?<![\w.:/-])/(?:home|root|tmp|usr|work|var|Users|builds?)/\w")


@pytest.fixture(scope="module")
def check():
    """docs/_check.py, which the build runs."""
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
    spec = importlib.util.spec_from_file_location("_check", DOCS / "_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def notebooks(html):
    """The notebooks that pages offer, by name."""
    pytest.importorskip("nbformat", reason="the extra `docs` is not installed")
    return {path.stem: path for path in (html / "_downloads").rglob("*.ipynb")}


def test_no_link_leads_nowhere_and_every_picture_has_a_text(check, html):
    assert check.faults(html) == []


@pytest.mark.parametrize(
    ("seeded", "what"),
    [
        ('<a href="nowhere.html">', "a link that leads nowhere: nowhere.html"),
        ('<a class="x" href="../index.html#nowhere">', "anchor that is not there: ../index.html#nowhere"),
        ('<a href="#nowhere">', "anchor that is not there: #nowhere"),
        ("<img src='missing.png' alt='a picture'>", "a link that leads nowhere: missing.png"),
        ('<img src="../picture.png">', "a picture without a text: ../picture.png"),
        ('<img alt="" src="../picture.png"/>', "a picture without a text: ../picture.png"),
        ('<script src="gone.js"></script>', "a link that leads nowhere: gone.js"),
    ],
)
def test_faults_are_found(check, tmp_path, seeded, what):
    (tmp_path / "api").mkdir()
    (tmp_path / "picture.png").write_bytes(b"")
    (tmp_path / "index.html").write_text('<h1 id="top-of-all">Title</h1>', encoding="utf-8")
    sound = '<a href="../index.html#top-of-all">x</a> <img src="../picture.png" alt="x"> <a href="#">x</a>'
    sound += '<a href="https://numpy.org/nowhere#x">x</a> <script>"<img src=x>"</script>'
    page = tmp_path / "api" / "page.html"
    page.write_text(sound, encoding="utf-8")
    assert check.faults(tmp_path) == []
    page.write_text(sound + seeded, encoding="utf-8")
    [(name, found)] = check.faults(tmp_path)
    assert name == "api/page.html" and found.endswith(what)


@pytest.mark.parametrize(("folder", "names"), [("gallery", EXAMPLES), ("learn", LESSONS)])
def test_a_page_shows_nothing_of_the_machine_that_made_it(html, folder, names):
    for name in set(names) - MODULES:
        text = (html / folder / f"{name}.html").read_text(encoding="utf-8")
        text = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        assert "running time" not in text, name
        assert not MACHINE.findall(text) and str(DOCS.parent) not in text, name


def test_every_program_of_the_gallery_has_a_picture_of_its_own(html):
    page = (html / "examples.html").read_text(encoding="utf-8")
    shown = re.findall(r'<img [^>]*src="_images/sphx_glr_(\w+)_thumb\.\w+"', page)
    assert sorted(shown) == sorted(set(EXAMPLES) - MODULES)


def test_types_of_arguments_are_links(html):
    def links(name):
        text = (html / "api" / "generated" / f"fastnn.{name}.html").read_text(encoding="utf-8")
        return set(re.findall(r'href="([^"]+)"', text))

    assert "https://docs.python.org/3/library/exceptions.html#ValueError" in links("Dense")
    numpy = "https://numpy.org/doc/stable/reference"
    assert "https://docs.python.org/3/library/functions.html#int" in links("Dense")
    assert f"{numpy}/generated/numpy.ndarray.html#numpy.ndarray" in links("Model")
    assert "fastnn.Model.html#fastnn.Model" in links("explain.saliency")
    pandas = "https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.html#pandas.DataFrame"
    scikit_learn = "https://scikit-learn.org/stable/modules/generated"
    name = "sklearn.neural_network.MLPRegressor"
    assert f"{scikit_learn}/{name}.html#{name}" in links("sklearn.MLPRegressor")
    assert pandas in links("sklearn.MLPRegressor")


def test_every_name_of_another_project_is_linked_to(html):
    text = "".join(path.read_text(encoding="utf-8") for path in html.rglob("*.html"))
    found = set(re.findall(r'href="(https://[^"]+)"', text))
    for file in (DOCS / "inventories").glob("*.txt"):
        for line in file.read_text(encoding="utf-8").splitlines():
            name, _, _, place, _ = line.split(" ", 4)
            assert any(link.endswith(f"/{place.replace('$', name)}") for link in found), name


@pytest.mark.parametrize("name", sorted(set(EXAMPLES + LESSONS) - MODULES))
def test_a_notebook_is_sound(notebooks, name):
    import nbformat

    notebook = nbformat.read(notebooks[name], as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert not MACHINE.findall(text) and str(DOCS.parent) not in text
    written = {line.split()[1] for line in text.splitlines() if line.startswith("%%writefile ")}
    imported = {
        node.module
        for cell in code
        if not cell.source.startswith("%%")
        for node in ast.walk(ast.parse(re.sub(r"^%.*", "", cell.source, flags=re.MULTILINE)))
        if isinstance(node, ast.ImportFrom)
    }
    assert {f"{module}.py" for module in imported & MODULES} <= written


@pytest.mark.parametrize("name", ["xor", "neurons", "digits", "n3_chain_rule"])
def test_a_notebook_runs(notebooks, name, tmp_path):
    """In an empty folder, as one that was downloaded."""
    import nbformat

    nbclient = pytest.importorskip("nbclient", reason="the extra `docs` is not installed")
    pytest.importorskip("ipykernel", reason="the extra `docs` is not installed")
    notebook = nbformat.read(notebooks[name], as_version=4)
    place = {"metadata": {"path": tmp_path}}
    done = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any(
        ".png" in output.get("text", "") or "image/png" in output.get("data", {}) for output in outputs
    )
