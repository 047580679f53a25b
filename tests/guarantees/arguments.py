"""Every public function that takes an array of numbers: how to call it with one, and what must not change.

The models take three columns, of zeros and ones, and know three classes.
"""

from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
import fastnn.scipy
from tests.helpers.array_likes import CONVERTED, INTEGERS
from tests.helpers.rejections import state_of

X = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]], float)
PLANE = X[:, :2].copy()
LABELS = np.array([0, 1, 0, 1, 1, 0], float)
VALUES = X[:, ::-1].copy()
WEIGHT = np.array([1, 0, 1, 1, 1, 1], float)


class Argument(NamedTuple):
    """A parameter that takes an array.

    Attributes
    ----------
    plain : float64 array
        Something right.
    make : callable
        Gives what the function works on.
    call : callable
        ``call(subject, value)``, the function with this argument.
    name : str
        What a message calls it.
    optional : bool
        Whether None may stand for it.
    alone : bool
        Whether it need not be as long as another array.
    also_one_row : bool
        Whether an array of one dimension less is taken too.
    wide : bool
        Whether its columns are free.
    double : bool
        Whether it is kept in float64, so that a number may be too large for float32.
    shown : bool
        Whether a message shows of each kind what it does elsewhere.
    apart : set of str
        Kinds that others convert, but are refused here.
    without : set of str
        Kinds that mean something else here.
    """

    plain: Any
    make: Any
    call: Any
    name: str
    optional: bool = False
    alone: bool = False
    also_one_row: bool = False
    wide: bool = False
    double: bool = False
    shown: bool = True
    apart: frozenset = frozenset()
    without: frozenset = frozenset()


def model(loss="cross_entropy", n_in=3, dtype="float32"):
    n_out = 1 if loss == "mse" else 3
    made = fn.Model([fn.Dense(4, "tanh"), fn.Dropout(0.2), fn.Dense(n_out)], loss, seed=0, dtype=dtype)
    data = (X[:, :n_in], LABELS)
    made.fit(*data, epochs=2)
    return made


def new_model():
    return fn.Model([fn.Dense(4, "tanh"), fn.Dense(3)], "cross_entropy", seed=0)


def prepared():
    made = fn.Model([fn.Standardize(), fn.Dense(3)], "cross_entropy", seed=0)
    made.fit(X, LABELS)
    return made


def model_of_values():
    return model("mse")


def laplace(model):
    return fn.uncertainty.LastLayerLaplace(model)


def ensemble():
    return fn.Ensemble([model(), model(dtype="float64")])


def of_one_model(layer):
    """A layer that has been used alone, and so belongs to a model of its own."""
    if not layer.adapted:
        layer.adapt(X)
    layer(X)
    return layer


def weights_of(subject):
    """All numbers that calls may change in a model, a layer, or several of them."""
    if isinstance(subject, fn.Model) and subject.n_in is None:
        return None
    if isinstance(subject, fn.Model):
        return numbers_of(subject.state)
    if isinstance(subject, fn.Layer):
        numbers = {**subject.views, **getattr(subject, "statistics", {})}
        return {name: values.tobytes() for name, values in numbers.items()}
    return [weights_of(each) for each in getattr(subject, "models", subject) or []]


def numbers_of(state):
    return state.parameters.tobytes(), state.optimizer.tobytes(), state.constants.tobytes(), state.step


def state(subject):
    """All that a refusal must leave as it was."""
    if isinstance(subject, fn.Model):
        return state_of(subject), weights_of(subject)
    if isinstance(subject, fn.Layer):
        built = subject.executor is not None and subject.executor.is_built
        return weights_of(subject), numbers_of(subject.executor.state) if built else None
    return [state(each) for each in getattr(subject, "models", subject) or []]


def scaled(n_in=3):
    return fn.Standardize().adapt(X[:, :n_in])


def two_models():
    return [model(), model()]


def boundary(subject, X=PLANE, y=LABELS):
    try:
        axes = fn.plot.decision_boundary(subject, X, y, resolution=5)
        return [points.get_offsets() for points in axes.collections]
    finally:
        plt.close("all")


def set_statistics(layer, **numbers):
    layer.set_statistics({"mean": np.zeros(3), "scale": np.ones(3), **numbers})


def _data(function, make, call, y=LABELS, x=X, **options):
    """The rows of a function of X, y and sample_weight."""
    return {
        f"{function}: X": Argument(x, make, lambda m, v: call(m, v, y), "X", **options),
        f"{function}: y": Argument(y, make, lambda m, v: call(m, x, v), "y", **options),
        f"{function}: sample_weight": Argument(
            WEIGHT,
            make,
            lambda m, v: call(m, x, y, v),
            "sample_weight",
            optional=True,
            **{**options, "double": True},  # the common scale is free
        ),
    }


def plainly(result):
    """What of a result can be compared: figures, but neither a model nor the name of an object."""
    return None if isinstance(result, fn.Model) else getattr(result, "history", result)


def _fit(m, x, y, weight=None):
    return m.fit(x, y, sample_weight=weight, epochs=2).history


def _fit_many(models, x, y, weight=None, validation=None):
    histories = fn.fit_many(models, x, y, sample_weight=weight, validation_data=validation, epochs=2)
    return [history.history for history in histories]


def _hessian_vector_product(model, x, y, *weight):
    return model.hessian_vector_product(x, y, np.ones(model.parameters.size), *weight)


def _importance(m, x, y, weight=None):
    return fn.explain.permutation_importance(m, x, y, sample_weight=weight).values


def _minimize(m, x, y, weight=None):
    return fn.scipy.minimize(m, x, y, sample_weight=weight, options={"maxiter": 2}).x


def _least_squares(m, x, y, weight=None):
    return fn.scipy.least_squares(m, x, y, "trf", sample_weight=weight, max_nfev=2).x


def _levenberg_marquardt(m, x, y, weight=None):
    return fn.levenberg_marquardt(m, x, y, sample_weight=weight, max_evaluations=3).history


LISTS = frozenset(name for name in CONVERTED if name.startswith(("a list", "a tuple")))
# A list or tuple holds one item for each model.
MANY = LISTS | {
    "a list of strings",
    "ragged",
    "an empty list",
    "masked arrays in a list",
    "one row alone, as a list",
}
# The numbers of a state are tensors or arrays, and floating-point numbers.
NO_TENSORS = (
    LISTS | set(INTEGERS) | {"bool", "objects", "fractions", "decimals", "NumPy's numbers as objects"}
)
NO_TENSORS |= {"big-endian integers", "a mapped file of integers"}
NO_TENSORS |= {"an array interface"}

# Text and integers of any size are categories, and None is none: see `tests/data/test_categories.py`.
CATEGORIES = frozenset({"strings", "a list of strings", "an integer that is too large", "one None"})

ARGUMENTS = {
    "Model.predict: X": Argument(X, model, lambda m, v: m.predict(v), "X", alone=True, also_one_row=True),
    "Model.predict_proba: X": Argument(
        X, model, lambda m, v: m.predict_proba(v), "X", alone=True, also_one_row=True
    ),
    "Model.predict_class: X": Argument(
        X, model, lambda m, v: m.predict_class(v), "X", alone=True, also_one_row=True
    ),
    "Model.predict_distribution: X": Argument(
        X, model, lambda m, v: m.predict_distribution(v), "X", alone=True, also_one_row=True
    ),
    "Model.predict once more: X": Argument(
        X, model, lambda m, v: (m.predict(X), m.predict(v)), "X", alone=True, also_one_row=True
    ),
    "Model.__call__: X": Argument(X, model, lambda m, v: m(v), "X", alone=True, also_one_row=True),
    "Model.outputs: X": Argument(X, model, lambda m, v: m.outputs(v), "X", alone=True, also_one_row=True),
    "Model.jacobian: X": Argument(X, model, lambda m, v: m.jacobian(v), "X", alone=True, also_one_row=True),
    "Model.input_gradient: X": Argument(
        X,
        model,
        lambda m, v: m.input_gradient(v, VALUES),
        "X",
        without=frozenset({"one row alone", "one row alone, as a list"}),  # then dy is refused
    ),
    "Model.input_gradient: dy": Argument(VALUES, model, lambda m, v: m.input_gradient(X, v), "dy"),
    "Model.backward: X": Argument(
        X,
        model,
        lambda m, v: m.backward(v, VALUES),
        "X",
        without=frozenset({"one row alone", "one row alone, as a list"}),  # then dy is refused
    ),
    "Model.backward: dy": Argument(
        VALUES,
        model,
        lambda m, v: m.backward(X, v),
        "dy",
        without=frozenset({"a function", "a class"}),  # which are called
    ),
    "Model.backward: dy of a function": Argument(
        VALUES, model, lambda m, v: m.backward(X, lambda outputs: v), "dy"
    ),
    "Model.apply_gradient: gradient": Argument(
        np.arange(31) % 2.0, model, lambda m, v: plainly(m.apply_gradient(v)), "gradient"
    ),
    "saliency: X": Argument(
        X, model, lambda m, v: fn.explain.saliency(m, v), "X", alone=True, also_one_row=True
    ),
    "adversarial: X": Argument(X, model, lambda m, v: fn.explain.adversarial(m, v, LABELS, 0.1), "X"),
    "adversarial: y": Argument(LABELS, model, lambda m, v: fn.explain.adversarial(m, X, v, 0.1), "y"),
    **_data("permutation_importance", model, _importance),
    **_data("Model.evaluate", model, lambda m, *data: m.evaluate(*data)),
    **_data("Model.loss_and_gradient", model, lambda m, *data: m.loss_and_gradient(*data)),
    **_data("Model.hessian_vector_product", model, _hessian_vector_product),
    **_data("Model.fit", model, _fit),
    **_data("Model.fit of values", lambda: model("mse"), _fit),
    **_data("Model.partial_fit", model, lambda m, *data: plainly(m.partial_fit(*data))),
    **{
        name: row._replace(wide=True) if name.endswith(": X") else row
        for function in ("evaluate", "loss_and_gradient", "fit", "partial_fit")
        for name, row in _data(
            f"Model.{function}, not built",
            new_model,
            lambda m, x, y, weight=None, function=function: plainly(
                getattr(m, function)(x, y, sample_weight=weight)
            ),
        ).items()
    },
    **_data("Model.fit of float64", lambda: model(dtype="float64"), _fit, double=True),
    "Model.predict of float64: X": Argument(
        X,
        lambda: model(dtype="float64"),
        lambda m, v: m.predict(v),
        "X",
        alone=True,
        also_one_row=True,
        double=True,
    ),
    "Model.predict, not built: X": Argument(
        X, new_model, lambda m, v: m.predict(v), "X", alone=True, also_one_row=True, wide=True
    ),
    "Model.fit: validation X": Argument(
        X, model, lambda m, v: m.fit(X, LABELS, validation_data=(v, LABELS)).history, "validation X"
    ),
    "Model.fit: validation y": Argument(
        LABELS, model, lambda m, v: m.fit(X, LABELS, validation_data=(X, v)).history, "validation y"
    ),
    "Model.fit: validation weight": Argument(
        WEIGHT,
        model,
        lambda m, v: m.fit(X, LABELS, validation_data=(X, LABELS, v)).history,
        "validation sample_weight",
        optional=True,
        double=True,
    ),
    "Model.adapt: X": Argument(X, prepared, lambda m, v: m.adapt(v) and None, "X", alone=True),
    "Model.adapt: sample_weight": Argument(
        WEIGHT, prepared, lambda m, v: m.adapt(X, v) and None, "sample_weight", optional=True, double=True
    ),
    "Layer.__call__: x": Argument(
        X,
        lambda: of_one_model(fn.Dense(3)),
        lambda layer, v: layer(v),
        "x",
        alone=True,
        also_one_row=True,
    ),
    "Layer.__call__ of a scaling: x": Argument(
        X,
        lambda: of_one_model(fn.MinMax()),
        lambda layer, v: layer(v),
        "x",
        alone=True,
        also_one_row=True,
    ),
    "Dense.weights: value": Argument(
        X[:2],
        lambda: fn.Model([fn.Dense(3)], seed=0).build(2).layers[0],
        lambda layer, v: setattr(layer, "weights", v),
        "weights",
    ),
    "Dense.bias: value": Argument(
        X[0], lambda: of_one_model(fn.Dense(3)), lambda layer, v: setattr(layer, "bias", v), "bias"
    ),
    "Embedding.weights: value": Argument(
        X[:2],
        lambda: fn.Model([fn.Embedding(2, 3)], seed=0).build(1).layers[0],
        lambda layer, v: setattr(layer, "weights", v),
        "weights",
    ),
    "Layer.set_parameter: value": Argument(
        X[0], lambda: of_one_model(fn.Dense(3)), lambda layer, v: layer.set_parameter("bias", v), "bias"
    ),
    "Normalization.gamma: value": Argument(
        X[0],
        lambda: of_one_model(fn.LayerNormalization()),
        lambda layer, v: setattr(layer, "gamma", v),
        "gamma",
    ),
    "Normalization.beta: value": Argument(
        X[0],
        lambda: of_one_model(fn.LayerNormalization()),
        lambda layer, v: setattr(layer, "beta", v),
        "beta",
    ),
    **{
        f"Recurrent.{name}: value": Argument(
            values,
            lambda: fn.Model([fn.SimpleRNN(3)], seed=0).build((4, 2)).layers[0],
            lambda layer, v, name=name: setattr(layer, name, v),
            name,
            without=frozenset({"turned"} if name == "recurrent_weights" else {}),  # those are square
        )
        for name, values in {"weights": X[:2], "recurrent_weights": X[:3], "bias": X[0]}.items()
    },
    **{
        f"MultiHeadAttention.{name}: value": Argument(
            values,
            lambda: fn.Model([fn.MultiHeadAttention(1, 1)], seed=0).build((4, 3)).layers[0],
            lambda layer, v, name=name: setattr(layer, name, v),
            name,
            # Some are square, and some have one row.
            without=frozenset(
                {"projection_weights": {"turned"}, "output_weights": {"one row only"}}.get(name, ())
            ),
        )
        for name, values in {
            "projection_weights": X[:3],
            "projection_bias": X[0],
            "output_weights": X[:1],
            "output_bias": X[0],
        }.items()
    },
    "BatchNormalization.moving_mean: value": Argument(
        X[0],
        lambda: of_one_model(fn.BatchNormalization()),
        lambda layer, v: setattr(layer, "moving_mean", v),
        "moving_mean",
    ),
    "BatchNormalization.moving_variance: value": Argument(
        abs(X[0]),
        lambda: of_one_model(fn.BatchNormalization()),
        lambda layer, v: setattr(layer, "moving_variance", v),
        "moving_variance",
    ),
    "Preprocessing.adapt: X": Argument(
        X, scaled, lambda layer, v: layer.adapt(v) and None, "X", alone=True, wide=True, double=True
    ),
    "Preprocessing.adapt: sample_weight": Argument(
        WEIGHT,
        scaled,
        lambda layer, v: layer.adapt(X, v) and None,
        "sample_weight",
        optional=True,
        double=True,
    ),
    "OneHot.adapt: X": Argument(
        X,
        fn.OneHot,
        lambda layer, v: layer.adapt(v) and None,
        "X",
        alone=True,
        wide=True,
        double=True,
        without=CATEGORIES,
    ),
    "Unscale.adapt: y": Argument(
        VALUES,
        fn.Unscale,
        lambda layer, v: layer.adapt(v) and None,
        "y",
        alone=True,
        also_one_row=True,
        wide=True,
        double=True,
    ),
    "Unscale.adapt: sample_weight": Argument(
        WEIGHT,
        fn.Unscale,
        lambda layer, v: layer.adapt(VALUES, v) and None,
        "sample_weight",
        optional=True,
        double=True,
    ),
    "Preprocessing.set_statistics: mean": Argument(
        X[0], scaled, lambda layer, v: set_statistics(layer, mean=v), "mean", double=True
    ),
    "Preprocessing.set_statistics: scale": Argument(
        np.ones(3), scaled, lambda layer, v: set_statistics(layer, scale=v), "scale", double=True
    ),
    "OneHot: categories": Argument(
        np.arange(2.0),
        lambda: None,
        lambda _, v: fn.OneHot(0, categories=[v]).categories,
        "categories of a column",
        alone=True,
        double=True,
        without=CATEGORIES,
    ),
    "LastLayerLaplace.fit: X": Argument(X, model_of_values, lambda m, v: laplace(m).fit(v, LABELS), "X"),
    "LastLayerLaplace.fit: y": Argument(LABELS, model_of_values, lambda m, v: laplace(m).fit(X, v), "y"),
    "LastLayerLaplace.predict_distribution: X": Argument(
        X,
        model_of_values,
        lambda m, v: laplace(m).fit(X, LABELS).predict_distribution(v),
        "X",
        alone=True,
        also_one_row=True,
    ),
    "Model.predict of samples: X": Argument(
        X, model, lambda m, v: m.predict(v, samples=3), "X", alone=True, also_one_row=True
    ),
    "Ensemble.predict_distribution: X": Argument(
        X, ensemble, lambda e, v: e.predict_distribution(v), "X", alone=True, also_one_row=True
    ),
    "Ensemble.predict: X": Argument(
        X, ensemble, lambda e, v: e.predict(v), "X", alone=True, also_one_row=True
    ),
    "Ensemble.__call__: X": Argument(X, ensemble, lambda e, v: e(v), "X", alone=True, also_one_row=True),
    **_data("Ensemble.evaluate", ensemble, lambda e, *data: e.evaluate(*data), double=True),
    "Ensemble: weights": Argument(
        np.ones(2),
        lambda: None,
        lambda _, v: fn.Ensemble(two_models(), weights=v).weights,
        "weights",
        optional=True,
        double=True,
    ),
    **_data("fit_many", two_models, _fit_many, without=MANY),
    "fit_many: validation X": Argument(
        X, two_models, lambda m, v: _fit_many(m, X, LABELS, validation=(v, LABELS)), "validation X"
    ),
    "fit_many: validation y": Argument(
        LABELS, two_models, lambda m, v: _fit_many(m, X, LABELS, validation=(X, v)), "validation y"
    ),
    **_data("check_gradient", model, lambda m, *data: fn.check_gradient(m, *data)),
    "load_torch: source": Argument(
        X[:3, :2],
        lambda: fn.Model([fn.Dense(3, use_bias=False)], seed=0).build(2),
        lambda m, v: fn.load_torch({"0.weight": v}, m) and None,
        "'0.weight'",
        shown=False,
        apart=NO_TENSORS,
    ),
    "plot.decision_boundary: X": Argument(PLANE, lambda: model(n_in=2), boundary, "X"),
    "plot.decision_boundary: y": Argument(
        LABELS,
        lambda: model(n_in=2),
        lambda m, v: boundary(m, PLANE, v),
        "y",
        optional=True,
        double=True,
        without=frozenset({"strings", "a list of strings"}),  # names of classes
    ),
    **_data("scipy.minimize", model, _minimize),
    **_data("levenberg_marquardt", lambda: model("mse"), _levenberg_marquardt),
    **_data("scipy.least_squares", lambda: model("mse"), _least_squares),
}
