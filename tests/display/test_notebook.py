"""The learning rate in the history, histories as tables, and what notebooks show."""

import math
import re
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest

import fastnn as fn

X, Y = fn.datasets.spiral(30, 3, seed=0)
HOSTILE = "<script>alert('x')</script>&\"'"


def trained(optimizer="adam", epochs=5, **options):
    model = fn.Model([fn.Dense(4), fn.Dense(3)], loss="cross_entropy", optimizer=optimizer, seed=0)
    model.fit(X, Y, epochs=epochs, batch_size=30, **options)
    return model


# ---- the learning rate


def test_the_learning_rate_of_each_epoch():
    assert trained(fn.SGD(0.25)).history.learning_rate == [0.25] * 5
    # three steps an epoch: the rate is that of steps 2, 5, 8, ...
    history = trained(fn.SGD(fn.schedules.step(1.0, every=4, factor=0.5))).history
    assert history.learning_rate == [1, 0.5, 0.25, 0.25, 0.125]
    assert set(history.history) == {"loss", "accuracy"}  # the names that users rely on


def test_a_callback_that_lowers_the_rate():
    lower = fn.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=1e9)
    history = trained(fn.SGD(1.0), callbacks=[lower], validation_split=0.1, threads=2).history
    assert history.learning_rate[0] == 1 and history.learning_rate[-1] < 0.2
    assert len(history.learning_rate) == len(history.epoch)


def test_an_interrupted_epoch_has_no_rate():
    history = fn.History()
    history.append({"loss": [1.0, 0.5]}, [0.1, 0.2])
    history.history["val_loss"] = [2.0]
    history.trim()
    assert history.learning_rate == [0.1] and history.epoch == [0]


def test_to_pandas():
    pytest.importorskip("pandas", reason="makes a DataFrame")
    history = trained(validation_split=0.2).history
    frame = history.to_pandas()
    assert frame.columns.tolist() == ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert frame.index.name == "epoch" and frame.index.tolist() == history.epoch
    assert frame["val_loss"].tolist() == history.history["val_loss"]
    assert len(fn.History().to_pandas()) == 0


# ---- notebooks


class Reader(HTMLParser):
    """Tags, which must be closed in their order, and texts of the cells."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.append(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())


ALLOWED = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "svg", "polyline"}
FOLDED = {"details", "summary", "pre"}


def test_a_model():
    reader = Reader(trained()._repr_html_())
    assert set(reader.tags) <= ALLOWED | FOLDED
    assert reader.texts[:2] == ["Model", "\N{MIDDLE DOT} cross_entropy \N{MIDDLE DOT} Adam"]
    rows = [["layer", "output shape", "parameters", "mult-adds"],
            ["Dense(4)", "(n, 4)", "12", "8"], ["Dense(3)", "(n, 3)", "15", "12"]]  # fmt: skip
    assert reader.texts[2:14] == sum(rows, [])
    assert reader.texts[14] == "Total parameters: 27 (108 bytes), float32"
    assert reader.texts[18].startswith("Memory to train with batch_size=32: ")
    assert "not built yet" in Reader(fn.Model([fn.Dense(4)])._repr_html_()).texts[-1]


def test_a_history():
    history = trained(validation_split=0.2, epochs=400).history
    html = history._repr_html_()
    reader = Reader(html)
    assert set(reader.tags) <= ALLOWED and reader.tags.count("polyline") == 4
    assert reader.texts[1] == "\N{MIDDLE DOT} 400 epochs"
    row = reader.texts.index("val_loss")
    values = history.history["val_loss"]
    shown = [float(text) for text in reader.texts[row + 1 : row + 5]]
    assert shown == pytest.approx([values[0], values[-1], min(values), max(values)], rel=1e-3)
    assert len(html) < 20_000
    assert Reader(fn.History()._repr_html_()).tags.count("tr") == 1


def test_colours_are_those_of_the_page_and_all_can_be_reached_by_keyboard():
    for html in (trained()._repr_html_(), trained().history._repr_html_()):
        assert "color:" not in html and "background" not in html  # light or dark, whatever the page is
        assert html.count("stroke=") == html.count('stroke="currentColor"')
        assert html.count("overflow-x:auto") == html.count('role="region"') == html.count('tabindex="0"') == 1
        assert html.count("<svg") == len(
            re.findall('<svg[^>]* role="img" aria-label="[a-z]+ over the epochs"', html)
        )
        assert html.count("<th") == html.count('<th scope="col"') + html.count("<thead>")
        assert "></th>" not in html  # each column has a name


def test_hostile_names_are_escaped():
    class Strange(fn.Dropout):
        def __repr__(self):
            return HOSTILE

    model = fn.Model([Strange(0.1), fn.Dense(2)], loss="mse")
    reader = Reader(model._repr_html_())
    assert set(reader.tags) <= ALLOWED | FOLDED and HOSTILE in reader.texts
    history = fn.History()
    history.append({HOSTILE: [1.0, math.nan, math.inf, 2.0], "one": [1.0] * 4}, [0.1] * 4)
    html = history._repr_html_()
    reader = Reader(html)
    assert set(reader.tags) <= ALLOWED and HOSTILE in reader.texts
    assert f'aria-label="{escape(HOSTILE)} over' in html and HOSTILE not in html
    points = html.split('points="')[1].split('"')[0].split()
    assert np.isfinite([float(number) for point in points for number in point.split(",")]).all()
