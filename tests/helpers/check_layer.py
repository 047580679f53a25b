"""One call tests a layer: what it computes, and all that the library promises of any layer.

    check_layer(lambda: fn.Dense(3, "tanh"), (5,), lambda x, p: np.tanh(x @ p["weights"] + p["bias"]))

`reference` is the layer in plain NumPy: it maps float64 samples, of shape (n, *input_shape), and the layer's
parameters and statistics, by the names under which they are saved, to the output.
"""

import contextlib
import copy
import pickle
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.testing import assert_allclose
from safetensors.numpy import load_file

import fastnn as fn
from fastnn.compiler import loader
from fastnn.memory import guard
from tests.helpers.interrupted import stopped_after
from tests.helpers.reference import central_difference, double
from tests.helpers.tolerances import CENTRAL_DIFFERENCE, PRODUCT

DTYPES = ("float32", "float64")
#: Of a training: two batches an epoch of different sizes, both large enough to be cut among threads.
ROWS, BATCH, EPOCHS = 230, 128, 3


def normal(rng, shape):
    return rng.normal(size=shape)


def mean_squared_error(output, target, parameters):
    return np.mean((output - target) ** 2)


def check_layer(layer, input_shape, reference, *, checks=None, **options):
    """Run checks of a layer, all by default; see `LayerCase` for the other arguments."""
    case = LayerCase(layer, input_shape, reference, **options)
    for check in CHECKS if checks is None else checks:
        try:
            check(case)
        except BaseException as error:
            error.add_note(f"{check.__name__} of {layer()!r}")
            raise


class LayerCase:
    """A layer under test.

    Parameters
    ----------
    layer : function without arguments
        Makes the layer, a new one in each call.
    input_shape : tuple of int
        Of one sample.
    reference : function of (samples, parameters)
    draw : function of (generator, shape)
        Draws samples.
    differentiable : bool
        Whether its output depends on its input smoothly; not so for codes of categories.
    first, last : bool
        Whether it can only be the first or the last layer of a model.
    loss : function of (output, target, parameters)
        The loss "mse" as it is meant behind this layer.
    onnx : bool or "float32"
        Whether it can be exported and imported again; "float32" where ONNX Runtime has no other operator.
    """

    def __init__(
        self,
        layer,
        input_shape,
        reference,
        *,
        draw=normal,
        differentiable=True,
        first=False,
        last=False,
        loss=mean_squared_error,
        onnx=True,
    ):
        self.layer, self.input_shape, self.reference = layer, input_shape, reference
        self.draw, self.differentiable, self.onnx = draw, differentiable, onnx
        self.first, self.last, self.loss = first, last, loss

    def samples(self, n, dtype, seed=0):
        return self.draw(np.random.default_rng(seed), (n, *self.input_shape)).astype(dtype)

    def build(self, layers, dtype, **options):
        """A model of these layers whose parameters are all drawn, those of size zero at the start too."""
        model = fn.Model(layers, "mse", dtype=dtype, seed=0, **options)
        if not all(layer.adapted for layer in layers):
            model.adapt(self.samples(50, "float64", seed=1))
        model.build(self.input_shape if len(self.input_shape) > 1 else self.input_shape[0])
        model.parameters[...] = np.random.default_rng(2).normal(0, 0.4, model.parameters.size)
        model.state.statistics[...] = np.random.default_rng(3).uniform(0.2, 2, model.state.statistics.size)
        return model

    def alone(self, dtype, **options):
        return self.build([self.layer()], dtype, **options)

    def network(self, dtype, **options):
        """The layer between others, wide enough that several threads share a batch, some of them random."""

        def wide():
            return [fn.Dense(67, "tanh"), fn.Dropout(0.2)]

        before = [] if self.first else [*wide(), fn.Dense(self.input_shape[-1], "tanh")]
        after = [] if self.last else [*wide(), fn.Dense(3)]
        if after and len(self.output_shape(dtype)) > 1:
            after = [fn.Flatten(), *after]
        return self.build([*before, self.layer(), *after], dtype, **options)

    def output_shape(self, dtype="float64"):
        return self.alone(dtype).predict(self.samples(1, dtype)).shape[1:]

    def target(self, model, x):
        shape = np.asarray(model.predict(x)).shape
        return np.random.default_rng(3).normal(size=shape).astype(model.dtype)


# --- what it computes


def named(model):
    """Statistics of the model's only layer by name, and where in `model.parameters` each parameter lies."""
    values, found = model.parameters.copy(), []
    with tempfile.TemporaryDirectory() as folder:
        for first in (0, values.size):
            model.parameters[...] = first + np.arange(values.size)
            model.save(Path(folder) / "model")
            tensors = load_file(Path(folder) / "model").items()
            found.append({name.removeprefix("0."): tensor for name, tensor in tensors})
    model.parameters[...] = values
    before, after = found
    places = {name: at.astype(int) for name, at in before.items() if not np.array_equal(at, after[name])}
    return {name: tensor for name, tensor in before.items() if name not in places}, places


def reference_of(case, model):
    """Output and loss of the layer in plain NumPy, as functions of samples and the flat parameters."""
    statistics, places = named(model)
    assert sorted(np.concatenate([np.zeros(0, int), *map(np.ravel, places.values())])) == list(
        range(model.parameters.size)
    )

    def by_name(parameters):
        flat = double(parameters)
        return statistics | {name: flat[at] for name, at in places.items()}

    def output(x, parameters):
        return case.reference(double(x), by_name(parameters))

    def loss(x, y, parameters):
        return case.loss(output(x, parameters), y, by_name(parameters))

    return output, loss


def check_values(case):
    """Shape, dtype and values of the output, for several samples and for one; called by itself too."""
    plain, _ = reference_of(case, case.alone("float64"))
    for dtype in DTYPES:
        model = case.alone(dtype)
        for rows in (1, 2, 17, 40):
            x = case.samples(rows, dtype)
            y, expected = model.predict(x), plain(x, model.parameters)
            assert (y.dtype, y.shape) == (dtype, expected.shape)
            scale = max(1.0, np.abs(expected).max())
            assert_allclose(y, expected, PRODUCT[dtype]["rtol"], PRODUCT[dtype]["atol"] * scale)
        assert np.array_equal(model.predict(x[0]), model.predict(x[:1])[0])
        assert np.array_equal(model.layers[0](x), y)


def check_gradients(case):
    """Those with respect to the parameters and to the input, beside central differences of the reference."""
    model = case.alone("float64")
    plain, plain_loss = reference_of(case, model)
    x, start = case.samples(5, "float64"), model.parameters.copy()
    y = case.target(model, x)
    rtol, atol = CENTRAL_DIFFERENCE["float64"].values()
    loss, gradient = model.loss_and_gradient(x, y)
    assert_allclose(loss, plain_loss(x, y, start), rtol=1e-12)
    expected = central_difference(lambda p: plain_loss(x, y, p), start)
    assert_allclose(gradient, expected, rtol, atol * max(1.0, loss))

    single = case.alone("float32")
    single.parameters[...] = start
    single_gradient = single.loss_and_gradient(x.astype("float32"), y.astype("float32"))[1]
    assert single_gradient.dtype == "float32"
    scale = max(1.0, np.abs(gradient).max(initial=0.0))
    assert_allclose(single_gradient, gradient, 1e-4, PRODUCT["float32"]["atol"] * scale)

    if case.differentiable:
        dx = np.full_like(x, np.nan)
        fn.input_gradient(model.network(), x, y, dx)
        expected = central_difference(lambda x: np.sum(y * plain(x, start)), x)
        assert_allclose(dx, expected, rtol, atol * max(1.0, np.abs(expected).max()))


# --- what the library promises


def bits(model, x):
    return model.state.weights().tobytes(), model.state.optimizer.tobytes(), model.predict(x).tobytes()


def fit(model, x, y, epochs=EPOCHS, **options):
    return model.fit(x, y, epochs=epochs, batch_size=BATCH, verbose=0, **options).history


def check_copies(case):
    """Saved and loaded, pickled or copied, it has the same settings and bits, and is trained alike."""
    for dtype in DTYPES:
        model = case.network(dtype)
        x = case.samples(ROWS, dtype)
        y = case.target(model, x)
        fit(model, x, y)
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model", training=True)
            copies = [
                fn.load(Path(folder) / "model"),
                pickle.loads(pickle.dumps(model)),
                copy.deepcopy(model),
            ]
        settings, before = [layer.config() for layer in model.layers], bits(model, x)
        history = fit(model, x, y)
        for again in copies:
            assert [layer.config() for layer in again.layers] == settings
            assert [repr(layer) for layer in again.layers] == [repr(layer) for layer in model.layers]
            assert bits(again, x) == before
            assert fit(again, x, y) == history
            assert bits(again, x) == bits(model, x)


def check_threads(case):
    """Training and prediction have the same bits with any number of threads."""
    for dtype in DTYPES:
        found = []
        for threads in (1, 2 if dtype == "float32" else 3):
            model = case.network(dtype)
            x = case.samples(ROWS, dtype)
            history = fit(model, x, case.target(model, x), threads=threads)
            found.append((history, bits(model, np.tile(x, (3, *[1] * (x.ndim - 1))))))
        assert found[0] == found[1]


@contextlib.contextmanager
def guards():
    """Zones of NaN around all memory, which are checked after each call of compiled code."""
    with mock.patch.object(guard, "ON", True):
        loader.function.cache_clear()
        try:
            yield
        finally:
            loader.function.cache_clear()


def check_memory(case):
    """Nothing is written outside of its memory, and nothing is read that was not written before."""
    for dtype in DTYPES:
        found = []
        for surroundings in (contextlib.nullcontext(), guards()):
            with surroundings:
                models = [case.network(dtype), case.alone(dtype)]
                results = []
                for model in models:
                    x = case.samples(ROWS, dtype)
                    y = case.target(model, x)
                    results += [fit(model, x, y, epochs=1, validation_split=0.1), model.evaluate(x, y)]
                    results += [*bits(model, x), model.predict(x[0]).tobytes()]
                    loss, gradient = model.loss_and_gradient(x[:7], y[:7])
                    results += [loss, gradient.tobytes()]
            found.append(results)
        assert found[0] == found[1]


def check_rows(case):
    """A row's prediction has the same bits alone, in any batch, and in compiled code."""
    for dtype in DTYPES:
        for model in (case.alone(dtype), case.network(dtype)):
            x = case.samples(35, dtype)
            alone = np.concatenate([model.predict(row[np.newaxis]) for row in x])
            for n in (2, 3, 7, 8, 16, 17, 24, 35):
                assert model.predict(x[:n]).tobytes() == alone[:n].tobytes(), n
                assert model.predict(x[-n:]).tobytes() == alone[-n:].tobytes(), n
            out = np.full_like(alone, np.nan)
            fn.forward(model.network(), x, out)
            assert out.tobytes() == alone.tobytes()


def check_resume(case):
    """A training that was stopped within an epoch, saved and loaded comes to the bits of one that was not."""
    for dtype in DTYPES:
        model, stopped = case.network(dtype), case.network(dtype)
        x = case.samples(ROWS, dtype)
        y = case.target(model, x)
        fit(model, x, y)
        with stopped_after(3):  # of two steps an epoch
            fit(stopped, x, y)
        assert (stopped.state.step, stopped.state.epoch) == (3, 1)
        with tempfile.TemporaryDirectory() as folder:
            stopped.save(Path(folder) / "model", training=True)
            again = fn.load(Path(folder) / "model")
        for each in (stopped, again):
            fit(each, x, y, epochs=EPOCHS - 1, resume=True)
            assert bits(each, x) == bits(model, x)


def check_onnx(case):
    """ONNX Runtime gives the same."""
    if not case.onnx:
        return
    import onnxruntime

    for dtype in ["float32"] if case.onnx == "float32" else DTYPES:
        for model in (case.alone(dtype), case.network(dtype)):
            x = case.samples(20, dtype)
            expected = model.predict(x)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                fn.onnx.export(model, path)
                runtime = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
                [y] = runtime.run(None, {"X": x})
            scale = max(1.0, np.abs(expected).max())
            assert_allclose(y, expected, PRODUCT[dtype]["rtol"], PRODUCT[dtype]["atol"] * scale)


def check_import(case):
    """The model that is exported and imported again gives the same."""
    if not case.onnx:
        return
    for dtype in DTYPES:
        for model in (case.alone(dtype), case.network(dtype)):
            x = case.samples(20, dtype)
            expected = model.predict(x)
            with tempfile.TemporaryDirectory() as folder:
                fn.onnx.export(model, Path(folder) / "model.onnx")
                again = fn.onnx.load(Path(folder) / "model.onnx", dtype=dtype)
            scale = max(1.0, np.abs(expected).max())
            # Samples of several axes may have become rows of numbers.
            given = again.predict(x.reshape(len(x), *again.input_shape)).reshape(expected.shape)
            assert_allclose(given, expected, PRODUCT[dtype]["rtol"], PRODUCT[dtype]["atol"] * scale)


#: What it computes, which takes little time.
COMPUTATION = [check_values, check_gradients]
#: What holds of any layer.
PROMISES = [
    check_copies,
    check_threads,
    check_memory,
    check_rows,
    check_resume,
    check_onnx,
]
CHECKS = COMPUTATION + PROMISES
