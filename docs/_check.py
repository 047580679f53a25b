"""What a build of the site must not have: links that lead nowhere, and pictures without a text."""

import json
import re
from html import unescape
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from sphinx.util.logging import getLogger

HERE = Path(__file__).parent
LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}
# Regular expressions, since a parser takes half a minute for all pages.
TAG = re.compile(rf"<({'|'.join(LINKS)})\b([^>]*)>")
ATTRIBUTE = re.compile(r"([\w-]+)=(?:\"([^\"]*)\"|'([^']*)')")
SCRIPT = re.compile(r"(<script\b[^>]*>).*?</script>", re.DOTALL)
ANCHOR = re.compile(r"\b(?:id|name)=[\"']([^\"']+)")


def attributes(text):
    """The attributes in the text of a tag."""
    return {name: unescape(double or single) for name, double, single in ATTRIBUTE.findall(text)}


def faults(folder):
    """Return what is wrong with the pages in a folder, each as ``(page, what)``."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    names = sorted(name for name in files if name.endswith(".html") and not name.startswith("_static/"))
    pages = {name: SCRIPT.sub(r"\1", (folder / name).read_text(encoding="utf-8")) for name in names}
    anchors = {name: {"", "top", *map(unescape, ANCHOR.findall(text))} for name, text in pages.items()}
    rows = json.loads((HERE / "switcher.json").read_text(encoding="utf-8"))
    versions = tuple(row["url"] for row in rows)  # which are other builds
    found = []
    for name, text in pages.items():
        for tag, rest in dict.fromkeys(TAG.findall(text)):
            link = attributes(rest).get(LINKS[tag])
            # The text of a small picture of the gallery is the title beside it, which leads to the same page.
            if tag == "img" and not attributes(rest).get("alt") and "_thumb" not in link:
                found.append((name, f"a picture without a text: {link}"))
            if link is None or (parts := urlsplit(link)).scheme or parts.netloc:
                continue
            target = normpath(join(dirname(name), unquote(parts.path))) if parts.path else name
            if target.startswith(versions):
                continue
            if target not in files:
                found.append((name, f"a link that leads nowhere: {link}"))
            elif target in anchors and unquote(parts.fragment) not in anchors[target]:
                found.append((name, f"a link to an anchor that is not there: {link}"))
    return found


def report(app, exception):
    """Warn of each fault once the pages are written; with ``-W`` the build fails."""
    if exception is None and app.builder.name == "html":
        for page, what in faults(Path(app.outdir)):
            getLogger(__name__).warning("%s: %s", page, what)
