"""Embedding and EntityEmbedding: what is refused and where, how they train, and names of what they hold."""

import re

import numpy as np
import pandas as pd
import pytest

import fastnn as fn
import fastnn.onnx
from tests.helpers.rejections import refused

RNG = np.random.default_rng(0)
N = 40
X = np.column_stack([RNG.integers(0, 5, N), RNG.normal(size=N), RNG.integers(0, 3, N)])
Y = RNG.normal(size=(N, 1))


def embedded(column, n, width=2):
    return [fn.Select(column), fn.Embedding(n, width), fn.Flatten()]


def network(before=(), **options):
    branches = fn.Concatenate([embedded(0, 5), embedded(-1, 3), fn.Select(1)])
    return fn.Model([*before, branches, fn.Dense(1)], "mse", seed=0, **options)


def sequences(**options):
    return fn.Model([fn.Embedding(9, 3), fn.Flatten(), fn.Dense(1)], "mse", seed=0, **options)


SETTINGS = {
    "none": (lambda: fn.Embedding(0, 2), ValueError, "input_dim must be >= 1, got 0"),
    "no length": (lambda: fn.Embedding(2, 0), ValueError, "output_dim must be >= 1, got 0"),
    "half": (lambda: fn.Embedding(2.5, 2), TypeError, "input_dim must be an integer, got 2.5"),
    "too many": (lambda: fn.Embedding(2**24 + 1, 1), ValueError, "float32 holds no larger integers"),
    "initializer": (lambda: fn.Embedding(2, 2, "unifrom"), ValueError, "'unifrom'"),
    "word": (lambda: fn.EntityEmbedding("rule"), ValueError, "'auto', an integer or a sequence of integers"),
    "no lengths": (lambda: fn.EntityEmbedding([]), ValueError, "empty"),
    "a length": (
        lambda: fn.EntityEmbedding([2, 0], [0, 1]),
        ValueError,
        "a length of output_dim must be >= 1",
    ),
    "lengths": (
        lambda: fn.EntityEmbedding([2, 3], [0]),
        ValueError,
        "one length for each column, got [2, 3]",
    ),
    "given": (lambda: fn.EntityEmbedding([2, 3], None, [[1, 2]]), ValueError, "one length for each column"),
    "unknown": (lambda: fn.EntityEmbedding(2, 0, handle_unknown="no"), ValueError, "'no'"),
    "after weights": (
        lambda: fn.Model([fn.Dense(2), fn.EntityEmbedding(2)]),
        ValueError,
        "before all layers with weights",
    ),
    "weights before": (
        lambda: fn.Model([fn.EntityEmbedding(2, 0), fn.Standardize(1)]),
        ValueError,
        "before all layers with weights",
    ),
    "in a branch": (lambda: fn.Add([None, fn.EntityEmbedding(2)]), ValueError, "not in a container"),
}


@pytest.mark.parametrize(("make", "error", "piece"), SETTINGS.values(), ids=SETTINGS)
def test_settings(make, error, piece):
    with pytest.raises(error, match=re.escape(piece)):
        make()


COMPUTED = {
    "dense": [fn.Dense(3), fn.Embedding(5, 2)],
    "activation": [fn.Activation("relu"), fn.Embedding(5, 2)],
    "dropout": [fn.Dropout(0.1), fn.Embedding(5, 2)],
    "scaled": [fn.Standardize(0), fn.Embedding(5, 2)],
    "a sum": [fn.Add([None, None]), fn.Embedding(5, 2)],
    "embedded": [fn.Embedding(5, 2), fn.Embedding(5, 2)],
}


@pytest.mark.parametrize("layers", COMPUTED.values(), ids=COMPUTED)
def test_what_layers_compute_is_no_index(layers):
    own = [type(layer)(**{k: v for k, v in layer.config().items() if k != "name"}) for layer in layers[:-1]]
    if layers[0].kind == "add":
        own = [fn.Add([None, fn.Activation("identity")])]
    model = fn.Model([*own, fn.Sequential([fn.Embedding(5, 2), fn.Flatten(), fn.Dense(1)])], "mse", seed=0)
    message = "layer 1.0, Embedding(5, 2): its input must be integers of the samples themselves"
    refused(model, lambda: model.fit(X, Y), ValueError, message)
    if model.layers[0].adapted:
        refused(model, lambda: model.build(3), ValueError, message)


def changed(row, column, value):
    x = X.copy()
    x[row, column] = value
    return x


USES = {
    "predict": lambda model, x: model.predict(x),
    "again": lambda model, x: (model.predict(X), model.predict(x)),
    "out": lambda model, x: model.predict(x, out=np.zeros((N, 1), np.float32)),
    "evaluate": lambda model, x: model.evaluate(x, Y),
    "fit": lambda model, x: model.fit(x, Y),
    "partial_fit": lambda model, x: model.partial_fit(x, Y),
    "loss_and_gradient": lambda model, x: model.loss_and_gradient(x, Y),
    "validation": lambda model, x: model.fit(X, Y, validation_data=(x, Y)),
    "fit_many": lambda model, x: fn.fit_many([model], x, Y),
    "layer": lambda model, x: model.layers[0](x),
}


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("use", USES)
def test_numbers_that_are_no_indices_are_refused_everywhere(use, built):
    model = network()
    if built:
        model.fit(X, Y)
    for value, shown in ((3, "3"), (-1, "-1"), (0.5, "0.5"), (2**24, "16777216")):
        if use in ("again", "layer") and not built:
            continue
        message = (
            f"must hold integers 0 ... 2 where layer 0.1.1, Embedding(3, 2) takes them, got {shown} at (7, 2)"
        )
        refused(model, lambda v=value: USES[use](model, changed(7, 2, v)), ValueError, message)
    if built:
        refused(model, lambda: USES[use](model, changed(0, 0, 5)), ValueError, "0 ... 4 where layer 0.0.1")


@pytest.mark.parametrize("form", ["row", "table", "list", "integers", "names"])
def test_where_it_is_said(form):
    model = network().build(3)
    x = changed(7, 2, 9)
    given, place = {
        "row": (x[7], "(0, 2)"),
        "table": (pd.DataFrame(x, columns=["a", "b", "c"]), "(7, 2), column 'c'"),
        "list": (x.tolist(), "(7, 2)"),
        "integers": (np.round(x).astype("int64"), "(7, 2)"),
        "names": (pd.DataFrame({"a": x[:, 0].astype(int), "b": x[:, 1], "c": x[:, 2]}), "(7, 2), column 'c'"),
    }[form]
    with pytest.raises(ValueError, match=re.escape(f"got 9 at {place}")):
        model.predict(given)
    good = network().build((3,))
    assert good.predict(np.round(X).astype("int32")).tobytes() == good.predict(np.round(X)).tobytes()


def test_nan_elsewhere_is_said_to_be_nan():
    for model in (network(), network().build(3)):
        with pytest.raises(
            ValueError, match=re.escape("X must be finite numbers of float32, got nan at (7, 1)")
        ):
            model.predict(changed(7, 1, np.nan))


def test_behind_layers_that_prepare_other_columns():
    x = np.column_stack([X, RNG.integers(0, 2, N)])
    model = network([fn.Standardize(1), fn.OneHot(2)])  # the last column moves behind those of the codes
    assert model.fit(x, Y).history["loss"]
    refused(model, lambda: model.predict(changed(3, 0, 5)[:, [0, 1, 2, 2]]), ValueError, "got 5 at (3, 0)")
    x[5, 3] = 3
    refused(
        model, lambda: model.predict(x), ValueError, "where layer 2.1.1, Embedding(3, 2) takes them, got 3"
    )
    fresh = network([fn.Standardize(1), fn.OneHot(2)])
    refused(fresh, lambda: fresh.fit(x, Y), ValueError, "got 3 at (5, 3)")
    assert not fresh.layers[0].adapted
    x[5, 3] = 0
    refused(
        fresh,
        lambda: fresh.fit(x, Y, validation_data=(x + [[0, 0, 0, 5]], Y)),
        ValueError,
        "validation X must hold integers 0 ... 2",
    )


@pytest.mark.parametrize("add_indicator", [False, True])
def test_beside_columns_with_missing_values(add_indicator):
    x = changed(7, 1, np.nan)
    branches = fn.Concatenate(
        [embedded(0, 5), embedded(2, 3), fn.Select([1, -1])]
        if add_indicator
        else [embedded(0, 5), embedded(2, 3), fn.Select(1)]
    )
    imputed = fn.Impute(columns=1, add_indicator=add_indicator)
    model = fn.Model([imputed, branches, fn.Dense(1)], "mse", seed=0)
    model.fit(x, Y)
    filled = x.copy()
    filled[7, 1] = imputed.fill_values[1]
    y = model.predict(x)
    assert np.isfinite(y).all() and np.array_equal(y[:7], model.predict(filled)[:7])
    assert (y[7] == model.predict(filled)[7]) == (not add_indicator)
    refused(model, lambda: model.predict(changed(3, 0, 5)), ValueError, "takes them, got 5 at (3, 0)")


def test_sequences():
    x = RNG.integers(0, 9, (N, 6))
    model = sequences()
    model.fit(x, Y, epochs=2)
    assert model.layers[0](x).shape == (N, 6, 3)
    assert np.array_equal(model.layers[0](x), model.layers[0].weights[x])
    x[4, 5] = 9
    refused(
        model, lambda: model.predict(x), ValueError, "layer 0, Embedding(9, 3) takes them, got 9 at (4, 5)"
    )
    images = fn.Model([fn.Embedding(9, 2), fn.Flatten(), fn.Dense(1)], "mse", seed=0).build((2, 3))
    with pytest.raises(ValueError, match=re.escape("got 9 at (4, 1, 2)")):
        images.predict(x.reshape(N, 2, 3))


def test_mapped_files_of_integers(tmp_path):
    x = RNG.integers(0, 9, (N, 6)).astype("int16")
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    model, same = sequences(), sequences()
    model.fit(mapped, Y)
    same.fit(x, Y)
    assert np.array_equal(model.parameters, same.parameters)
    x[3, 1] = -2
    np.save(tmp_path / "x.npy", x)
    refused(
        model, lambda: model.fit(np.load(tmp_path / "x.npy", mmap_mode="r"), Y), ValueError, "-2 at (3, 1)"
    )


@pytest.mark.slow
def test_compiled_code():
    dtype = "float64"
    model = sequences(dtype=dtype)
    x = RNG.integers(0, 9, (8, 4)).astype(dtype)
    model.fit(x, Y[:8])
    net, state, y = model.network(), model.optimizer_state(), Y[:8].astype(dtype)
    calls = {
        "forward": lambda x: fn.forward_checked(net, x, np.zeros((8, 1), dtype)),
        "input_gradient": lambda x: fn.input_gradient_checked(net, x, y, np.zeros((8, 4), dtype)),
        "jacobian": lambda x: fn.jacobian_checked(net, x, np.zeros((8, 1, 4), dtype)),
        "parameter_jacobian": lambda x: fn.parameter_jacobian_checked(
            net, x, np.zeros((8, model.parameters.size), dtype)
        ),
        "loss_and_gradient": lambda x: fn.loss_and_gradient_checked(net, x, y),
        "train_step": lambda x: fn.train_step_checked(net, state, x, y),
    }
    before = model.parameters.copy()
    for value in (9, -1, 0.5, np.nan, np.inf, -np.inf):
        wrong = x.copy()
        wrong[6, 3] = value
        assert {name: call(wrong) for name, call in calls.items()} == dict.fromkeys(calls, fn.Status.WRONG_X)
        out = np.zeros((8, 1), dtype)
        fn.forward(net, wrong, out)  # nothing is checked: a vector of zeros
        vectors = model.layers[0].weights[x.astype(int)]
        vectors[6, 3] = 0
        expected = vectors.reshape(8, -1) @ model.layers[2].weights + model.layers[2].bias
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
        fn.loss_and_gradient(net, wrong, y)
        assert np.isfinite(net.gradient).all()
    assert np.array_equal(model.parameters, before)
    assert {name: call(x) for name, call in calls.items()} == dict.fromkeys(calls, fn.Status.OK)
    model = entities(2, [1, 2], dtype=dtype)
    model.fit(TABLE, Y)
    codes = np.column_stack([X[:, 1], [["blue", "green", "red"].index(name) for name in COLOURS], X[:, 0]])
    out = np.empty((N, 1))
    assert fn.forward_checked(model.network(), codes, out) == fn.Status.OK
    assert np.array_equal(out, model.predict(TABLE))


@pytest.mark.parametrize("optimizer", [fn.SGD(0.5), fn.Adam(0.1)])
def test_steps_are_those_of_a_dense_gradient(optimizer):
    """By Keras's and PyTorch's dense Adam a vector keeps moving in steps in which it does not occur."""
    model = fn.Model(
        [fn.Embedding(4, 2), fn.Flatten(), fn.Dense(1)], "mse", optimizer, dtype="float64", seed=0
    )
    model.build(1)
    w, m, v, start = model.parameters.copy(), 0.0, 0.0, model.parameters.copy()
    for t, index in enumerate([1, 3, 3, 0], 1):
        x, y = np.array([[index]]), np.array([[1.0]])
        _, g = model.loss_and_gradient(x, y)
        occurred = np.flatnonzero(g[:8].reshape(4, 2).any(axis=1))
        assert occurred.tolist() == [index]
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        moved = 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        w = w - (0.5 * g if isinstance(optimizer, fn.SGD) else moved)
        model.partial_fit(x, y)
        np.testing.assert_allclose(model.parameters, w, rtol=1e-9)
    assert np.array_equal(w[4:6], start[4:6])  # the one that never occurred


def test_large_tables_have_the_same_bits_at_any_number_of_threads():
    """Of a table of several pieces threads take some each; parts of a long batch have their gradients."""
    for rows, words in ((300, 9000), (4200, 300)):
        x = np.random.default_rng(1).integers(0, words, (rows, 3))
        found = []
        for threads in (1, 2, 3):
            layers = [fn.Embedding(words, 40), fn.Flatten(), fn.Dense(8, "tanh"), fn.Dense(1)]
            model = fn.Model(
                layers, "mse", fn.Adam(0.01, global_clipnorm=5.0 if rows > 300 else None), seed=0
            )
            model.fit(x, x[:, :1] / words, epochs=2, batch_size=rows, threads=threads)
            found.append(model.parameters.tobytes())
        assert found[1:] == found[:1] * 2
        gradient = model.loss_and_gradient(x, x[:, :1] / words)[1][: words * 40].reshape(words, 40)
        assert np.flatnonzero(gradient.any(axis=1)).tolist() == np.unique(x).tolist()


def test_a_frozen_embedding_stays():
    model = sequences()
    x = RNG.integers(0, 9, (N, 4))
    model.build(4).layers[0].trainable = False
    before = model.layers[0].weights.copy()
    model.fit(x, Y, epochs=3)
    assert np.array_equal(model.layers[0].weights, before)


def acting_on_vectors():
    layers = [fn.Embedding(9, 3), fn.Dense(5, "tanh"), fn.Dense(1)]
    return fn.Model(layers, "mse", fn.Adam(0.01), seed=0)


def test_pytorch_computes_the_same():
    torch = pytest.importorskip("torch", reason="the other side of the comparison")
    x, y = RNG.integers(0, 9, (N, 4)), RNG.normal(size=(N, 4, 1)).astype("float32")
    model = acting_on_vectors().build(4)
    other = torch.nn.Sequential(
        torch.nn.Embedding(9, 3), torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
    )
    other.load_state_dict(model.to_torch_state())
    optimizer = torch.optim.Adam(other.parameters(), 0.01)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(other(torch.tensor(x)), torch.tensor(y)).backward()
        optimizer.step()
    model.fit(x, y, epochs=20, batch_size=N, shuffle=False)
    expected = other(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-4, atol=1e-5)


def test_weights_of_pytorch_without_it():
    model = acting_on_vectors().build(4)
    state = model.to_torch_state(as_numpy=True)
    shapes = {name: values.shape for name, values in state.items() if name.endswith("weight")}
    assert shapes == {"0.weight": (9, 3), "1.weight": (5, 3), "3.weight": (1, 5)}
    other = acting_on_vectors()
    with pytest.raises(ValueError, match=r"build the model first"):
        fn.load_torch(state, other)
    assert np.array_equal(fn.load_torch(state, other.build(4)).parameters, model.parameters)


# --- EntityEmbedding

COLOURS = np.array(["red", "green", "blue"], object)[RNG.integers(0, 3, N)]
TABLE = pd.DataFrame({"size": X[:, 1], "colour": COLOURS, "city": X[:, 0].astype(int) + 2**40})


def entities(*settings, **options):
    return fn.Model([fn.Standardize(0), fn.EntityEmbedding(*settings), fn.Dense(1)], "mse", seed=0, **options)


def test_lengths_by_the_rule():
    layer = fn.EntityEmbedding(categories=[range(2), range(3), range(20), range(1000)])
    assert layer.widths(layer.sizes) == [1, 2, 10, 50]
    assert layer(np.zeros((2, 4))).shape == (2, 63)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_text_and_large_integers_of_a_table(dtype):
    model = entities([2, 3], [1, -1], dtype=dtype)
    model.fit(TABLE, Y, epochs=2)
    layer = model.layers[1]
    assert [known.tolist() for known in layer.categories] == [
        ["blue", "green", "red"],
        sorted(set(TABLE["city"])),
    ]
    assert [own.shape for own in layer.weights] == [(3, 2), (5, 3)]
    assert list(layer.views) == ["weights_1", "weights_2"]
    embedded = layer(pd.DataFrame({"size": [0.5], "colour": ["green"], "city": [2**40 + 2]}))
    assert np.array_equal(embedded[0], [0.5, *layer.weights[0][1], *layer.weights[1][2]])
    colour = {name: i for i, name in enumerate(["blue", "green", "red"])}
    codes = np.column_stack([X[:, 1], [colour[name] for name in COLOURS], X[:, 0]])
    by_codes = entities([2, 3], [1, 2], dtype=dtype)
    by_codes.fit(codes, Y, epochs=2)
    assert np.array_equal(model.predict(TABLE), by_codes.predict(codes))


def test_columns_in_another_order():
    x = np.column_stack([X[:, 0], X[:, 2]])
    layer = fn.EntityEmbedding([1, 3], [1, 0]).adapt(x)
    y = layer(x)
    assert [known.tolist() for known in layer.categories] == [[0, 1, 2], [0, 1, 2, 3, 4]]
    assert [own.shape for own in layer.weights] == [(3, 1), (5, 3)]
    assert np.array_equal(
        y, np.hstack([layer.weights[1][x[:, 0].astype(int)], layer.weights[0][x[:, 1].astype(int)]])
    )


def test_categories_that_are_far_apart():
    known = [-70000, -3, 0, 5, 6, 1990, 2**24]
    layer = fn.EntityEmbedding(4, 0, [known[::-1]], "ignore")
    assert layer.categories[0].tolist() == known
    others = [-70001, -4, -1, 1, 4, 7, 1989, 1991, 2**24 - 1]
    y = layer(np.array([*known, *others])[:, np.newaxis])
    assert np.array_equal(y[: len(known)], layer.weights[0]) and not y[len(known) :].any()


def test_unknown_categories():
    model = entities(2, [1, 2])
    model.fit(TABLE, Y)
    strange = TABLE.copy()
    strange.loc[5, "colour"] = "pink"
    for use in (model.predict, lambda x: model.fit(x, Y), lambda x: model.evaluate(x, Y)):
        refused(
            model,
            lambda use=use: use(strange),
            ValueError,
            "unknown category 'pink' at (5, 1), column 'colour'",
        )
    tolerant = entities(2, [1, 2], "auto", "ignore")
    tolerant.fit(TABLE, Y, validation_data=(strange, Y))
    tolerant.layers[2].weights[...] = 0
    tolerant.layers[2].weights[1:3] = 1
    by_colour = tolerant.predict(strange)[:, 0] - tolerant.layers[2].bias
    assert by_colour[5] == 0 and by_colour[COLOURS != "pink"].any()


def test_adapted_again():
    model = entities(2, 1)
    data = TABLE[["size", "colour"]]
    model.fit(data, Y)
    before = model.parameters.copy()
    other = data.assign(colour=np.where(COLOURS == "red", "x", COLOURS))
    model.adapt(other)
    assert model.layers[1].categories[0].tolist() == ["blue", "green", "x"]
    assert np.array_equal(model.parameters, before)
    more = data.assign(colour=COLOURS + (np.arange(N) % 2).astype(str))
    refused(model, lambda: model.adapt(more), ValueError, "another number of categories")
    refused(model, lambda: model.layers[1].adapt(np.array(more)), ValueError, "another number of categories")


def test_before_data_is_seen():
    layer = fn.EntityEmbedding(2, 0)
    model = fn.Model([layer, fn.Dense(1)], "mse")
    refused(model, lambda: model.predict(X), ValueError, "is not adapted to data yet")
    refused(model, lambda: model.build(3), ValueError, "is not adapted to data yet")
    for name in ("categories", "weights"):
        with pytest.raises(ValueError, match="has no (counts|weights) yet"):
            getattr(layer, name)
    lengths = fn.Model([fn.EntityEmbedding([2, 3, 4]), fn.Dense(1)], "mse")
    refused(lengths, lambda: lengths.fit(X[:, [0]], Y), ValueError, "3 lengths for 1 columns")


def test_many_models_and_ensembles():
    models = [entities(2, [1, 2]) for _ in range(2)]
    models[1].seed = 7
    fn.fit_many(models, TABLE, Y, epochs=2)
    alone = entities(2, [1, 2])
    alone.fit(TABLE, Y, epochs=2)
    assert np.array_equal(models[0].parameters, alone.parameters)
    expected = (models[0].predict(TABLE) + models[1].predict(TABLE)) / 2
    np.testing.assert_allclose(fn.Ensemble(models).predict(TABLE), expected, rtol=1e-5, atol=1e-6)


def test_a_graph_takes_no_text(tmp_path):
    model = entities(2, [1, 2])
    model.fit(TABLE, Y)
    with pytest.raises(ValueError, match="text, or integers beyond"):
        fn.onnx.export(model, tmp_path / "m.onnx")


def test_representations():
    layers = [
        fn.Embedding(9, 3),
        fn.Embedding(9, 3, "zeros"),
        fn.EntityEmbedding(),
        fn.EntityEmbedding([1, 2], [0, 1], [[1, 2], ["a"]], "ignore", "normal"),
    ]
    assert [repr(layer) for layer in layers] == [
        "Embedding(9, 3)",
        "Embedding(9, 3, embeddings_initializer='zeros')",
        "EntityEmbedding('auto')",
        "EntityEmbedding([1, 2], columns=[0, 1], categories=[[1, 2], ['a']], handle_unknown='ignore', "
        "embeddings_initializer='normal')",
    ]
