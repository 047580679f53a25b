"""Notebook HTML in a real browser, light and dark, narrow and by keyboard: `make browser`."""

import re
from pathlib import Path

import pytest

import fastnn as fn

pytestmark = [pytest.mark.browser]

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "_build" / "screenshots"

# Background, text, every second row: as in JupyterLab, and in a plain page.
THEMES = {
    "light": ("#ffffff", "rgba(0, 0, 0, 0.87)", "#f5f5f5"),
    "dark": ("#111111", "#ffffff", "#212121"),
    "editor": ("#1e1e1e", "#cccccc", "#1e1e1e"),
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>notebook</title>
<style>body {{ background: {0}; color: {1}; font: 14px sans-serif }} table {{ color: {1}; font-size: 12px }}
tbody tr {{ background: {0} }} tbody tr:nth-child(even) {{ background: {2} }}</style><body>{3}"""


class Hostile(fn.Dropout):
    def __repr__(self):
        return "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def html():
    X, y = fn.datasets.spiral(30, 3, seed=0)
    drawn = fn.initializers.uniform(-0.125, 0.125)
    block = fn.Residual([fn.LayerNormalization(), fn.Dense(32, "relu", kernel_initializer=drawn)])
    model = fn.Model([fn.Dense(32), Hostile(0.1), block, fn.Dense(3)], "cross_entropy", seed=0)
    before = model._repr_html_()
    history = model.fit(X, y, epochs=40, validation_split=0.2)
    return "<hr>".join([before, model._repr_html_(), history._repr_html_()])


@pytest.fixture(
    params=[(name, width) for name in THEMES for width in (390, 1440)],
    ids=lambda case: f"{case[0]} {case[1]}",
)
def page(browser, html, request):
    name, width = request.param
    page, faults = browser.new_page(viewport={"width": width, "height": 900}), []
    page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: faults.append(request.url))
    page.set_content(PAGE.format(*THEMES[name], html))
    yield page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"notebook-{name}-{width}.png", full_page=True)
    page.close()
    assert faults == []


def luminance(color, behind=(255.0, 255.0, 255.0)):
    """Of WCAG, of a colour as browsers write it; and the colour itself."""
    *rgb, alpha = [*map(float, re.findall(r"[\d.]+", color)), 1.0][:4]
    mixed = [alpha * a + (1 - alpha) * b for a, b in zip(rgb, behind, strict=True)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in mixed)]
    return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear, strict=True)), mixed


COLORS = """() => [...document.querySelectorAll("td, th, summary, pre, b, polyline")].map(each => {
    const style = getComputedStyle(each)
    let around = each
    while (getComputedStyle(around).backgroundColor === "rgba(0, 0, 0, 0)") around = around.parentElement
    const own = each.tagName === "polyline" ? style.stroke : style.color
    return [own, getComputedStyle(around).backgroundColor]
})"""


def test_it_can_be_read_and_used(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for own, behind in page.evaluate(COLORS):
        dark, mixed = luminance(behind)
        light, _ = luminance(own, mixed)
        assert (max(dark, light) + 0.05) / (min(dark, light) + 0.05) >= 4.5, (own, behind)
    folded = page.locator("details")
    assert folded.count() == 1 and not folded.evaluate("each => each.open")
    for _ in range(20):  # tables that may be scrolled come first
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    assert folded.evaluate("each => each.open") and page.get_by_text("optimizer state").is_visible()
    table = page.get_by_role("region", name="History")
    table.focus()
    wide = table.evaluate("each => each.scrollWidth > each.clientWidth")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("wide => (document.activeElement.scrollLeft > 0) === wide", arg=wide)
    assert page.get_by_role("img", name="val_loss over the epochs").count() == 1
