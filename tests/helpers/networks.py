"""Whole networks for tests: the plain NumPy twin of a model, and points away from kinks."""

import numpy as np

import fastnn as fn
from tests.helpers.reference import ACTIVATIONS, LOSSES, dense_backward, dense_forward, double, l1_l2

# Each with its settings; where a function has a kink, the inputs at which it has one.
ACTIVATION_CASES = [(name, {}) for name in sorted(ACTIVATIONS)] + [
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": 0.0}),
    ("leaky_relu", {"negative_slope": -0.4}),
    ("elu", {"alpha": 0.5}),
    ("elu", {"alpha": 2.0}),
]
ACTIVATION_IDS = [
    "-".join([name, *(f"{value:g}" for value in settings.values())]) for name, settings in ACTIVATION_CASES
]
KINKS = {"relu": [0.0], "leaky_relu": [0.0], "elu": [0.0], "selu": [0.0], "hard_tanh": [-1.0, 1.0]}

MARGIN = 1e-4  # a hundred times the step of a central difference


def activation(case):
    name, settings = case
    return getattr(fn.activations, name)(**settings)


def randomize(model, rng):
    """Draw all parameters from a normal distribution, so that layers of all widths give numbers of size 1."""
    for layer in model.layers:
        if isinstance(layer, fn.Dense):
            n_in, n_out = layer.weights.shape
            layer.weights = rng.normal(0, 1 / np.sqrt(n_in), (n_in, n_out))
            if layer.use_bias:
                layer.bias = rng.normal(0, 0.5, n_out)


def outputs_for(loss, n_out):
    """About so many outputs, as many as a loss has a use for."""
    own = fn.losses.get(loss)
    if own.pairs_outputs or own.target == "ranks":
        return n_out
    return own.blocks * (max(1, n_out // own.blocks - own.apart) + own.apart)


def draw_target(loss, rows, n_out, rng, kind="values"):
    """Targets that suit a loss; `kind` is one of values, labels, one_hot, soft."""
    own = fn.losses.get(loss)
    if own.target == "ranks":
        return rng.integers(0, n_out + 1, rows)
    if own.target == "signs":
        return rng.choice([-1, 1], (rows, n_out))
    if own.rowwise and kind == "values":
        return rng.normal(size=(rows, own.n_targets(n_out)))
    if kind == "labels":
        return rng.integers(0, n_out, rows)
    if kind == "one_hot":
        return np.eye(n_out)[rng.integers(0, n_out, rows)]
    if kind == "soft":
        return rng.dirichlet(np.ones(n_out), rows)
    if loss == "poisson":
        return rng.poisson(2.0, (rows, n_out)).astype(float)
    return (
        rng.uniform(0, 1, (rows, n_out)) if loss == "binary_cross_entropy" else rng.normal(size=(rows, n_out))
    )


def target_kind(loss):
    return "labels" if fn.losses.get(loss).target == "classes" else "values"


def steps(model):
    """The layers as single steps: (layer or None, activation or None)."""
    for layer in model.layers:
        if isinstance(layer, fn.Dense):
            yield layer, None
        if not isinstance(layer, fn.Dropout) and layer.activation is not None:
            yield None, layer.activation
        if isinstance(layer, fn.Dropout):
            yield layer, None


def inputs(model, X, masks=None):
    """Input of each step, and the output last. `masks` maps Dropout layers to factors."""
    values = [double(X)]
    for layer, act in steps(model):
        x = values[-1]
        if act is not None:
            values.append(ACTIVATIONS[act.name][0](x, **act.settings))
        elif isinstance(layer, fn.Dense):
            values.append(dense_forward(x, layer.weights, layer.bias if layer.use_bias else None))
        else:
            values.append(x if masks is None else x * masks[layer])
    return values


# (loss, last activation) -> the loss of what goes into that
FROM_LOGITS = {
    ("cross_entropy", "softmax"): "cross_entropy",
    ("cross_entropy", "log_softmax"): "cross_entropy",
    ("nll", "softmax"): "cross_entropy",
    ("nll", "log_softmax"): "cross_entropy",
    ("binary_cross_entropy", "sigmoid"): "binary_cross_entropy",
}


def plain_loss_and_gradient(model, X, y, sample_weight=None, masks=None):
    """`Model.loss_and_gradient` in plain NumPy; with `masks` that of a training step."""
    values, taken = inputs(model, X, masks), list(steps(model))
    last, name = taken[-1][1], model.loss.name
    if last is not None and (name, last.name) in FROM_LOGITS:
        name = FROM_LOGITS[name, last.name]
        del values[-1], taken[-1]
    loss, d = LOSSES[name](values[-1], y, sample_weight, **model.loss.settings)
    gradients = []
    for (layer, act), x in reversed(list(zip(taken, values, strict=False))):
        if act is not None:
            d = ACTIVATIONS[act.name][1](x, d, **act.settings)
        elif isinstance(layer, fn.Dense):
            penalty, penalty_gradient = l1_l2(layer.weights, layer.l1, layer.l2)
            d, weights, bias = dense_backward(x, layer.weights, d)
            loss += penalty
            gradients = [
                (weights + penalty_gradient).ravel(),
                *([bias] if layer.use_bias else []),
                *gradients,
            ]
        elif masks is not None:
            d = d * masks[layer]
    return loss, np.concatenate([np.zeros(0), *gradients])


def distance_from_kinks(model, X, y):
    """How far the nearest number is from a kink of its function.

    A number that is exactly there was put there by the function before, and stays there.
    """
    values = inputs(model, X)
    distances = [np.inf]
    for (layer, act), x in zip(steps(model), values, strict=False):
        if act is not None:
            distances += [np.abs(x - kink) for kink in KINKS.get(act.name, [])]
        elif isinstance(layer, fn.Dense) and layer.l1:
            distances.append(np.abs(layer.weights))
    if model.loss.name in ("mae", "quantile", "huber"):
        error = np.abs(values[-1] - y)
        distances.append(
            np.abs(error - model.loss.settings["delta"]) if model.loss.name == "huber" else error
        )
    flat = np.concatenate([np.ravel(d) for d in distances])
    return flat[flat > 0].min()


def draw_point(model, rows, n_in, rng, kind=None):
    """Parameters, samples and targets that are away from all kinks."""
    model.build(n_in)
    for _ in range(100):
        randomize(model, rng)
        X = rng.normal(size=(rows, n_in))
        y = draw_target(model.loss.name, rows, model.n_out, rng, kind or target_kind(model.loss.name))
        if distance_from_kinks(model, X, y) > MARGIN:
            return X, y
    raise AssertionError("no point away from the kinks was found")


def deep(activations, units=5):
    return [fn.Dense(units, name) for name in activations]


# Layers in a row, where an output may lie where its input was: what may be overwritten, and what not.
STACKS = {
    "two activations": lambda: [fn.Dense(5), fn.Activation("sigmoid"), fn.Activation("relu"), fn.Dense(3)],
    "three after a dense": lambda: [
        fn.Dense(5, "tanh"),
        *map(fn.Activation, ("gelu", "softplus")),
        fn.Dense(3),
    ],
    "gelu after softmax": lambda: [fn.Dense(5, "softmax"), fn.Activation("gelu"), fn.Dense(3)],
    "softmax after gelu": lambda: [fn.Dense(5, "gelu"), fn.Activation("softmax")],
    "log_softmax twice": lambda: [fn.Dense(5, "log_softmax"), fn.Activation("log_softmax"), fn.Dense(3)],
    "all of them in a row": lambda: [
        fn.Dense(5),
        *(fn.Activation(activation(case)) for case in ACTIVATION_CASES),
        fn.Dense(3),
    ],
    "all of them at the end": lambda: [
        fn.Dense(5),
        *(fn.Activation(activation(case)) for case in reversed(ACTIVATION_CASES)),
    ],
    "activation first": lambda: [fn.Activation("tanh"), fn.Dense(5, "silu"), fn.Dense(3)],
    "activations first": lambda: [*map(fn.Activation, ("gelu", "sigmoid", "silu")), fn.Dense(5), fn.Dense(3)],
    "dropout first": lambda: [fn.Dropout(0.3), fn.Dense(5, "tanh"), fn.Dense(3)],
    "dropouts first": lambda: [fn.Dropout(0.3), fn.Dropout(0.2), fn.Activation("tanh"), fn.Dense(3)],
    "dropout between": lambda: [fn.Dense(5, "elu"), fn.Dropout(0.5), fn.Dense(3)],
    "dropout before activation": lambda: [
        fn.Dense(5),
        fn.Dropout(0.5),
        fn.Activation("sigmoid"),
        fn.Dense(3),
    ],
    "dropout before gelu": lambda: [fn.Dense(5), fn.Dropout(0.5), fn.Activation("gelu"), fn.Dropout(0.1)],
    "dropout between activations": lambda: [
        fn.Dense(5, "sigmoid"),
        fn.Dropout(0.5),
        fn.Activation("tanh"),
        fn.Dropout(0.5),
        fn.Dropout(0.5),
        fn.Activation("silu"),
        fn.Dense(3),
    ],
    "dropout last": lambda: [fn.Dense(5, "tanh"), fn.Dense(3, "softplus"), fn.Dropout(0.5)],
    "identity": lambda: [fn.Dense(5, "identity"), fn.Activation("identity"), fn.Dense(3, "identity")],
    "identity between activations": lambda: [
        fn.Dense(5, "sigmoid"),
        fn.Activation("identity"),
        fn.Activation("identity"),
        fn.Activation("silu"),
        fn.Activation("identity"),
        fn.Dense(3),
    ],
    "no activation": lambda: [fn.Dense(5), fn.Dense(2), fn.Dense(7)],
    "narrow between wide": lambda: [
        fn.Dense(33, "tanh"),
        fn.Dense(1, "tanh"),
        fn.Dense(17, "tanh"),
        fn.Dense(2),
    ],
    "wide input, narrow layers": lambda: [fn.Dense(1, "tanh"), fn.Dense(2)],
    "deep": lambda: deep(["tanh", "sigmoid", "silu", "gelu", "softplus", "elu"] * 3),
    "deeper": lambda: deep(["tanh"] * 50, 2),
}
