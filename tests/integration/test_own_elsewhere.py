"""Activations, losses and schedules of the user's own in other processes: pickle, spawn, loky."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

import fastnn as fn
from fastnn import activations, losses, schedules
from fastnn.compiler import loader
from fastnn.sklearn import MLPRegressor

pytestmark = pytest.mark.slow

X, Y = scale(load_diabetes().data)[:60], scale(load_diabetes().target)[:60]
FACTOR = 2.0


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    """What a test makes is forgotten."""
    for room in (activations, losses, schedules):
        monkeypatch.setattr(room, "TABLE", dict(room.TABLE))


def bent(x):
    return FACTOR * x / (1 + abs(x))


def bent_slope(x):
    return FACTOR / (1 + abs(x)) ** 2


def pieces():
    """An activation of functions of a module, a loss of lambdas, and a schedule with a captured number."""
    rate = 0.05
    return (
        fn.register_activation(bent, bent_slope, "bent", replace="bent" in activations.TABLE),
        fn.register_loss(lambda y, t: (y - t) ** 4, lambda y, t: 4 * (y - t) ** 3, "fourth"),
        fn.register_schedule(lambda step: rate / (1 + step), "falling"),
    )


def trained():
    activation, loss, schedule = pieces()
    layers = [fn.Dense(6, activation), fn.Dense(1)]
    model = fn.Model(layers, loss.scaled(0.5), fn.SGD(schedule), dtype="float64", seed=0)
    model.fit(X, Y, epochs=2)
    return model


def goes_on(model):
    """Parameters after another epoch, with the names that the process knows then."""
    model.fit(X, Y, epochs=1)
    known = [name in room.TABLE for room, name in ((activations, "bent"), (losses, "fourth"))]
    return model.parameters.copy(), known, model.loss.factor


PROGRAM = """
import pickle, sys
import fastnn as fn

def cube(x):
    return x * x * x

{make}
if len(sys.argv) > 2:
    fn.register_activation(cube, lambda x: 3 * x * x, "cube")
    model = fn.Model([fn.Dense(3, "cube"), fn.Dense(1)], seed=0).build(1)
    pickle.dump(model, open(sys.argv[1], "wb"))
else:
    model = pickle.load(open(sys.argv[1], "rb"))
print(model.predict([[0.5]]), fn.Activation("cube")([[2.0]]))
"""


def run(path, *arguments, make=""):
    code = PROGRAM.format(make=make)
    command = [sys.executable, "-W", "error", "-c", code, str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_functions_of_the_main_program_are_in_the_pickle(tmp_path):
    """Another program's main module is another one: the functions themselves are written."""
    written, read = run(tmp_path / "model", "write"), run(tmp_path / "model")
    assert written.stdout == read.stdout != "", written.stderr + read.stderr


def test_a_program_that_made_its_own_under_the_name_keeps_it(tmp_path):
    other = 'fn.register_activation(lambda x: -x, lambda x: -1, "cube")'
    written = run(tmp_path / "model", "write").stdout.split("]]")
    read = run(tmp_path / "model", make=other).stdout.split("]]")
    assert read[0] == written[0] != "" and (read[1], written[1]) == (" [[-2.", " [[8.")


def test_spawned_processes():
    model = trained()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        parameters, known, factor = pool.apply(goes_on, (model,))
    assert known == [True, True] and factor == 0.5
    np.testing.assert_array_equal(parameters, goes_on(model)[0])


def test_loky_workers():
    model = trained()
    (parameters, known, _), _ = joblib.Parallel(2)(joblib.delayed(goes_on)(model) for _ in range(2))
    assert known == [True, True]
    np.testing.assert_array_equal(parameters, goes_on(model)[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_in_loky_workers():
    fn.register_activation(lambda x: x * x, lambda x: 2 * x, "square")
    by_name = MLPRegressor(hidden_layer_sizes=(4,), activation="square", max_iter=3, random_state=0)
    search = GridSearchCV(
        by_name, {"activation": ["square", ["square"], "relu"]}, cv=2, n_jobs=2, error_score="raise"
    )
    scores = search.fit(X, Y).cv_results_["mean_test_score"]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_in_the_same_process_compile_nothing(copied):
    model = trained()
    compiled = loader.compilations
    again = copied(model)
    assert again.layers[0].activation == model.layers[0].activation and again.loss == model.loss
    np.testing.assert_array_equal(goes_on(again)[0], goes_on(model)[0])
    assert loader.compilations == compiled
    assert joblib.hash(again) == joblib.hash(model)


def test_a_replaced_activation_stays_with_the_models_that_have_it():
    made = [fn.register_activation(lambda x: 2 * x, lambda x: 2, "times")]
    content = pickle.dumps(made[0])
    made.append(fn.register_activation(lambda x: 3 * x, lambda x: 3, "times", replace=True))
    made.append(pickle.loads(content))
    assert [fn.Activation(one)([[1.0]]).item() for one in made] == [2, 3, 2]
    assert fn.Activation("times")([[1.0]]) == 3


def test_functions_that_cannot_be_pickled():
    class Odd(float):
        lock = threading.Lock()

    factor = Odd(2)
    own = fn.register_activation(lambda x: factor * x, lambda x: factor + 0 * x, "odd")
    content = pickle.dumps(own)
    assert pickle.loads(content) == own  # it is known here
    del activations.TABLE["odd"]
    with pytest.raises(ValueError, match="'odd' is not registered here, .* write them with def in a module"):
        pickle.loads(content)


def test_functions_of_a_module_that_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "wavy.py").write_text("def wave(x):\n    return x\ndef slope(x):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import wavy

    content = pickle.dumps(fn.register_activation(wavy.wave, wavy.slope, "wavy"))
    assert b"wavy" in content and len(content) < 500  # by their names
    monkeypatch.undo()
    code = f"import pickle; pickle.loads({content!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "'wavy' were not found here: No module named 'wavy'; make their module" in done.stderr
