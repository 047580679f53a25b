"""Arguments that stand for arrays, of every kind, to every public function: converted, or refused."""

import copy
import inspect
import re

import numpy as np
import pytest

import fastnn as fn
import fastnn.scipy
from tests.guarantees.arguments import ARGUMENTS, LABELS, X, state, weights_of
from tests.guarantees.arguments import model as trained_model
from tests.helpers.array_likes import (
    CONVERTED,
    INTEGERS,
    REFUSED,
    REFUSED_OF_OTHER_LENGTH,
    REFUSED_OF_SAMPLES,
    REFUSED_OF_TABLES,
)

BAD = (TypeError, ValueError, MemoryError)


def content(value):
    """A result as something that can be compared to the bit."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, (list, tuple)):
        return [content(item) for item in value]
    return repr(value)


def converted_kinds(argument):
    return {n: make for n, make in CONVERTED.items() if n not in argument.without | argument.apart}


def refused_kinds(argument):
    """Name -> (function of the plain array, error, what the message shows)."""
    kinds = dict(REFUSED)
    if argument.plain.ndim == 2:
        kinds |= REFUSED_OF_TABLES | ({} if argument.also_one_row else REFUSED_OF_SAMPLES)
    if not argument.alone:
        kinds |= REFUSED_OF_OTHER_LENGTH
    unknown = argument.without
    if argument.wide:
        unknown = unknown | {"one column more", "one column fewer", "turned", "one more dimension"}
    if argument.double:
        unknown = unknown | {"too large for float32"}
    kinds |= {name: (CONVERTED[name], TypeError, "") for name in argument.apart}
    if not argument.optional:
        kinds["None"] = (lambda a: None, TypeError, "None")
    return {name: kind for name, kind in kinds.items() if name not in unknown}


def refusal_fault(argument, subject, make, error, shown):
    """What is wrong with how an argument is refused; None if nothing is."""
    value, before = make(argument.plain), state(subject)
    if shown is None:
        shown = str(np.shape(value))
    elif shown.endswith(" at"):
        last = tuple(n - 1 for n in argument.plain.shape)
        shown += f" {last if len(last) > 1 else last[0]}"
    try:
        argument.call(subject, value)
    except BaseException as caught:
        message = str(caught)
        if not isinstance(caught, error if argument.shown else BAD):
            return f"{type(caught).__name__}: {message}"
        if argument.name not in message:
            return f"{argument.name!r} is not named: {message}"
        if argument.shown and shown not in message:
            return f"not shown: {message}"
    else:
        return "accepted"
    return None if state(subject) == before else "something has changed"


@pytest.mark.parametrize("row", ARGUMENTS)
def test_what_is_converted_is_as_the_plain_array(row):
    argument = ARGUMENTS[row]
    subject, different = argument.make(), []

    def outcome(value):
        own = copy.deepcopy(subject)
        return content(argument.call(own, value)), weights_of(own)

    expected = outcome(argument.plain)
    for kind, make in converted_kinds(argument).items():
        value = make(argument.plain)
        shown = repr(value)
        if outcome(value) != expected or repr(value) != shown:
            different.append(kind)
    assert different == []


@pytest.mark.parametrize("row", ARGUMENTS)
def test_what_is_refused_is_named_and_shown_and_changes_nothing(row):
    argument = ARGUMENTS[row]
    subject = argument.make()
    faults = {kind: refusal_fault(argument, subject, *how) for kind, how in refused_kinds(argument).items()}
    assert {kind: fault for kind, fault in faults.items() if fault is not None} == {}


# ---- arguments that are not converted ----------------------------------------------------------

OTHERS = {**REFUSED, **REFUSED_OF_TABLES, **REFUSED_OF_OTHER_LENGTH}
KINDS = {**CONVERTED, **{kind: make for kind, (make, _, _) in OTHERS.items()}}
OUT = np.zeros((6, 3))
#: What is C-contiguous, aligned, writeable, float32 and of the right shape already.
FIT_FOR_OUT = {"float32", "a float32 subclass", "minus infinity"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "too many to hold"])
def test_out_is_written_where_it_lies_or_refused(kind):
    model = trained_model()
    for call in ("first", "next"):  # which goes a shorter way
        out = KINDS[kind](OUT)
        if kind in FIT_FOR_OUT:
            assert model.predict(X, out=out) is out
            assert np.asarray(out).tobytes() == model.predict(X).tobytes()
        else:
            before = repr(out)
            with pytest.raises(BAD, match="out must be"):
                model.predict(X, out=out)
            assert repr(out) == before, call
        model.predict(X)


ORDER = np.array([4, 2, 0, 1, 3, 5])
#: What a function given as `shuffle` may give: integers.
ORDERS = [*INTEGERS, "a list of integers", "big-endian integers", "a table of many dtypes"]
ORDERS += ["a mapped file of integers"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in REFUSED_OF_TABLES])
def test_an_order_of_samples_is_taken_or_refused(kind):
    model, options = trained_model(), {"epochs": 2, "batch_size": 2}
    given = KINDS[kind](ORDER.astype(float))
    if kind in ORDERS:
        expected = copy.deepcopy(model)
        record = expected.fit(X, LABELS, shuffle=lambda epoch: ORDER, **options).history
        assert model.fit(X, LABELS, shuffle=lambda epoch: given, **options).history == record
        assert weights_of(model) == weights_of(expected)
    else:
        before = weights_of(model)
        with pytest.raises(BAD, match="shuffle"):
            model.fit(X, LABELS, shuffle=lambda epoch: given, **options)
        assert weights_of(model) == before


SEQUENCES, LENGTHS = np.ones((6, 2, 3)), np.array([1, 2, 1, 1, 2, 2])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in REFUSED_OF_TABLES])
def test_lengths_are_taken_or_refused(kind):
    model = fn.Model([fn.GRU(2), fn.Dense(3)], "cross_entropy", seed=0).build((2, 3))
    expected, given = model.predict(SEQUENCES, lengths=LENGTHS), KINDS[kind](LENGTHS.astype(float))
    if kind in ORDERS:
        assert np.array_equal(model.predict(SEQUENCES, lengths=given), expected)
    else:
        before = weights_of(model)
        with pytest.raises(BAD, match="lengths"):
            model.fit(SEQUENCES, LABELS, lengths=given)
        assert weights_of(model) == before


# ---- the table is whole ------------------------------------------------------------------------

ELSEWHERE = {
    "Model.to_c: samples": "tests/c/test_to_c.py",
    "Model.to_c: calibration": "tests/c/test_c_options.py",
    "Model.predict: out": "test_out_is_written_where_it_lies_or_refused",
    "Model.fit: shuffle": "test_an_order_of_samples_is_taken_or_refused",
    "Preprocessing.set_statistics: numbers": "the rows of mean and scale",
    "Model.fit: validation_lengths": "tests/layers/test_lengths.py",
    "Model.backward: lengths": "tests/engine/test_passes.py",
    "Model.hessian_vector_product: vector": "tests/training/test_hessian.py",
    "Model.hessian_vector_product: lengths": "tests/training/test_hessian.py",
    **{
        f"Model.{function}: lengths": "test_lengths_are_taken_or_refused, tests/layers/test_lengths.py"
        for function in ("fit", "partial_fit", "evaluate", "loss_and_gradient")
        + ("predict", "predict_proba", "predict_class", "predict_distribution")
        + ("outputs", "input_gradient", "jacobian")
    },
    **dict.fromkeys(
        ("Ensemble.predict: lengths", "Ensemble.evaluate: lengths", "adversarial: lengths")
        + ("Ensemble.predict_distribution: lengths",)
        + ("saliency: lengths", "integrated_gradients: lengths", "occlusion: lengths"),
        "tests/layers/test_lengths.py",
    ),
    **dict.fromkeys(
        (
            "integrated_gradients: X",
            "integrated_gradients: baseline",
            "integrated_gradients: output",
            "occlusion: X",
            "occlusion: baseline",
            "occlusion: output",
            "saliency: output",
            "activation_maximization: start",
            "dream: image",
        ),
        "tests/explain/test_explain.py: test_bad_arguments_are_refused",
    ),
    **dict.fromkeys(
        ("attribution: sample", "attribution: values", "images: values"),
        "tests/plot/test_explained.py: test_what_does_not_fit_is_refused",
    ),
}
#: Public, but for the engine: what they are given has been checked.
OF_THE_ENGINE = {"Layer.bind", "Layer.check_rows", "EntityEmbedding.set_categories"}
OF_THE_ENGINE |= {"Model.fit_short"}  # takes samples only that are like those of an earlier call
OF_THE_ENGINE |= {"Layer.check_values", "BatchNormalization.check_values"}
OF_THE_ENGINE |= {f"CategoryColumns.{name}" for name in ("check_rows", "set_categories", "set_labels")}
NAMES_OF_DATA = {"X", "y", "sample_weight", "source"}


def functions_of(thing):
    """The public functions of a module or a class, and what assigns to its attributes."""
    for name, value in inspect.getmembers(thing):
        if isinstance(value, property) and value.fset is not None:
            yield value.fset
        elif inspect.isfunction(value) and (not name.startswith("_") or name == "__call__"):
            yield value


def data_of(function):
    """Names of the parameters of a function that stand for arrays, by what is said of them."""
    for name, parameter in inspect.signature(function).parameters.items():
        if name in NAMES_OF_DATA or re.search("ArrayLike|NDArray", str(parameter.annotation)):
            yield name


BASES = rf"^({'|'.join(base.__name__ for base in fn.Model.__mro__[1:-1])})\."


def rows_needed():
    """``"Model.fit: X"`` and so on, for all that `fastnn.__all__` and `fastnn.scipy` name."""
    for name in fn.__all__:
        value = getattr(fn, name)
        own = [value] if inspect.isfunction(value) else []
        if inspect.isclass(value) or inspect.ismodule(value):
            own = list(functions_of(value))
        for function in [*own, *(getattr(fn.scipy, name) for name in fn.scipy.__all__)]:
            is_public = function.__module__.startswith("fastnn") and ".kernels" not in function.__module__
            named = re.sub(BASES, "Model.", function.__qualname__)
            if is_public and named not in OF_THE_ENGINE:
                yield from (f"{named}: {parameter}" for parameter in data_of(function))


def test_every_public_function_that_takes_data_is_in_the_table():
    rows = {re.sub(r"^(?:plot|scipy)\.|(?<=\w)[ ,][^:]*(?=:)", "", row) for row in ARGUMENTS}
    needed = set(rows_needed())
    assert {"Model.fit: X", "Layer.set_parameter: value", "fit_many: y", "minimize: X"} <= needed
    assert needed - rows - set(ELSEWHERE) == set()
    assert set(ELSEWHERE) <= needed
