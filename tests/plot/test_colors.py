"""The colours of pictures: told apart with any colour vision, in front of white and in the dark."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.plot import _style
from tests.helpers.color_vision import KINDS, contrast, difference, lab, turned

plt = pytest.importorskip("matplotlib.pyplot", reason="pictures need matplotlib, the extra 'plot'")

ROOT = Path(__file__).parents[2]
DARK = "#14181e"  # the pages of the site, in the dark
GRAPHICS = 3.0  # the least contrast, by WCAG 2.2
APART = 15.0
DRAWN = [*ROOT.glob("examples/*.py"), *ROOT.glob("docs/lessons/*.py"), *ROOT.glob("bench/*.py")]


def pairs_alike(colors, kind):
    return [pair for pair in combinations(colors, 2) if difference(*pair, kind) < APART]


@pytest.mark.parametrize("kind", KINDS)
def test_colors_are_told_apart(kind):
    assert pairs_alike(_style.COLORS, kind) == []
    assert pairs_alike([turned(color) for color in _style.COLORS], kind) == []


def test_red_and_green_would_be_found():
    default = plt.rcParamsDefault["axes.prop_cycle"].by_key()["color"]
    assert pairs_alike(default[:4], "all cones") == []
    assert pairs_alike(default[:4], "deuteranopia") == [tuple(default[2:4])]


@pytest.mark.parametrize("color", [*_style.COLORS, _style.GREY, _style.FAINT])
def test_colors_stand_out(color):
    assert contrast(color, "#ffffff") >= GRAPHICS
    assert contrast(turned(color), DARK) >= GRAPHICS


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.01)
    assert contrast("#E69F00", "#ffffff") < GRAPHICS


@pytest.mark.parametrize("kind", KINDS)
def test_maps_show_order(kind):
    values = np.linspace(0, 1, 64)
    lightness = [lab(color[:3], kind)[0] for color in plt.colormaps[_style.SEQUENTIAL](values)]
    assert np.all(np.diff(lightness) > 0)
    both = [lab(color[:3], kind) for color in _style.diverging()(values)]
    lightness = np.array([color[0] for color in both])
    assert np.all(np.diff(lightness[:32]) > 0) and np.all(np.diff(lightness[32:]) < 0)
    assert np.linalg.norm(both[0] - both[-1]) > 60  # the ends differ by more than lightness


def test_style_is_what_matplotlib_takes():
    with plt.rc_context(fn.plot.style()):
        figure, ax = plt.subplots()
        lines = ax.plot([0, 1], np.arange(16).reshape(2, 8))
        ax.set_xlabel("x")
        assert [line.get_color() for line in lines] == [*_style.COLORS, _style.COLORS[0]]
        assert figure.get_layout_engine() is not None
        assert ax.imshow([[0.0]]).get_cmap().name == _style.SEQUENTIAL


def test_lines_differ_in_more_than_color():
    X = np.linspace(0, 1, 20).reshape(-1, 1)
    model = fn.Model([fn.Dense(3)], "cross_entropy", seed=0)
    history = model.fit(X, np.arange(20) % 3, epochs=3)
    ax = fn.plot.decision_boundary(model, X)
    assert len({line.get_linestyle() for line in ax.lines}) == 3
    _, ax = plt.subplots()
    for label in ("a", "b"):
        history.plot(label=label, ax=ax)
    assert len({line.get_marker() for line in ax.lines}) == 2


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_programs_take_the_colors_of_the_style(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"#[0-9a-fA-F]{6}|[\"']tab:\w+", text) == []
    assert set(re.findall(r"cmap=\"(\w+)\"", text)) <= {"viridis", "gray", "gray_r", "RdBu_r"}
    if re.search(r"[\"']C\d[\"'\-]", text):
        assert "fn.plot.style()" in text


def test_there_are_programs_that_draw():
    assert len([path for path in DRAWN if "fn.plot.style()" in path.read_text(encoding="utf-8")]) > 30
