"""Wherever a name is looked up, a misspelt one is told the nearest."""

import inspect
import itertools

import numpy as np
import pytest

import fastnn as fn
from fastnn import activations, initializers, losses, metrics, optimizers, schedules
from fastnn.__main__ import main
from fastnn.checks import validate
from fastnn.checks.attributes import KnownArguments
from fastnn.checks.hints import listed, nearest
from fastnn.layers import registry

X, Y = np.zeros((6, 4)), np.zeros(6)


def misspelt(name):
    """The name with its first letter twice: no other name is as near."""
    return name[0] + name


# --- tables of names

TABLES = {
    "activation": (activations.TABLE, lambda name: fn.Dense(1, name)),
    "activation of a layer": (activations.TABLE, fn.Activation),
    "loss": (losses.TABLE, lambda name: fn.Model([fn.Dense(1)], name)),
    "metric": (metrics.TABLE, lambda name: fn.Model([fn.Dense(1)], "mse", metrics=[name])),
    "optimizer": (optimizers.TABLE, lambda name: fn.Model([fn.Dense(1)], "mse", name)),
    "initializer": (initializers.TABLE, lambda name: fn.Dense(1, kernel_initializer=name)),
    "schedule": (schedules.TABLE, lambda name: fn.Adam(fn.schedules.get({"name": name}))),
    "layer": (registry.TABLE, lambda name: registry.from_config({"name": name})),
}
NAMES = [
    pytest.param(use, name, id=f"{what} {name}") for what, (table, use) in TABLES.items() for name in table
]


@pytest.mark.parametrize(("use", "name"), NAMES)
def test_names_in_tables(use, name):
    with pytest.raises(
        ValueError, match=f"unknown .* '{misspelt(name)}'; did you mean '{name}'[?]; known are"
    ):
        use(misspelt(name))


# --- arguments that are one of some names


def model():
    return fn.Model([fn.Dense(1)], "mse", seed=0).build(4)


CHOICES = {
    "padding": (("valid", "same"), lambda name: fn.Conv2D(1, 1, padding=name)),
    "padding of pools": (("valid", "same"), lambda name: fn.MaxPooling1D(2, padding=name)),
    "padding of series": (("causal",), lambda name: fn.Conv1D(1, 1, padding=name)),
    "interpolation": (("nearest", "bilinear"), lambda name: fn.UpSampling2D(2, name)),
    "strategy": (("mean", "median", "most_frequent", "constant"), fn.Impute),
    "handle_unknown": (("error", "ignore"), lambda name: fn.OneHot(0, handle_unknown=name)),
    "merge_mode": (("concat", "sum"), lambda name: fn.Bidirectional(fn.GRU(1), name)),
    "mode": (("auto", "min", "max"), lambda name: fn.EarlyStopping(mode=name)),
    "dtype": (("float32", "float64"), lambda name: fn.Model([fn.Dense(1)], dtype=name)),
    "compute_dtype": (("bfloat16",), lambda name: fn.Model([fn.Dense(1)], compute_dtype=name)),
    "missing_targets": (
        ("raise", "ignore"), lambda name: fn.Model([fn.Dense(1)], "mse", missing_targets=name),
    ),
    "combine": (("mean", "probabilities", "vote"), lambda name: fn.Ensemble([model()], name)),
    "verbose": (("auto",), lambda name: model().fit(X, Y, verbose=name)),
    "class_weight": (
        ("balanced",),
        lambda name: fn.Model([fn.Dense(2)], "cross_entropy").fit(X, [0, 1] * 3, class_weight=name),
    ),
    "weights": (("static", "separate"), lambda name: model().to_c("net.h", weights=name)),
    "quantize": (("int8",), lambda name: model().to_c("net.h", quantize=name)),
    "metric": (
        ("loss",), lambda name: fn.explain.permutation_importance(model(), X, Y, metric=name),
    ),
    "method": (
        ("pgd", "fgsm"), lambda name: fn.explain.adversarial(model(), X, Y, 0.1, method=name),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "name", "use"),
    [
        pytest.param(what, name, use, id=f"{what} {name}")
        for what, (names, use) in CHOICES.items()
        for name in names
    ],
)
def test_choices(what, name, use):
    with pytest.raises(
        ValueError, match=rf"^{what.split()[0]} must be .*'{name}'.*, got .*; did you mean '{name}'[?]$"
    ):
        use(misspelt(name))


@pytest.mark.parametrize("value", [None, 1, ["mean"], np.zeros(3), "far away"])
def test_what_is_like_no_name_gets_no_suggestion(value):
    with pytest.raises(ValueError, match="way must be 'mean' or 'median', got ") as raised:
        validate.choice("way", value, ("mean", "median"))
    assert "did you mean" not in str(raised.value)


def test_listed():
    assert listed(["a"]) == "'a'" and listed("abc") == "'a', 'b' or 'c'" and listed((None, 1)) == "None or 1"
    assert nearest("RELU", activations.TABLE) == "; did you mean 'relu'?" and nearest(3, [3, "three"]) == ""


# --- names that a fit, a table or a file gives


def fitted(**options):
    return model().fit(X, Y, validation_data=(X, Y), epochs=2, **options)


def fit_a_table():
    pandas = pytest.importorskip("pandas")
    trained = fn.Model([fn.Dense(1)], "mse", seed=0)
    trained.fit(pandas.DataFrame(X, columns=["age", "height", "weight", "income"]), Y)
    trained.predict(pandas.DataFrame(X, columns=["age", "heigth", "weight", "income"]))


GIVEN = {
    "monitor": (
        lambda: fitted(callbacks=[fn.EarlyStopping("val_los")]), "unknown monitor 'val_los'", "val_loss",
    ),
    "monitor of a rate": (
        lambda: fitted(callbacks=[fn.ReduceLROnPlateau("los")]), "unknown monitor 'los'", "loss",
    ),
    "path": (
        lambda: fn.ModelCheckpoint("{epoch}-{lss}.safetensors"), "it may contain .*, got {lss}", "loss",
    ),
    "path of a fit": (
        lambda: fitted(callbacks=[fn.ModelCheckpoint("{epoch}-{val_lss}.safetensors")]),
        "has {val_lss}", "val_loss",
    ),
    "columns": (fit_a_table, "unknown: 'heigth'; missing: 'height'", "height"),
    "curve": (lambda: fitted().plot("los"), "unknown name 'los'", "loss"),
    "layer": (lambda: model().outputs(X, layers=["00"]), "got '00'", "0"),
    "category": (
        lambda: fn.OneHot().adapt([["red"], ["blue"]])([["reed"]]), r"category 'reed' at \(0, 0\)", "red",
    ),
    "setting": (
        lambda: fn.Model([fn.Dense(1)], {"name": "huber", "detla": 1}), ".*'detla'", "delta",
    ),
    "attribute": (lambda: setattr(model(), "optimiser", 1), "no attribute 'optimiser'", "optimizer"),
    "public name": (lambda: fn.Dnse, "no attribute 'Dnse'", "Dense"),
    "reader": (lambda: fn.data.Parqet, "no attribute 'Parqet'", "Parquet"),
}  # fmt: skip


@pytest.mark.parametrize(("use", "start", "name"), GIVEN.values(), ids=GIVEN)
def test_names_that_are_given(use, start, name):
    if start.startswith("unknown name"):
        pytest.importorskip("matplotlib")
    with pytest.raises((ValueError, AttributeError), match=f"{start}; did you mean '{name}'[?]"):
        use()


# --- arguments

CLASSES = [
    each
    for each in (getattr(fn, name) for name in fn.__all__)
    if isinstance(each, type) and issubclass(each, KnownArguments)
]
ARGUMENTS = [(each, name) for each in CLASSES for name in inspect.signature(each).parameters]


def test_all_classes_are_there():
    names = {each.__name__ for each in CLASSES}
    assert {"Model", "Dense", "GRU", "Adam", "EarlyStopping", "Ensemble", "Residual"} <= names
    assert len(ARGUMENTS) > 250


@pytest.mark.parametrize("each", CLASSES)
def test_arguments(each):
    known = list(inspect.signature(each).parameters)
    assert known == list(inspect.signature(each.__init__).parameters)[1:] or each.__init__ is object.__init__
    for name in known:
        with pytest.raises(TypeError, match=f"'{misspelt(name)}'; did you mean '{name}'[?]"):
            each(**{misspelt(name): 1})
    with pytest.raises(TypeError, match="unexpected keyword argument|takes no arguments"):
        each(far_away=1)


def test_names_of_other_libraries():
    for use, name in (
        (lambda: fn.Adam(lr=0.1), "learning_rate"),
        (lambda: fn.Dense(out_features=3), "units"),
        (lambda: fn.Conv2D(out_channels=3, kernel_size=3), "filters"),
        (lambda: fn.Dropout(p=0.1), "rate"),
        (lambda: fn.GRU(hidden_size=3), "units"),
    ):
        with pytest.raises(TypeError, match=f"did you mean '{name}'[?]"):
            use()


def test_classes_of_the_user_have_their_own_arguments():
    class Own(fn.Callback):
        def __init__(self, wanted, **more):
            self.wanted = wanted

    assert Own(1, anything=2).wanted == 1 and str(inspect.signature(Own)) == "(wanted, **more)"

    class Plain(fn.Callback):
        pass

    assert str(inspect.signature(Plain)) == "()"
    for call in (lambda: Plain(1), lambda: Plain(a=1)):
        with pytest.raises(TypeError, match="Plain[(][)] takes no arguments"):
            call()
    with pytest.raises(AttributeError):
        fn.Dense(1).__signature__  # noqa: B018 - it takes what __call__ does


def test_estimators():
    pytest.importorskip("sklearn")
    from fastnn.sklearn import MLPClassifier, MLPRegressor

    for kind, name in itertools.product((MLPClassifier, MLPRegressor), MLPClassifier().get_params()):
        if name not in kind().get_params():
            continue
        with pytest.raises(TypeError, match=f"'{misspelt(name)}'; did you mean '{name}'[?]"):
            kind(**{misspelt(name): 1})
        with pytest.raises(ValueError, match=f"'{misspelt(name)}' .*; did you mean '{name}'[?]"):
            kind().set_params(**{misspelt(name): 1})
    for setting in ({"solver": "lbgfs"}, {"activation": "rleu"}, {"learning_rate": "adaptve"}):
        with pytest.raises(ValueError, match="did you mean '(lbfgs|relu|adaptive)'[?]"):
            MLPClassifier(**setting).fit(X, [0, 1] * 3)


def test_river():
    pytest.importorskip("river")
    from fastnn.river import MLPClassifier

    with pytest.raises(TypeError, match="'hiden_layer_sizes'; did you mean"):
        MLPClassifier(hiden_layer_sizes=(3,))


@pytest.mark.parametrize("command", ["warmup", "cache", "export-c", "info"])
def test_commands(command, capsys):
    with pytest.raises(SystemExit):
        main([misspelt(command)])
    assert f"did you mean '{command}'?" in capsys.readouterr().err


def test_values_of_options(capsys):
    with pytest.raises(SystemExit):
        main(["warmup", "--dtype", "flaot32"])
    assert capsys.readouterr().err.rstrip().endswith("did you mean 'float32'?")
