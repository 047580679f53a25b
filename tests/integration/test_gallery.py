"""Every example is in the gallery of the site, with a title; pictures there and on pages have texts."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {path.stem: path for path in (ROOT / "examples").glob("*.py")}
MODULES = {"pole", "plain_numpy"}  # which examples import
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "bench").glob("*.md"), *(ROOT / "docs").rglob("*.md")})
PICTURE = re.compile(r"!\[([^]]*)\]\(([^)]+)\)")
PAGE = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")


def table(name):
    """A dictionary of docs/_gallery.py, which needs Sphinx to be imported."""
    tree = ast.parse((ROOT / "docs" / "_gallery.py").read_text(encoding="utf-8"))
    [value] = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == name
    ]
    return ast.literal_eval(value)


def test_every_example_is_in_the_gallery():
    cards = re.findall(r"^   \.\./examples/(\w+)\.py$", PAGE, re.MULTILINE)
    assert sorted(cards) == sorted(EXAMPLES.keys() - MODULES) and len(cards) >= 25
    assert re.findall(r"^gallery/(\w+)$", PAGE, re.MULTILINE) == cards


def test_every_example_has_a_title_of_its_own():
    titles = []
    for name in EXAMPLES.keys() - MODULES:
        document = ast.get_docstring(ast.parse(EXAMPLES[name].read_text(encoding="utf-8")), clean=False)
        title, line, empty, summary, *_ = document.split("\n")
        assert line == "=" * len(title) and not empty and summary, name
        titles.append(title)
    assert len(set(titles)) == len(titles)


def test_every_picture_has_a_text():
    saved = {
        picture
        for name in EXAMPLES
        for picture in re.findall(r'"(\w+\.(?:png|gif))"', EXAMPLES[name].read_text(encoding="utf-8"))
    }
    drawn = {
        f"{lesson.stem}_{number:03}.png"
        for lesson in (ROOT / "docs" / "lessons").glob("*.py")
        for number in range(1, 1 + lesson.read_text(encoding="utf-8").count("plt.show()"))
    }
    texts = table("PICTURES")
    assert saved | drawn == set(texts) and len(saved) > 30 and len(drawn) > 10
    assert all(len(text) > 30 and text.endswith(".") and '"' not in text for text in texts.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_of_pages_have_texts(page):
    text = page.read_text(encoding="utf-8")
    for words, file in PICTURE.findall(text):
        assert len(words.split()) >= 8 and Path(file).name not in words
        assert (page.parent / file).is_file()
    assert "<img" not in text


def test_all_stored_pictures_are_shown():
    shown = {
        Path(file).name for page in PAGES for _, file in PICTURE.findall(page.read_text(encoding="utf-8"))
    }
    assert shown == {path.name for path in (ROOT / "docs" / "pictures").glob("*.png")}


@pytest.mark.parametrize("name, arguments", table("ARGUMENTS").items())
def test_arguments_are_those_of_the_example(name, arguments):
    known = re.findall(r'add_argument\("(--\w+)"', EXAMPLES[name].read_text(encoding="utf-8"))
    assert set(arguments[::2]) <= set(known)
