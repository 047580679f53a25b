"""Sequences of different lengths: `lengths` of fit, evaluate, predict and the like."""

import contextlib

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastnn as fn
from tests.helpers.recurrent_reference import bidirectional, gru, lstm, recurrent

N, STEPS, FEATURES = 70, 9, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, STEPS, FEATURES)).astype("float32")
LENGTHS = RNG.integers(1, STEPS + 1, N)
Y = RNG.normal(size=(N, 1))
PADDING = np.arange(STEPS) >= LENGTHS[:, np.newaxis]
MARKED = np.where(PADDING[:, :, np.newaxis], np.float32(-7), X)

NETWORKS = {
    "gru": lambda: [fn.GRU(5), fn.Dense(1)],
    "dense and several": lambda: [
        fn.Dense(4, "tanh"),
        fn.LSTM(5, return_sequences=True),
        fn.Bidirectional(fn.SimpleRNN(3)),
        fn.Dense(1),
    ],
    "backwards, with dropout": lambda: [
        fn.Dropout(0.2),
        fn.GRU(5, go_backwards=True, dropout=0.3),
        fn.Dense(1),
    ],
}


def model_of(layers, shape=(STEPS, FEATURES), loss="mse", **settings):
    model = fn.Model(layers, loss, fn.Adam(0.01), seed=0, **settings).build(shape)
    model.parameters[...] = np.random.default_rng(1).normal(0, 0.4, model.parameters.size)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_each_sample_has_the_output_of_its_own_steps(name):
    model = model_of(NETWORKS[name]())
    outputs = model.predict(X, lengths=LENGTHS)
    for x, length, output in zip(X, LENGTHS, outputs, strict=True):
        alone = model_of(NETWORKS[name](), (int(length), FEATURES))
        assert np.array_equal(alone.predict(x[:length]), output)
        assert np.array_equal(model.predict(x, lengths=length), output)


def test_sequences_are_those_of_the_reference():
    """Behind the end of a sequence the last output is repeated; in both directions it is 0: as in Keras."""
    cases = [
        (fn.GRU(4, return_sequences=True), recurrent(gru, sequences=True)),
        (fn.LSTM(4, return_sequences=True), recurrent(lstm, sequences=True)),
        (
            fn.Bidirectional(fn.GRU(4, return_sequences=True)),
            bidirectional(gru, np.dstack, sequences=True),
        ),
    ]
    for layer, reference in cases:
        model = model_of([layer], loss=None, dtype="float64")
        parameters = {place.key.removeprefix("0."): 0 for place in model.executor.graph.parameters}
        for key in parameters:
            *path, name = key.split(".")
            parameters[key] = getattr(getattr(layer, path[0]) if path else layer, name)
        x = X.astype(float)
        assert_allclose(
            model.predict(x, lengths=LENGTHS), reference(x, parameters, ~PADDING), rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_training_is_that_of_masked_samples(name):
    """In shuffled batches, whose last one is shorter, with weights and a validation split, to the bit."""
    model, twin = model_of(NETWORKS[name]()), model_of([fn.Masking(-7), *NETWORKS[name]()])
    weight = RNG.uniform(0, 2, N)
    loss, gradient = model.loss_and_gradient(X, Y, lengths=LENGTHS)
    assert (loss, gradient.tobytes()) == (lambda a, b: (a, b.tobytes()))(*twin.loss_and_gradient(MARKED, Y))
    assert model.evaluate(X, Y, weight, lengths=LENGTHS) == twin.evaluate(MARKED, Y, weight)
    if "dropout" in name:
        return  # each layer has random numbers of its own place
    options = {"epochs": 3, "batch_size": 16, "sample_weight": weight, "validation_split": 0.3}
    history = model.fit(X, Y, lengths=LENGTHS, **options).history
    assert history == twin.fit(MARKED, Y, **options).history
    model.partial_fit(X, Y, lengths=LENGTHS)
    twin.partial_fit(MARKED, Y)
    model.partial_fit(X[0], Y[0], lengths=LENGTHS[0])
    twin.partial_fit(MARKED[0], Y[0])
    assert np.array_equal(model.parameters, twin.parameters)


def test_the_gradient_is_that_of_central_differences():
    model = model_of(NETWORKS["dense and several"](), dtype="float64")
    _, gradient = model.loss_and_gradient(X, Y, lengths=LENGTHS)
    w, step = model.parameters, 1e-6
    for i in RNG.choice(w.size, 25, replace=False):
        value, sides = w[i], []
        for w[i] in (value + step, value - step):
            sides.append(model.loss_and_gradient(X, Y, lengths=LENGTHS)[0])
        w[i] = value
        assert_allclose(gradient[i], (sides[0] - sides[1]) / (2 * step), rtol=1e-5, atol=1e-9)


def test_validation_data_have_lengths_of_their_own():
    model = model_of(NETWORKS["gru"]())
    options = {"lengths": LENGTHS[:50], "validation_data": (X[50:], Y[50:])}
    history = model.fit(X[:50], Y[:50], validation_lengths=LENGTHS[50:], **options).history
    assert history["val_loss"] == [model.evaluate(X[50:], Y[50:], lengths=LENGTHS[50:])["loss"]]
    with pytest.raises(ValueError, match="validation_lengths must be given too"):
        model.fit(X[:50], Y[:50], **options)
    with pytest.raises(ValueError, match="lengths must be given too"):
        model.fit(X, Y, validation_data=(X, Y), validation_lengths=LENGTHS)
    with pytest.raises(ValueError, match="validation_data, which was not given"):
        model.fit(X, Y, lengths=LENGTHS, validation_lengths=LENGTHS)


def test_same_bits_at_any_number_of_threads_and_resumed():
    """Of batches that are cut into parts, and of long ones, whose parts have gradients of their own."""
    x, lengths = np.tile(X, (60, 1, 1)), np.resize(np.roll(LENGTHS, 3), 60 * N)
    y, results = np.resize(Y, (60 * N, 1)), []
    for threads in (1, 2, 3):
        model = model_of(NETWORKS["gru"]())
        for batch in (700, 4096):
            model.fit(x, y, lengths=lengths, batch_size=batch, epochs=1, threads=threads)
        fn.set_threads(threads)
        try:
            results.append((model.parameters.tobytes(), model.predict(x, lengths=lengths).tobytes()))
        finally:
            fn.set_threads(None)
    assert results[0] == results[1] == results[2]

    whole, parts = model_of(NETWORKS["gru"]()), model_of(NETWORKS["gru"]())
    whole.fit(X, Y, lengths=LENGTHS, epochs=4)
    for _ in range(2):
        parts.fit(X, Y, lengths=LENGTHS, epochs=2, resume=True)
    assert np.array_equal(whole.parameters, parts.parameters)


def test_mapped_files_of_another_dtype(tmp_path):
    mapped = np.memmap(tmp_path / "x", "float64", "w+", shape=X.shape)
    mapped[...] = X
    model, twin = model_of(NETWORKS["gru"]()), model_of(NETWORKS["gru"]())
    for own, x in ((model, mapped), (twin, X)):
        own.fit(x, Y, lengths=LENGTHS, epochs=2)
        own.fit(x, Y, lengths=LENGTHS, shuffle=False)
    assert np.array_equal(model.parameters, twin.parameters)
    assert np.array_equal(model.predict(mapped, lengths=LENGTHS), twin.predict(X, lengths=LENGTHS))


def test_sequences_of_words():
    """`Embedding` makes the features; the words behind the end do not matter."""
    layers = [fn.Embedding(20, 4), fn.GRU(5), fn.Dense(3)]
    model = fn.Model(layers, "cross_entropy", seed=0)
    words, labels = RNG.integers(0, 20, (N, STEPS)), RNG.integers(0, 3, N)
    others = np.where(PADDING, (words + 1) % 20, words)
    model.fit(words, labels, lengths=LENGTHS, epochs=2)
    assert np.array_equal(model.predict(words, lengths=LENGTHS), model.predict(others, lengths=LENGTHS))
    proba = model.predict_proba(words, lengths=LENGTHS)
    assert np.array_equal(proba.argmax(axis=1), model.predict_class(words, lengths=LENGTHS))
    assert not np.array_equal(model.predict(words), model.predict(others))


def test_user_defined_metrics_see_these_outputs():
    def largest(y, output):
        return float(output.max())

    model = model_of(NETWORKS["gru"](), metrics=[largest])
    found = model.evaluate(X, Y, lengths=LENGTHS)
    assert found["largest"] == model.predict(X, lengths=LENGTHS).max()


def test_calls_without_lengths_are_as_before():
    model, twin = model_of(NETWORKS["gru"]()), model_of(NETWORKS["gru"]())
    model.predict(X, lengths=LENGTHS)
    for own in (model, twin):
        own.fit(X, Y, epochs=2)
    assert np.array_equal(model.parameters, twin.parameters)
    full = np.full(N, STEPS)
    assert np.array_equal(model.predict(X), model.predict(X, lengths=full))


def test_many_models_at_once():
    """Each has the bits of its own fit: with lengths that all share, of their own, or none."""
    options = {"epochs": 2, "validation_data": (X[50:], Y[50:])}
    own = [LENGTHS[:50], None]
    held = [LENGTHS[50:], None]
    models, twins = ([model_of(NETWORKS["gru"]()) for _ in range(2)] for _ in range(2))
    histories = fn.fit_many(models, X[:50], Y[:50], lengths=own, validation_lengths=held, **options)
    for model, twin, history, a, b in zip(models, twins, histories, own, held, strict=True):
        record = twin.fit(X[:50], Y[:50], lengths=a, validation_lengths=b, **options)
        assert history.history == record.history
        assert np.array_equal(model.parameters, twin.parameters)
    fn.fit_many(models, X, Y, lengths=LENGTHS)
    for model, twin in zip(models, twins, strict=True):
        twin.fit(X, Y, lengths=LENGTHS)
        assert np.array_equal(model.parameters, twin.parameters)
    before = [model.parameters.copy() for model in models]
    with pytest.raises(ValueError, match="model 0: lengths must have shape"):
        fn.fit_many(models, X, Y, lengths=LENGTHS[1:])
    assert all(map(np.array_equal, before, [model.parameters for model in models]))


def test_ensembles():
    models = [model_of(NETWORKS[name]()) for name in ("gru", "dense and several")]
    ensemble = fn.Ensemble(models)
    expected = sum(model.predict(X, lengths=LENGTHS) for model in models) / 2
    assert_allclose(ensemble.predict(X, lengths=LENGTHS), expected, rtol=1e-6)
    assert_allclose(ensemble.predict(X[3], lengths=LENGTHS[3]), expected[3], rtol=1e-5)
    loss = ensemble.evaluate(X, Y, lengths=LENGTHS)["loss"]
    assert_allclose(loss, ((expected - Y) ** 2).mean(), rtol=1e-5)


@pytest.mark.parametrize("first", [None, -7])
@pytest.mark.parametrize("name", ["gru", "dense and several"])
def test_derivatives_and_hidden_outputs_are_those_of_each_sample_alone(name, first):
    """By `lengths`, and by a mask."""
    masking, given = ([], X.astype(float)) if first is None else ([fn.Masking(first)], MARKED.astype(float))
    options = {"lengths": LENGTHS} if first is None else {}
    model = model_of([*masking, *NETWORKS[name]()], dtype="float64")
    dy = RNG.normal(size=(N, 1))
    gradient, jacobian = model.input_gradient(given, dy, **options), model.jacobian(given, **options)
    hidden = model.outputs(given, [-2], **options)[0]
    for i, length in enumerate(LENGTHS):
        alone, x = model_of(NETWORKS[name](), (int(length), FEATURES), dtype="float64"), given[i, :length]
        assert_allclose(gradient[i, :length], alone.input_gradient(x, dy[i]), rtol=1e-10, atol=1e-14)
        assert_allclose(jacobian[i][:, :length], alone.jacobian(x), rtol=1e-10, atol=1e-14)
        assert not gradient[i, length:].any() and not jacobian[i][:, length:].any()
        assert np.array_equal(hidden[i], alone.outputs(x, [-2])[0])
    if first is None:
        one = model.input_gradient(given[0], dy[0], lengths=LENGTHS[0])
        assert np.array_equal(one, gradient[0])


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "occlusion"])
def test_explanations_leave_out_what_is_behind_the_end(method):
    model = model_of(NETWORKS["gru"]())
    found = getattr(fn.explain, method)(model, X, lengths=LENGTHS)
    assert not found[PADDING].any() and found[~PADDING].all()
    alone = model_of(NETWORKS["gru"](), (int(LENGTHS[1]), FEATURES))
    expected = getattr(fn.explain, method)(alone, X[1, : LENGTHS[1]])
    assert_allclose(found[1, : LENGTHS[1]], expected, rtol=1e-4, atol=1e-6)


def test_adversarial_samples_of_sequences():
    model = model_of(NETWORKS["gru"]())
    found = fn.explain.adversarial(model, X, Y, 0.1, method="fgsm", lengths=LENGTHS)
    assert np.array_equal(found[PADDING], X[PADDING])
    assert_allclose(abs(found - X)[~PADDING], 0.1, rtol=1e-5)
    loss, raised = (model.evaluate(x, Y, lengths=LENGTHS)["loss"] for x in (X, found))
    assert raised > loss


# ---- what is refused ---------------------------------------------------------------------------

WRONG = {
    "must be in 1 ... 9, the time steps of X, got 0 for sample 5": lambda lengths: np.put(lengths, 5, 0),
    "must be in 1 ... 9, the time steps of X, got 10 for sample 6": lambda lengths: np.put(lengths, 6, 10),
    "must be in 1 ... 9, the time steps of X, got -3 for sample 0": lambda lengths: np.put(lengths, 0, -3),
}
CALLS = {
    "fit": lambda model, lengths: model.fit(X, Y, lengths=lengths),
    "partial_fit": lambda model, lengths: model.partial_fit(X, Y, lengths=lengths),
    "evaluate": lambda model, lengths: model.evaluate(X, Y, lengths=lengths),
    "loss_and_gradient": lambda model, lengths: model.loss_and_gradient(X, Y, lengths=lengths),
    "predict": lambda model, lengths: model.predict(X, lengths=lengths),
    "ensemble": lambda model, lengths: fn.Ensemble([model]).predict(X, lengths=lengths),
    "outputs": lambda model, lengths: model.outputs(X, lengths=lengths),
    "input_gradient": lambda model, lengths: model.input_gradient(X, Y, lengths=lengths),
    "jacobian": lambda model, lengths: model.jacobian(X, lengths=lengths),
    "saliency": lambda model, lengths: fn.explain.saliency(model, X, lengths=lengths),
    "adversarial": lambda model, lengths: fn.explain.adversarial(model, X, Y, 0.1, lengths=lengths),
}


@pytest.mark.parametrize("call", CALLS)
def test_wrong_lengths_are_refused(call):
    model = model_of(NETWORKS["gru"]())
    before = model.parameters.copy()
    for message, change in WRONG.items():
        lengths = LENGTHS.copy()
        change(lengths)
        with pytest.raises(ValueError, match=message.replace("...", r"\.\.\.")):
            CALLS[call](model, lengths)
    with pytest.raises(
        ValueError, match=r"lengths must have shape \(70,\), one for each sample, got \(69,\)"
    ):
        CALLS[call](model, LENGTHS[:-1])
    with pytest.raises(TypeError, match=r"lengths must be integers, got 2.5 of dtype float64"):
        CALLS[call](model, np.full(N, 2.5))
    assert np.array_equal(model.parameters, before)


REFUSED = {
    r"lengths are for recurrent layers, and no such layer goes along the 9 time steps": lambda: [fn.Dense(2)],
    r"layer 0, Flatten\(\) cannot leave out time steps": lambda: [fn.Flatten(), fn.Dense(1)],
    r"layer 0, GlobalAveragePooling1D\(\) cannot leave out": lambda: [
        fn.GlobalAveragePooling1D(),
        fn.Dense(1),
    ],
    "'mse' cannot leave out the time steps": lambda: [fn.GRU(2, return_sequences=True)],
    "layer 0, Masking.* masked already, by lengths": lambda: [fn.Masking(), fn.GRU(2)],
    "layer 0, Standardize.* cannot leave out": lambda: [fn.Standardize(), fn.GRU(2)],
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("built", [False, True])
def test_networks_that_have_no_use_for_lengths_are_refused(message, built):
    layers = REFUSED[message]()
    model = fn.Model(layers, None if isinstance(layers[0], fn.Dense) else "mse", seed=0)
    if built:
        with contextlib.suppress(ValueError):  # that it is not adapted, or the loss's own
            model.build((STEPS, FEATURES))
    with pytest.raises(ValueError, match=message):
        model.predict(X, lengths=LENGTHS)


def test_words_that_are_features_are_refused():
    layers = [fn.Concatenate([fn.Sequential([fn.Embedding(20, 4), fn.GRU(5)]), fn.Dense(3)]), fn.Dense(1)]
    model = fn.Model(layers, "mse", seed=0)
    with pytest.raises(ValueError, match=r"layer 0.1, Dense\(3\) cannot leave out"):
        model.fit(np.ones((N, STEPS)), Y, lengths=LENGTHS)
