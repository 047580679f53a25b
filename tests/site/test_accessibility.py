"""WCAG 2, A and AA, checked by axe-core on a page of each kind: wide and narrow, light and dark."""

import pytest

pytestmark = [pytest.mark.browser]

PAGES = [
    "index",
    "start/first_network",
    "api/generated/fastnn.GRU",
    "learn/n3_chain_rule",
    "examples",
    "gallery/balancing_pole",
    "benchmarks",
    "search.html?q=EarlyStopping",
]
WIDTHS = [390, 1440]
ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
CONTRAST = ["color-contrast"]  # the rest is the same in the dark


@pytest.fixture(scope="module")
def axe():
    return pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()


def faults(axe, page, rules):
    """What is wrong, an element a line."""
    # Without `preload`, which reads all style sheets once more, from wrong places.
    options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
    found = axe.run(page, options=options).response["violations"]
    return [f"{rule['id']}: {element['html'][:200]}" for rule in found for element in rule["nodes"]]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(page, axe, name):
    page.emulate_media(reduced_motion="reduce")  # colours do not fade into those of the dark
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="light")
        page.goto(f"/{name}" if ".html" in name else f"/{name}.html")
        page.wait_for_load_state("networkidle")
        if "?" in name:
            page.locator("#search-results li").first.wait_for()
        for scheme, rules in (("light", ALL), ("dark", CONTRAST)):
            page.emulate_media(color_scheme=scheme)
            page.locator(f"html[data-theme={scheme}]").wait_for()
            assert faults(axe, page, rules) == [], (scheme, width)
    assert page.faults == []  # nothing was asked of another machine


def test_axe_finds_faults(page, axe):
    page.goto("/index.html")
    page.evaluate("""document.querySelector("article").insertAdjacentHTML("beforeend",
        '<img src="_static/favicon.svg"><p style="color: #999; background: #fff">pale</p>')""")
    found = faults(axe, page, ALL)
    assert [fault.partition(":")[0] for fault in sorted(found)] == ["color-contrast", "image-alt"]
