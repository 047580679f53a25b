"""Pictures of the built site in a browser: animations, phones, the dark."""

import pytest

pytestmark = [pytest.mark.browser]


def open_page(page, name):
    page.goto(f"/{name}.html")
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_an_animation_moves_only_when_it_is_played(page, motion):
    page.emulate_media(reduced_motion=motion)
    open_page(page, "gallery/balancing_pole")
    picture, place = page.locator(".animation img"), page.get_by_label("frame", exact=True)
    first = picture.get_attribute("src")
    page.wait_for_timeout(500)
    assert (place.input_value(), picture.get_attribute("src")) == ("0", first)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("document.querySelector('.anim-slider').value > 1")
    page.get_by_role("button", name="Pause", exact=True).click()
    paused = place.input_value()
    page.wait_for_timeout(500)
    assert place.input_value() == paused and picture.get_attribute("src") != first


def test_a_wide_picture_scrolls_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 900})
    open_page(page, "benchmarks")
    picture = page.locator(".bd-article p > img").first
    assert picture.bounding_box()["width"] > 600
    picture.evaluate("image => image.parentElement.scrollLeft = 200")
    assert picture.evaluate("image => image.parentElement.scrollLeft") == 200


def test_pictures_are_dark_in_the_dark(page):
    page.emulate_media(color_scheme="dark")
    open_page(page, "gallery/two_layers")
    filters = "[...document.querySelectorAll('.bd-article img')].map(image => getComputedStyle(image).filter)"
    assert set(page.evaluate(filters)) == {"invert(1) hue-rotate(180deg)"}
