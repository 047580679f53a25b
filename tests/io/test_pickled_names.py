"""Pickles name classes where users find them, so that files of the package can move."""

import importlib
import pickle
import traceback

import numpy as np
import pytest

import fastnn as fn
from fastnn.layers import registry
from fastnn.sklearn import MLPClassifier, MLPRegressor
from tests.guarantees.cases import layer_of
from tests.helpers.pickled import PUBLIC, names_in

X = np.arange(24.0).reshape(12, 2) % 5
Y = X.sum(axis=1) - 4


def trained(layers=(), **settings):
    model = fn.Model([*layers, fn.Dense(1)], **{"loss": "mse", "seed": 0, **settings})
    model.fit(X, Y, epochs=2, batch_size=4)
    return model


def user_defined():
    fn.register_activation(lambda x: x / 2, lambda x: x * 0 + 0.5, "halved")
    loss = fn.register_loss(lambda y, t: (y - t) ** 2, lambda y, t: 2 * (y - t), "squared")
    schedule = fn.register_schedule(lambda step: 0.01 / (1 + step), "falling")
    return trained([fn.Dense(2, "halved")], loss=loss.scaled(0.5), optimizer=fn.SGD(schedule))


def diverged():
    model = fn.Model([fn.Dense(1)], "mse", fn.SGD(1e38), seed=0)
    with pytest.raises(fn.DivergenceError):
        model.fit(X, Y, epochs=3)
    return model


def with_layer(kind):
    """A trained model that has a layer of this kind."""
    layer = layer_of(kind)
    model = fn.Model([fn.Dense(1), layer] if layer.of_targets else [layer, fn.Dense(1)], "mse", seed=0)
    model.fit(X, Y, epochs=1)
    return model


CASES = {
    "layers": lambda: [with_layer(kind) for kind in registry.TABLE],
    "optimizers": lambda: [trained(optimizer=name) for name in fn.optimizers.TABLE],
    "activations": lambda: [fn.Dense(2, make()) for make in fn.activations.TABLE.values()],
    "losses": lambda: [make().scaled(0.5) for make in fn.losses.TABLE.values()],
    "schedules": lambda: [fn.schedules.cosine(0.1, 3), fn.schedules.constant(0.1)],
    "initializers": lambda: [fn.Dense(2, kernel_initializer=fn.initializers.normal(0.1))],
    "metrics": lambda: trained(metrics=list(fn.metrics.TABLE)[1:]),
    "callbacks": lambda: [
        fn.EarlyStopping(),
        fn.ReduceLROnPlateau(),
        fn.CSVLogger("log.csv"),
        fn.ModelCheckpoint("{epoch}.safetensors"),
        fn.Callback(),
    ],
    "user-defined": user_defined,
    "history of an error": lambda: diverged().history,
    "not built": lambda: fn.Model([fn.Standardize(), fn.Dense(2)], "cross_entropy"),
    "ensemble": lambda: fn.Ensemble([trained(), trained()]),
    "classifier": lambda: MLPClassifier(hidden_layer_sizes=(3,), max_iter=2, early_stopping=False, tol=0).fit(
        X, Y > 0
    ),
    "regressor": lambda: MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, tol=0).fit(X, Y),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_every_name_in_a_pickle_is_public(make):
    found = names_in(pickle.dumps(make()))
    assert found
    assert {module for module, _ in found} <= PUBLIC
    assert [name for module, name in found if name.startswith("_") or name not in dir_of(module)] == []


def dir_of(module):
    return set(vars(importlib.import_module(module)))


def test_public_classes_and_functions_name_the_package():
    for module in (fn, fn.onnx, fn.sklearn, fn.plot):
        values = [getattr(module, name) for name in module.__all__]
        named = [
            value for value in values if isinstance(value, type) or value.__class__.__name__ == "function"
        ]
        assert named and {value.__module__ for value in named} == {module.__name__}


def test_a_traceback_names_the_package():
    model = fn.Model([fn.Dense(1)], "mse", fn.SGD(1e38), seed=0)
    try:
        model.fit(X, Y, epochs=3)
    except ArithmeticError as error:
        assert traceback.format_exception_only(error)[-1].startswith(
            "fastnn.DivergenceError: training diverged"
        )


def test_a_kernel_may_be_renamed():
    """What is known by its name is pickled by it, without the names of kernels."""
    specifications = [fn.activations.elu(0.3), fn.losses.huber(0.2).scaled(3.0), fn.schedules.cosine(0.1, 3)]
    for one in specifications:
        content = pickle.dumps(one)
        assert one.kernel.encode() not in content
        assert pickle.loads(content) == one
    other = fn.activations.Activation("other", "layers.activation.tanh", {})
    assert pickle.loads(pickle.dumps(other)) == other
