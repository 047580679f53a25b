"""The pages of the built site as files: the texts of pictures, and the colours of the theme."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.helpers.color_vision import contrast

HTML = Path(__file__).parents[2] / "docs" / "_build" / "html"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (HTML / "index.html").exists(), reason="the site is not built: make docs"),
]

SIGN = "_static/minus.png"  # Sphinx's button in the index of modules: its text, "-", is all that it shows


class Pictures(HTMLParser):
    """The pictures of a page: where they are from, and their texts."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.found.append((attributes.get("src", ""), attributes.get("alt") or ""))
        elif tag == "svg" and attributes.get("aria-hidden") != "true":
            self.found.append(("svg", attributes.get("aria-label") or ""))


def pages():
    return [path for path in sorted(HTML.rglob("*.html")) if "_static" not in path.relative_to(HTML).parts]


def pictures():
    for path in pages():
        parser = Pictures()
        parser.feed(path.read_text(encoding="utf-8"))
        for source, text in parser.found:
            yield path.relative_to(HTML).as_posix(), source, text


def test_every_picture_says_what_is_seen():
    found = [row for row in pictures() if not row[1].endswith(SIGN)]
    # A sentence, and neither the name of the file nor the title of the page.
    assert [row for row in found if len(row[2].split()) < 4 or ".png" in row[2]] == []
    assert len(found) > 100


def variables(text, scheme):
    """Custom properties of the whole page in a scheme."""
    found = {}
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text):
        if any(part.strip() in ("html", f"html[data-theme={scheme}]") for part in selector.split(",")):
            found |= dict(re.findall(r"(--pst-[\w-]+):\s*([^;}]+)", body))
    return found


def colors(scheme):
    """The colours of the theme, with those that docs/_static/site.css sets."""
    theme = (HTML / "_static" / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8")
    own = (HTML / "_static" / "site.css").read_text(encoding="utf-8").replace('"', "")
    found = variables(theme, scheme) | variables(re.sub(r"/\*.*?\*/", "", own, flags=re.DOTALL), scheme)

    def value(name):
        link = re.fullmatch(r"var\((--[\w-]+)\)", found[name].strip())
        return value(link[1]) if link else found[name].strip()

    return lambda name: value(f"--pst-color-{name}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back"),
    [
        *((text, page) for text in ("text-base", "text-muted", "link") for page in ("background", "surface")),
        ("text-base", "target"),
        ("link-higher-contrast", "target"),
        ("inline-code", "surface"),
        ("heading", "background"),
    ],
)
def test_text_can_be_read(scheme, front, back):
    color = colors(scheme)
    assert contrast(color(front), color(back)) >= 4.5
