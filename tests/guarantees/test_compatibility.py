"""Promise 8: files of every released version load; the noxfile tests the versions that are named."""

import ast
import importlib.metadata
import pickle
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.pickled import PUBLIC, names_in
from tests.helpers.tolerances import TRAINING

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "fixtures"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSIONS = sorted(path.stem for path in DATA.glob("version_*.npz"))


def load(name, kind):
    if kind == "safetensors":
        return fn.load(DATA / f"{name}.safetensors")
    return pickle.loads((DATA / f"{name}.pickle").read_bytes())


def test_there_are_files_of_each_released_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changes, re.MULTILINE)
    assert {f"version_{version}" for version in [*released, "0.1.0"]} <= set(VERSIONS)


@pytest.mark.parametrize("kind", ["safetensors", "pickle"])
@pytest.mark.parametrize("name", VERSIONS)
def test_a_file_of_an_earlier_version(name, kind):
    """It predicts what it did, and trains on as it did then; bits may differ on another CPU."""
    model, then = load(name, kind), np.load(DATA / f"{name}.npz")
    X, y = then["X"], then["y"]
    assert_allclose(model.predict(X), then["predictions"], **TRAINING["float32"])
    assert (model.state.epoch, model.state.step) == (3, 12)
    history = model.fit(X, y, epochs=2, batch_size=16)
    assert_allclose(history.history["loss"], then["losses"], **TRAINING["float32"])
    assert_allclose(model.predict(X), then["later"], **TRAINING["float32"])


@pytest.mark.parametrize("name", VERSIONS)
def test_a_pickle_names_public_classes_only(name):
    found = names_in((DATA / f"{name}.pickle").read_bytes())
    assert ("fastnn", "Model") in found and {module for module, _ in found} <= PUBLIC


@pytest.mark.parametrize("name", VERSIONS)
def test_a_file_saved_again_is_the_same(name, tmp_path):
    model = load(name, "safetensors")
    model.save(tmp_path / "again.safetensors", training=True)
    again = fn.load(tmp_path / "again.safetensors")
    assert np.array_equal(again.parameters, model.parameters)
    assert [layer.config() for layer in again.layers] == [layer.config() for layer in model.layers]


def test_the_version_is_that_of_what_is_installed():
    assert "version" in PROJECT["dynamic"]
    assert fn.__version__ == importlib.metadata.version(PROJECT["name"])


def test_the_noxfile_begins_with_the_oldest_python():
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    found = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PYTHONS"
    ]
    assert found[0][0] == PROJECT["requires-python"].removeprefix(">=")
    assert len(found[0]) >= 3


def test_every_dependency_says_its_oldest_version():
    """The noxfile installs just those."""
    assert all(re.fullmatch(r"[\w-]+>=\d+(\.\d+)+", entry) for entry in PROJECT["dependencies"])
