"""Pictures of benchmarks are drawn again from what is kept of them."""

import json

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra 'plot'")

from bench import pictures

pytestmark = pytest.mark.slow

CURVES = {
    name: ([1, 2, 4], {"fastnn": [1.0, 2.0, 3.0], "NumPy": [2.0, 4.0, 9.0]}) for name in ("batch", "width")
}
LIMITS = {"batch": [0.1, 0.2, 0.4], "width": [0.1, 0.2, 0.4]}


def test_the_published_table_is_read():
    ratios = pictures.published()
    assert {"xor", "wide", "lenet-5"} <= set(ratios)
    assert all(peers and min(peers.values()) > 0 for peers in ratios.values())
    assert {peer for peers in ratios.values() for peer in peers} <= set(pictures.STYLES)


def test_pictures_are_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    first = pictures.growth(CURVES, LIMITS).read_bytes()
    assert json.loads((tmp_path / "growth.json").read_text()) == json.loads(json.dumps([CURVES, LIMITS]))
    (tmp_path / "growth.png").unlink()
    pictures.main()
    assert (tmp_path / "growth.png").read_bytes() == first
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_all_that_is_compared_looks_different():
    peers = [style for name, style in pictures.STYLES.items() if "thread" not in name]
    assert len({style["color"] for style in peers}) == len({style["marker"] for style in peers}) == len(peers)
