"""The built site in a real browser: `make browser`. Screenshots are in docs/_build/screenshots/."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "docs" / "_build" / "screenshots"
WIDTHS = [390, 1440]
PAGES = [
    "index",
    "start/first_network",
    "tasks",
    "playground",
    "fields/tables",
    "examples",
    "gallery/balancing_pole",
    "gallery/what_a_network_sees",
    "learn/index",
    "learn/n3_chain_rule",
    "api/layers",
    "api/generated/fastnn.GRU",
    "api/generated/fastnn.Model",
    "benchmarks",
    "architecture",
    "search",
]

# The text of a small picture that leads to a page is the title of that page, beside it.
PICTURES = """[...document.images].map(image => ({
    src: image.src,
    shown: image.complete && image.naturalWidth > 0,
    text: image.alt || image.closest(".sphx-glr-thumbcontainer")?.textContent.trim(),
}))"""

pytestmark = [pytest.mark.browser]


def open_page(page, name):
    page.goto(f"/{name}.html")
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_readable_and_quiet(page, name, width):
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, name)
    assert page.locator("h1").first.is_visible()
    # What is wider than the window scrolls within its own frame.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [picture["src"] for picture in page.evaluate(PICTURES) if not picture["shown"]] == []
    assert [picture["src"] for picture in page.evaluate(PICTURES) if not picture["text"]] == []
    assert page.faults == []
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name.replace('/', '_')}_{width}.png")


def test_the_search_finds_a_class_and_opens_its_page(page):
    open_page(page, "index")
    page.keyboard.press("Control+k")
    page.keyboard.type("EarlyStopping")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html*")
    result = page.locator("#search-results a", has_text="EarlyStopping").first
    result.wait_for()
    result.click()
    page.wait_for_load_state("networkidle")
    assert "fastnn.EarlyStopping" in page.url
    assert page.locator("h1").inner_text().startswith("EarlyStopping")
    assert page.faults == []


def test_a_code_block_is_copied(page):
    open_page(page, "index")
    page.locator("div.highlight").first.hover()
    page.locator("button.copybtn").first.click()
    page.wait_for_function("navigator.clipboard.readText().then(t => t.length > 0)")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("import fastnn as fn") and "model.fit(" in copied


def test_the_keyboard_reaches_the_content(page):
    open_page(page, "index")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "Skip to main content"
