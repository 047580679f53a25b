"""Short ways of `backward` and `apply_gradient`: the bits of the long ones, and when they are left."""

import tracemalloc

import numpy as np
import pytest
from numba import njit
from numba.core.runtime import _nrt_python, rtsys

import fastnn as fn
from fastnn.engine import inspection

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
DY = RNG.normal(size=(12, 2)).astype("float32")


def make(**options):
    layers = [fn.Dense(5, "tanh", l2=0.01), fn.Dropout(0.2), fn.BatchNormalization(), fn.Dense(2)]
    return fn.Model(layers, optimizer=fn.Adam(0.01, global_clipnorm=0.5), seed=0, **options).build(3)


def the_long_way(model):
    """Let nothing be known of samples."""
    model._passes._samples.take = lambda X, dy: None
    return model


def everything(model):
    state = model.state
    vectors = state.parameters, state.statistics, state.optimizer, state.counters
    return [vector.tobytes() for vector in vectors]


@pytest.fixture
def checked(monkeypatch):
    """Counts how often samples are checked at length."""
    calls = []
    sequences = inspection.sequences
    monkeypatch.setattr(inspection, "sequences", lambda *a: calls.append(a) or sequences(*a))
    return lambda call: (calls.clear(), call(), len(calls))[-1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", ["float32", "float64", "int64"])
def test_the_same_bits_as_the_long_way(dtype, given, checked):
    short, long = make(dtype=dtype), the_long_way(make(dtype=dtype))
    dy = (4 * DY).astype(given)
    for step in range(6):
        rows = slice(4 * step % 12, 4 * step % 12 + 4)
        gradients = []
        for model in (short, long):
            first = model.backward(X[rows], dy[rows])
            second = model.backward(X[rows], lambda outputs: outputs * dy[rows])  # noqa: B023
            gradients.append([first, second])
            model.apply_gradient(first + second)
        assert np.array_equal(*gradients)
        assert everything(short) == everything(long)
        if step == 3:
            for model in (short, long):
                model.layers[0].trainable = False
                model.seed = 7
    assert checked(lambda: short.backward(X[:4], dy[:4])) == 0
    assert checked(lambda: short.backward(X[:4], lambda outputs: outputs)) == 0
    assert checked(lambda: long.backward(X[:4], dy[:4])) == 1


def test_single_samples_and_other_kinds(checked):
    model, long = make(), the_long_way(make())
    for x, dy in ((X[0], DY[0]), (X, DY)):
        for _ in range(3):
            assert np.array_equal(model.backward(x, dy), long.backward(x, dy))
        assert checked(lambda: model.backward(x, dy)) == 0  # noqa: B023
        long.backward(x, dy)
    others = [(X[:5], DY[:5]), (X.astype("float64"), DY), (X, DY.tolist()), (X.tolist(), DY)]
    for x, dy in others:
        assert checked(lambda: model.backward(x, dy)) == 1  # noqa: B023
    assert checked(lambda: model.backward(X, lambda outputs: (2 * outputs).tolist())) == 1


def wrong(array, value, place):
    result = array.copy()
    result[place] = value
    return result


REFUSED = {
    "NaN in X": (wrong(X, np.nan, (2, 1)), DY),
    "infinity in X": (wrong(X, -np.inf, (0, 0)), DY),
    "NaN in dy": (X, wrong(DY, np.nan, (1, 1))),
    "infinity in dy": (X, wrong(DY, np.inf, (11, 0))),
    "columns": (X[:, :2], DY),
    "rows": (X, DY[:7]),
    "a function's NaN": (X, lambda outputs: wrong(DY, np.nan, (1, 1))),
    "a function's shape": (X, lambda outputs: outputs[:, :1]),
    "a function's size": (X, lambda outputs: wrong(DY.astype("float64"), 1e300, (0, 1))),
    "a function's None": (X, lambda outputs: None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_as_ever(name):
    x, dy = REFUSED[name]
    told = []
    for model in (make(), the_long_way(make())):
        for _ in range(2):
            model.backward(X, DY)
            model.backward(X, lambda outputs: outputs)
        before = model.parameters.tobytes()
        with pytest.raises((ValueError, TypeError)) as caught:
            model.backward(x, dy)
        told.append((type(caught.value), str(caught.value)))
        assert model.parameters.tobytes() == before
        model.backward(X, DY)
    assert told[0] == told[1]


def test_a_gradient_that_is_not_finite_changes_nothing():
    model = make()
    gradient = model.backward(X, DY)
    model.apply_gradient(gradient)
    before = everything(model)
    for value in (np.nan, np.inf):
        gradient[3] = value
        with pytest.raises(ValueError, match=r"gradient must be finite numbers of float32, got .* at 3"):
            model.apply_gradient(gradient)
        assert everything(model) == before
    with pytest.raises(ValueError, match="gradient must have shape"):
        model.apply_gradient(gradient[1:])


def test_a_call_within_a_call():
    """Each has memory of its own, whichever weights the inner one leaves."""
    model, other = make(), make()

    def nested(outputs):
        inner = model.backward(X + 1, DY)
        model.apply_gradient(inner)
        return DY

    for _ in range(3):
        gradient = model.backward(X, nested)
        first = other.backward(X, DY)  # drops what the outer one drops
        other.apply_gradient(other.backward(X + 1, DY))
        assert first.shape == gradient.shape and np.isfinite(gradient).all()
    assert model.state.step == other.state.step == 3


def peak(call):
    """Most bytes that a call had at a time, the least of several."""
    least = []
    for _ in range(5):
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        call()
        least.append(tracemalloc.get_traced_memory()[1] - before)
    return min(least)


def test_no_array_is_allocated_but_the_gradient():
    model = fn.Model([fn.Dense(300, "relu"), fn.Dense(100)], optimizer="adam", seed=0).build(200)
    x, dy = RNG.normal(size=(20, 200)).astype("float32"), RNG.normal(size=(20, 100)).astype("float32")
    gradient = model.backward(x, dy)
    model.apply_gradient(gradient)
    model.backward(x, dy)
    tracemalloc.start()
    try:
        assert gradient.nbytes < peak(lambda: model.backward(x, dy)) < gradient.nbytes + 3000
        assert peak(lambda: model.apply_gradient(gradient)) < 3000
    finally:
        tracemalloc.stop()


@njit
def steps(net, state, x, dy, out, times):
    for _ in range(times):
        fn.forward_train(net, state, x, out)
        fn.backward(net, x, dy)
        fn.apply_gradient(net, state)


@pytest.mark.sweep
def test_compiled_steps_allocate_nothing():
    """Numba allocates for the arguments, whatever the number of steps; and Python nothing."""
    model = make()
    arguments = model.network(12), model.optimizer_state(), X, DY, np.empty_like(DY)
    steps(*arguments, 2)
    enabled = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    tracemalloc.start()
    try:
        counted = []
        for times in (1, 500):
            before = rtsys.get_allocation_stats()
            used = peak(lambda: steps(*arguments, times))  # noqa: B023
            after = rtsys.get_allocation_stats()
            counted.append((after.alloc - before.alloc, after.mi_alloc - before.mi_alloc))
            assert used < 3000
        assert counted[0] == counted[1]
    finally:
        tracemalloc.stop()
        if not enabled:
            _nrt_python.memsys_disable_stats()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_beside_pytorch(name):
    """Gradients of two batches, accumulated, and steps of the optimizer with clipping by the norm."""
    torch = pytest.importorskip("torch", reason="is compared with PyTorch where it is installed")
    layers = [fn.Dense(8, "tanh"), fn.Dense(2)]
    optimizer = fn.SGD(0.1, momentum=0.9) if name == "momentum" else fn.Adam(0.01)
    optimizer.global_clipnorm = 0.3
    model = fn.Model(layers, optimizer=optimizer, dtype="float64", seed=0).build(3)
    linears = [torch.nn.Linear(3, 8, dtype=torch.float64), torch.nn.Linear(8, 2, dtype=torch.float64)]
    twin = torch.nn.Sequential(linears[0], torch.nn.Tanh(), linears[1])
    with torch.no_grad():
        for layer, linear in zip(layers, linears, strict=True):
            linear.weight.copy_(torch.from_numpy(layer.weights.T.copy()))
            linear.bias.copy_(torch.from_numpy(layer.bias.copy()))
    if name == "momentum":
        other = torch.optim.SGD(twin.parameters(), 0.1, momentum=0.9)
    else:
        other = torch.optim.Adam(twin.parameters(), 0.01, eps=model.optimizer.epsilon)
    compiled = fn.Model([fn.Dense(8, "tanh"), fn.Dense(2)], optimizer=optimizer, dtype="float64", seed=0)
    compiled.build(3)
    net, state, out = compiled.network(6), compiled.optimizer_state(), np.empty((6, 2))
    x, target = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))
    for _ in range(5):
        gradient = np.zeros_like(model.parameters)
        other.zero_grad()
        for start in (0, 6):
            part = slice(start, start + 6)
            gradient += model.backward(x[part], lambda outputs: (outputs - target[part]) ** 3)  # noqa: B023
            fn.forward_train(net, state, x[part], out)
            fn.backward(net, x[part], (out - target[part]) ** 3, None, start > 0)
            ((twin(torch.from_numpy(x[part])) - torch.from_numpy(target[part])) ** 4 / 4).sum().backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.3)
        model.apply_gradient(gradient)
        fn.apply_gradient(net, state)
        other.step()
        for used in (model, compiled):
            for layer, linear in zip(used.layers, linears, strict=True):
                weight, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
                np.testing.assert_allclose(layer.weights, weight.T, rtol=1e-6, atol=1e-9)
                np.testing.assert_allclose(layer.bias, bias, rtol=1e-6, atol=1e-9)
