"""What pages show beside other libraries: code of fastnn runs, and figures are those of the benchmarks."""

import re

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.doc_blocks import ROOT, read

pytestmark = pytest.mark.slow

PAGES = ["scikit_learn", "pytorch", "keras", "jax", "simplechains", "skorch"]
# They need files of other libraries, or stand for a name.
LEFT_OUT = {'fn.load_keras("m.keras")', "@njit", "fit", "build", "callbacks", "class_weight"}
LEFT_OUT |= {"X_val", "y_val", "weights", "bias"}


def spans(page):
    """The code in the second column of the table of a page."""
    rows = [line for line in read(f"docs/comparisons/{page}.md").splitlines() if line.startswith("| ")]
    return [code for row in rows[1:] for code in re.findall("`([^`]+)`", row.rsplit(" | ", 1)[1])]


def names(tmp_path):
    """What the tables take for granted: a trained classifier and its data."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 20)), rng.integers(0, 3, 200)
    model = fn.Model([fn.Dense(8, "relu"), fn.Dense(3)], "cross_entropy", seed=0)
    history = model.fit(X, y, epochs=1)
    values = {"fn": fn, "X": X, "y": y, "x": X, "dy": np.ones((200, 3)), "steps": 100, "columns": [0]}
    values |= {"loss": "cross_entropy", "auc": lambda targets, outputs: 0.5, "w": 2.0}
    values |= {"model": model, "history": history, "n_classes": 3, "n_outputs": 1}
    values |= {"models": [fn.Model([fn.Dense(3)], "cross_entropy", seed=seed) for seed in range(2)]}
    values |= {"state": model.to_torch_state(as_numpy=True), "path": str(tmp_path / "model")}
    return values


@pytest.mark.parametrize("page", PAGES)
def test_code_of_fastnn_runs(page, tmp_path, monkeypatch):
    import fastnn.onnx
    import fastnn.scipy
    from fastnn.sklearn import MLPClassifier

    monkeypatch.chdir(tmp_path)
    values = {**names(tmp_path), "fastnn": fastnn, "MLPClassifier": MLPClassifier}
    data = values["X"], values["y"]
    values["estimator"] = MLPClassifier((4,), max_iter=300, tol=0.1, random_state=0).fit(*data)
    codes = [code for code in spans(page) if code not in LEFT_OUT]
    assert len(codes) >= 4
    for code in codes:
        values["layers"] = [fn.Dense(8, "relu"), fn.Dense(3)]  # which belong to one model
        argument = re.match(r"\w+=(?!=)", code)
        exec(f"dict({code})" if argument else code, values)
    fn.set_threads(None)  # one of them sets it


NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w-])")
#: Pages with figures and the commands that measure them.
SOURCES = ["bench/README.md", "docs/deploy.md", "docs/scikit_learn.md"]


def figures(text):
    """The numbers in a text, in which commas set thousands apart."""
    return NUMBER.findall(re.sub(r"(?<=\d),(?=\d{3})", "", text))


def shown(path):
    """The figures of a page: those in its tables, or where it says what is faster."""
    text = read(path)
    if path.startswith("docs/fields/"):
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        return figures("\n".join(row.split(" | ", 1)[1] for row in rows))
    return figures(" ".join(part for part in text.split("\n\n") if part.startswith("**Faster**")))


@pytest.mark.parametrize("folder", ["fields", "comparisons"])
def test_figures_are_those_of_the_benchmarks(folder):
    measured = {float(number) for path in SOURCES for number in figures(read(path))}
    found = 0
    for file in sorted((ROOT / "docs" / folder).glob("*.md")):
        for number in shown(f"docs/{folder}/{file.name}"):
            decimals = len(number.partition(".")[2])
            assert any(float(number) == round(value, decimals) for value in measured), (file.name, number)
            found += 1
    assert found > 10
