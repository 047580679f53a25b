"""The colours of the page, in light and in dark: contrast by WCAG 2.2, level AA."""

import re

import pytest

from tests.helpers.doc_blocks import read

STYLE = read("fastnn/playground/page/style.css")
THEMES = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
COLORS = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", theme)) for theme in THEMES]
TEXT = [(ink, ground) for ink in ("ink", "quiet", "accent", "fault") for ground in ("paper", "panel")]
TEXT.append(("on-accent", "accent"))
GRAPHICS = [(ink, "paper") for ink in ("line", "training", "validation", "negative", "positive", "accent")]


def luminance(color):
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", COLORS, ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground", "least"), [(*pair, 4.5) for pair in TEXT] + [(*pair, 3) for pair in GRAPHICS]
)
def test_what_is_read_stands_out(theme, ink, ground, least):
    assert len(COLORS) == 2 and contrast(theme[ink], theme[ground]) >= least


def test_colors_are_named_in_one_place():
    assert set(re.findall(r"#[0-9a-f]{6}", STYLE)) == {color for theme in COLORS for color in theme.values()}
