"""The playground in a real browser, used by clicks and by keys: `make browser`."""

import contextlib
import io
import re
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser]

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "_build" / "screenshots"


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


def wait_for(page, name="val_accuracy", least=95, seconds=60):
    """By asking from here: the page's policy lets nobody evaluate text in it."""
    end = time.monotonic() + seconds
    while number(page, name) < least:
        assert time.monotonic() < end, f"{name} is {number(page, name)}"
        page.wait_for_timeout(50)


def choose(page, label, value):
    page.get_by_label(label, exact=True).select_option(value)


def paused(page):
    page.get_by_text(re.compile("After .* epochs?: accuracy")).wait_for()


def test_spiral_is_learned_by_clicks(open_page):
    page = open_page()
    choose(page, "Points", "spiral")
    choose(page, "Hidden layers", "3")
    page.get_by_label("Units of layer 3").fill("6")
    page.get_by_label("Units of layer 3").press("Tab")
    page.get_by_text("Layer 3: 6 units").wait_for()
    page.get_by_role("button", name="Play").click()
    wait_for(page)
    assert number(page, "frames") > 0 and number(page, "rate") > 0
    page.get_by_role("button", name="Pause").click()
    paused(page)
    assert number(page, "accuracy") >= 95
    assert page.locator("#layers canvas").count() == 22


def test_the_shown_program_has_the_accuracy_of_the_page(open_page):
    page = open_page()
    choose(page, "Points", "circles")
    choose(page, "Optimizer", "Momentum")
    choose(page, "Learning rate", "0.1")
    page.get_by_text("Not trained yet").wait_for()
    choose(page, "Pace", "as fast as it can")
    page.get_by_role("button", name="Play").click()
    wait_for(page)
    page.get_by_role("button", name="Pause").click()
    paused(page)
    page.get_by_role("button", name="Show the program").click()
    page.get_by_role("button", name="Copy").wait_for()
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(page.locator("#text").inner_text(), names)
    validated = names["model"].evaluate(names["X_val"], names["y_val"])
    assert f"{100 * validated['accuracy']:.1f} %" == page.locator("#val_accuracy").inner_text()
    assert f"epochs={number(page, 'epochs'):.0f}," in page.locator("#text").inner_text()


def test_the_learning_rate_is_changed_while_it_trains(open_page):
    page = open_page()
    page.get_by_role("button", name="Play").click()
    wait_for(page, least=50)
    before = number(page, "epochs")
    choose(page, "Learning rate", "0.001")
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Pause").click()
    paused(page)
    assert number(page, "epochs") > before
    page.get_by_role("button", name="Show the program").click()
    page.get_by_role("button", name="Copy").wait_for()
    assert "model.optimizer.learning_rate = 0.001" in page.locator("#text").inner_text()


def test_two_clicks_in_a_row_play_and_pause(open_page):
    page = open_page()
    page.evaluate("for (const _ of [1, 2]) document.getElementById('play').click()")
    page.wait_for_timeout(500)
    before = number(page, "epochs")
    page.wait_for_timeout(300)
    assert number(page, "epochs") == before and page.get_by_role("button", name="Play").is_visible()


def tab_to(page, name):
    """Press Tab until something of that name has the focus, which must then be seen."""
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate(
            """() => {
                const here = document.activeElement;
                const label = here.getAttribute("aria-label") || here.labels?.[0]?.textContent;
                return [(label || here.textContent).trim(), getComputedStyle(here).outlineStyle];
            }"""
        )
        if here[0].startswith(name):
            assert here[1] == "solid"
            return
    raise AssertionError(f"{name} cannot be reached")


def test_exclusive_or_is_learned_by_keys_alone(open_page):
    page = open_page()
    tab_to(page, "Points")
    page.keyboard.type("xor")
    tab_to(page, "Units of layer 2")
    page.keyboard.press("ArrowDown")
    page.get_by_text("Layer 2: 7 units").wait_for()
    tab_to(page, "Step")
    page.keyboard.press("Enter")
    page.get_by_text("After 1 epoch:").wait_for()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    wait_for(page, "epochs", 20)
    wait_for(page)
    page.keyboard.press("Space")
    paused(page)
    tab_to(page, "Reset")
    page.keyboard.press("Enter")
    page.get_by_text("Not trained yet").wait_for()
    assert number(page, "epochs") == 0


def test_own_points_are_placed_by_keys_and_clicks(open_page):
    page = open_page()
    choose(page, "Classes", "2")
    choose(page, "Points", "own")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("alert").get_by_text("there are no points yet").wait_for()
    page.get_by_role("button", name="Play").wait_for()
    assert page.get_by_text("Paused.").is_visible()
    tab_to(page, "Place points of")
    tab_to(page, "The plane")
    for key in ("Shift+ArrowLeft", "ArrowUp", "Enter", "Enter", "Shift+ArrowLeft", "Space", "Delete"):
        page.keyboard.press(key)
    page.get_by_text("Nearest point removed; 2 in all").wait_for()
    choose(page, "Place points of", "class 2")
    box = page.locator("#plane").bounding_box()
    for across in (0.7, 0.8, 0.9):
        page.mouse.click(box["x"] + across * box["width"], box["y"] + box["height"] / 2)
    page.get_by_text("Point of class 2 placed; 5 in all").wait_for()
    page.get_by_role("button", name="Take back").click()
    page.get_by_text("Taken back; 4 in all").wait_for()
    page.get_by_role("button", name="Play").click()
    wait_for(page, "accuracy", 100)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Show the program").click()
    page.get_by_role("button", name="Copy").wait_for()
    text = page.locator("#text").inner_text()
    assert text.count("[-0.25, 0.05, 0],") == 2 and len(re.findall(r"\[0\.[\d]+, [-0.\d]+, 1\],", text)) == 2


def test_more_units_than_there_may_be_are_refused(open_page):
    page = open_page()
    page.get_by_label("Units of layer 1").fill("1000")
    page.get_by_label("Units of layer 1").press("Tab")
    page.get_by_role("alert").get_by_text("units of layer 1 must be from 1 to 16, got 1000").wait_for()
    page.get_by_label("Units of layer 1").fill("16")
    page.get_by_label("Units of layer 1").press("Tab")
    page.get_by_text("Layer 1: 16 units").wait_for()
    assert page.get_by_role("alert").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_is_readable(open_page, width, scheme):
    page = open_page(width, color_scheme=scheme)
    page.get_by_role("button", name="Play").click()
    wait_for(page)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Show the program").click()
    page.get_by_role("button", name="Copy").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = """[...document.querySelectorAll("button, select, input, canvas")].filter(each =>
        !each.closest("[hidden]") && each.getAttribute("aria-hidden") !== "true" && !each.labels?.length
        && !each.getAttribute("aria-label") && !each.textContent.trim()).map(each => each.outerHTML)"""
    assert page.evaluate(unnamed) == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"playground_{width}_{scheme}.png", full_page=True)


def test_little_motion_is_one_frame_a_second(open_page):
    page = open_page(reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(2500)
    assert number(page, "frames") <= 2
    assert number(page, "epochs") > 50
    page.get_by_role("button", name="Pause").click()
    paused(page)


def test_frames_keep_coming_while_thousands_of_steps_a_second_run(open_page):
    """Few are asked for here, on machines that do other things too; a quiet one draws 20."""
    page = open_page()
    choose(page, "Pace", "as fast as it can")
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(3000)
    rates = []
    for _ in range(10):
        page.wait_for_timeout(100)
        rates.append((number(page, "frames"), number(page, "rate")))
    frames, steps = (max(each) for each in zip(*rates, strict=True))
    assert frames >= 5 and steps >= 2000
