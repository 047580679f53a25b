"""Numbers and flags of all public classes and functions, by their annotations: wrong kinds are refused."""

import inspect
import re

import numpy as np
import pytest

import fastnn as fn
from fastnn.layers import registry
from tests.guarantees.cases import ARGUMENTS, LAYER_ARGUMENTS

RATE = {"learning_rate": 0.1}
DATA = {"model": fn.Model([fn.Dense(2)], "mse").build(3), "X": np.ones((4, 3)), "y": np.ones((4, 2))}
IMAGES = fn.Model([fn.Conv2D(2, 1)]).build((4, 4, 1))


def _needed_by_layers():
    """Arguments of all layers that cannot be made without, by the names of the parameters."""
    for kind, layer in registry.TABLE.items():
        given = ARGUMENTS.get(kind) or LAYER_ARGUMENTS.get(kind, tuple)()
        if given:
            yield layer.__name__, inspect.signature(layer).bind(*given).arguments


#: What cannot be left out, by the name of the class or function.
SAMPLED = {"self": fn.Model([fn.Dropout(0.1)]).build(3), "X": np.ones((4, 3)), "samples": 2}
NEEDED = {
    **dict(_needed_by_layers()),
    "explain.integrated_gradients": {"model": DATA["model"], "X": DATA["X"]},
    "explain.activation_maximization": {"model": DATA["model"]},
    "Impute": {"strategy": "constant"},
    "load_keras": {"path": "never-read"},
    "explain.dream": {"model": IMAGES, "image": np.ones((4, 4, 1)), "layer": 0},
    "explain.adversarial": {**DATA, "epsilon": 0.1},
    "explain.permutation_importance": DATA,
    "CSVLogger": {"path": "never-written"},
    "JSONLines": {"path": "never-written"},
    "ModelCheckpoint": {"path": "never-written"},
    "Model": {"layers": [fn.Dense(2)]},
    "Model.build": {"self": fn.Model([fn.Dense(2)]), "n_in": 3},
    "Model.network": {"self": fn.Model([fn.Dense(2)]).build(3)},
    "Model.save": {"self": fn.Model([fn.Dense(2)]).build(3), "path": "never-written"},
    "Model.fit": {"self": fn.Model([fn.Dense(2)], "mse"), "X": np.ones((4, 3)), "y": np.ones((4, 2))},
    "Model.partial_fit": {"self": fn.Model([fn.Dense(2)], "mse"), "X": np.ones((4, 3)), "y": np.ones((4, 2))},
    "Model.predict": SAMPLED,
    "Model.predict_distribution": SAMPLED,
    "check_gradient": {"model": fn.Model([fn.Dense(2)], "mse"), "X": np.ones((4, 3)), "y": np.ones((4, 2))},
    "levenberg_marquardt": DATA,
    "fit_many": {"models": [fn.Model([fn.Dense(2)], "mse")], "X": np.ones((4, 3)), "y": np.ones((4, 2))},
    "initializers.constant": {"value": 1.0},
    "schedules.constant": RATE,
    "schedules.step": {**RATE, "every": 3},
    "schedules.exponential": {**RATE, "every": 3, "factor": 0.5},
    "schedules.cosine": {**RATE, "steps": 20},
    "schedules.one_cycle": {**RATE, "steps": 20},
    "set_threads": {"threads": 1},
    "register_activation": {"forward": lambda x: x, "derivative": lambda x: 1, "name": "never_made"},
    "register_loss": {
        "value": lambda y, t: y,
        "derivative": lambda y, t, out: None,
        "name": "never_made",
        "rowwise": True,
    },
    "register_schedule": {"function": lambda step: step, "name": "never_made"},
}
NOT_NUMBERS = ["1", True, np.True_, [1.0], np.ones(2), 1j, {}, np.datetime64(0, "s"), np.ma.masked]
WRONG = {
    "int": [*NOT_NUMBERS, 1.5, np.nan, np.float32(2.5), None],
    "float": [*NOT_NUMBERS, None],
    "bool": ["yes", 1, 0.0, None, [True], np.ones(2, bool)],
}
NOT_FINITE = [np.nan, np.inf, -np.inf, np.float32(np.nan), 10**400]


#: What only the library itself makes.
NOT_OF_THE_USER = (Exception, tuple, int, fn.History)


def public_functions():
    """Name -> class or function, for all that `fastnn.__all__` names and for what its modules hold."""
    for name in fn.__all__:
        value = getattr(fn, name)
        if inspect.ismodule(value) and name not in ("plot", "callbacks", "optimizers"):
            for own, function in inspect.getmembers(value, inspect.isfunction):
                if function.__module__ == value.__name__ and not own.startswith("_") and own != "get":
                    yield f"{name}.{own}", function
        elif inspect.isclass(value) and not issubclass(value, NOT_OF_THE_USER):
            yield name, value
        elif inspect.isfunction(value):
            yield name, value
    for method in ("build", "network", "save", "fit", "partial_fit", "predict", "predict_distribution"):
        yield f"Model.{method}", getattr(fn.Model, method)


def parameters():
    """(name of the function, function, parameter, kind, whether None will do) for numbers and flags."""
    for name, function in public_functions():
        for parameter in inspect.signature(function).parameters.values():
            words = re.findall(r"\w+", str(parameter.annotation))
            kind = next((word for word in words if word in WRONG), None)
            if kind and set(words) <= {kind, "None", "Schedule"}:
                yield name, function, parameter.name, kind, "None" in words


CASES = list(parameters())


@pytest.mark.parametrize(("name", "function", "parameter", "kind", "optional"), CASES)
def test_wrong_kinds_of_numbers_and_flags(name, function, parameter, kind, optional):
    needed = NEEDED.get(name, {})
    for value in WRONG[kind]:
        if value is None and optional:
            continue
        with pytest.raises(TypeError) as caught:
            function(**{**needed, parameter: value})
        assert parameter in str(caught.value) and repr(value) in str(caught.value)
    for value in NOT_FINITE if kind == "float" else []:
        with pytest.raises(ValueError) as caught:
            function(**{**needed, parameter: value})
        assert parameter in str(caught.value) and repr(value) in str(caught.value)


def test_parameters_are_found():
    found = {(name, parameter) for name, _, parameter, _, _ in CASES}
    some = {("Dense", "units"), ("Adam", "beta_1"), ("Model.fit", "epochs"), ("losses.huber", "delta")}
    assert some <= found
    assert len(found) > 80
