"""Wrong options of `fit`: the message shows what was given, and nothing has changed."""

import numpy as np
import pytest

import fastnn as fn
from tests.helpers.rejections import BAD, INF, LABELS, NAN, N, X, changed, network, refused, target, trained


class Thing:
    """Neither a callback nor a function."""


OPTIONS = {
    "class_weight": [
        ("even", ValueError, "'even'"),
        ([1, 2, 3], TypeError, "[1, 2, 3]"),
        (2.0, TypeError, "2.0"),
        ({0: -1.5}, ValueError, "-1.5"),
        ({0: NAN}, ValueError, "nan"),
        ({0: "a"}, TypeError, "'a'"),
        ({-3: 1}, ValueError, "-3"),
        ({0.5: 1}, TypeError, "0.5"),
        ({"a": 1}, TypeError, "'a'"),
        ({True: 1}, TypeError, "True"),
        ({0: 0, 1: 0, 2: 0}, ValueError, "zero"),
        ({10**15: 1.0}, ValueError, "1000000000000000"),
    ],
    "epochs": [
        (-1, ValueError, "-1"),
        (1.5, TypeError, "1.5"),
        (True, TypeError, "True"),
        ("3", TypeError, "'3'"),
        (None, TypeError, "None"),
    ],
    "batch_size": [
        (0, ValueError, "0"),
        (-3, ValueError, "-3"),
        (2.5, TypeError, "2.5"),
        (True, TypeError, "True"),
        ("all", TypeError, "'all'"),
    ],
    "threads": [
        (0, ValueError, "0"),
        (-2, ValueError, "-2"),
        (1.5, TypeError, "1.5"),
        (True, TypeError, "True"),
    ],
    "shuffle": [
        (1, TypeError, "1"),
        ("batch", TypeError, "shuffle must be True, False, or a function that gives the order"),
        ("yes", TypeError, "'yes'"),
        (None, TypeError, "None"),
    ],
    "validation_split": [
        (1, ValueError, "1"),
        (1.5, ValueError, "1.5"),
        (-0.25, ValueError, "-0.25"),
        (NAN, ValueError, "nan"),
        ("a", TypeError, "'a'"),
        (True, TypeError, "True"),
        (0.99, ValueError, "0.99"),
    ],
    "validation_data": [
        ((X,), ValueError, "validation_data"),
        (X, ValueError, "validation_data"),
        (3, ValueError, "3"),
        ((X[:, :2], LABELS), ValueError, "(6, 2)"),
        ((changed(X, (4, 0), NAN), LABELS), ValueError, "nan at (4, 0)"),
        ((X[0], LABELS[:1]), ValueError, "(3,)"),
        ((X, LABELS + 1), ValueError, "got 3"),
        ((X, LABELS[:5]), ValueError, "(5,)"),
        ((X, LABELS, np.zeros(N)), ValueError, "zero"),
        ((X, LABELS, -np.ones(N)), ValueError, "-1"),
    ],
    "callbacks": [
        ([3], TypeError, "3"),
        ([None], TypeError, "None"),
        ([fn.EarlyStopping], TypeError, "EarlyStopping"),
        ([Thing()], TypeError, "Thing"),
        (fn.EarlyStopping(), TypeError, "callbacks"),
        (None, TypeError, "callbacks"),
        (3, TypeError, "callbacks"),
    ],
    "verbose": [
        (3, ValueError, "3"),
        ("yes", ValueError, "'yes'"),
        (None, BAD, "None"),
        ([0, 1], BAD, "[0, 1]"),
    ],
}
OPTION_CASES = [(name, *case) for name, cases in OPTIONS.items() for case in cases]


@pytest.mark.parametrize("make", [network, trained])
@pytest.mark.parametrize(("option", "value", "error", "piece"), OPTION_CASES)
def test_options_of_fit(option, value, error, piece, make):
    model = make()
    refused(model, lambda: model.fit(X, LABELS, **{option: value}), error, piece)


@pytest.mark.parametrize("make", [network, trained])
@pytest.mark.parametrize(
    ("model_options", "fit_options", "piece"),
    [
        ({}, {"validation_data": (X, LABELS), "validation_split": 0.5}, "0.5"),
        ({}, {"sample_weight": [0, 0, 0, 1, 1, 1], "validation_split": 0.5}, "zero"),
        ({}, {"sample_weight": [1, 1, 1, 0, 0, 0], "validation_split": 0.5}, "zero"),
        ({}, {"sample_weight": [1, 0] * 3, "class_weight": {0: 0, 2: 0, 1: 0}}, "zero"),
        ({"loss": "mse"}, {"class_weight": "balanced"}, "mse"),
        ({"loss": "binary_cross_entropy"}, {"class_weight": [{0: 1}]}, "each of the 3 labels, got 1"),
    ],
)
def test_options_that_do_not_go_together(model_options, fit_options, piece, make):
    model = make(**model_options)
    refused(model, lambda: model.fit(X, target(model), **fit_options), ValueError, piece)


@pytest.mark.parametrize("make", [network, trained])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("learning_rate", -0.5, ValueError),
        ("learning_rate", NAN, ValueError),
        ("learning_rate", "fast", TypeError),
        ("learning_rate", None, TypeError),
        ("beta_1", 1.0, ValueError),
        ("epsilon", True, TypeError),
        ("clipvalue", 0.0, ValueError),
        ("global_clipnorm", -1.0, ValueError),
        ("weight_decay", INF, ValueError),
    ],
)
def test_optimizer_changed_for_the_worse(name, value, error, make):
    model = make()
    setattr(model.optimizer, name, value)
    refused(model, lambda: model.fit(X, LABELS), error, f"{name} must be")
    model.optimizer = "sgd"
    model.fit(X, LABELS)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_after_many_refusals_training_is_as_ever(loss):
    model, other = trained(loss=loss), trained(loss=loss)
    for name, value, error, _ in OPTION_CASES:
        if name not in ("class_weight", "validation_data"):
            with pytest.raises(error):
                model.fit(X, target(model), **{name: value})
    records = [m.fit(X, target(model), epochs=2, batch_size=2) for m in (model, other)]
    assert records[0].history == records[1].history
    assert np.array_equal(model.parameters, other.parameters)
