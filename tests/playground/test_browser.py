"""The playground in a real browser, used by clicks and by keys: `make browser`."""

import re
import shutil
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser]

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "_build" / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, playground):
    """Open the playground; at the end nothing went wrong, and no request left this machine."""
    address = playground.address(playground.token)
    contexts, faults = [], []

    def open_page(width=1440, height=900, **settings):
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: message.type in ("error", "warning") and faults.append(message.text)
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
        page.on("response", lambda answer: answer.status >= 400 and faults.append(answer.url))
        page.on("request", lambda request: request.url.startswith(address) or faults.append(request.url))
        page.goto(address)
        page.get_by_text("Not trained yet").wait_for(timeout=120_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def number(page, name):
    found = re.sub(r"[ ,%–]", "", page.locator(f"#{name}").inner_text())
    return float(found) if found else 0.0


def wait_for_accuracy(page, name="val_accuracy", percent=95, seconds=60):
    """By asking from here: the page's policy lets nobody evaluate text in it."""
    end = time.monotonic() + seconds
    while number(page, name) < percent:
        assert time.monotonic() < end, f"{name} is {number(page, name)} %"
        page.wait_for_timeout(50)


def test_spiral_is_learned_by_clicks(open_page):
    page = open_page()
    page.get_by_label("Points", exact=True).select_option("spiral")
    page.get_by_label("Hidden layers").select_option("3")
    page.get_by_label("Units of layer 3").fill("8")
    page.get_by_label("Units of layer 3").press("Tab")
    page.get_by_text("Layer 3: 8 units").wait_for()
    page.get_by_role("button", name="Play").click()
    wait_for_accuracy(page)
    page.get_by_role("button", name="Pause").click()
    page.get_by_text(re.compile("After .* epochs: accuracy")).wait_for()
    assert number(page, "accuracy") >= 95
    assert page.locator("#layers canvas").count() == 24
