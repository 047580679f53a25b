"""Random networks, batch sizes and orders of calls under guard zones: promise 4.

    FASTNN_GUARD=1 python -m tests.guarantees.fuzz --count 2000     make fuzz
    FASTNN_GUARD=1 python -m tests.guarantees.fuzz --seed 7 --case 123

Each case makes a model and calls it in random ways, three times: as always; with every buffer between guard
zones (`fastnn.memory.guard`); with every buffer between forbidden pages (`tests.helpers.guard_pages`),
where a read or a write outside of one ends the process. No call may change a zone or the user's arrays,
and all must give the same bits: between guard zones memory that was never written is NaN, and so are the
samples' surroundings.
"""

import argparse
import faulthandler
import os
import pickle
import sys
import tempfile
import time
import traceback
import warnings
from unittest import mock

import numpy as np

import fastnn as fn
from fastnn.compiler import loader
from fastnn.engine import builder, launch
from fastnn.engine.data_set import DataSet
from fastnn.engine.threads import Parts
from fastnn.memory import buffers, guard
from fastnn.memory.buffers import address
from tests.helpers.guard_pages import copy_of, fences
from tests.helpers.networks import ACTIVATION_CASES, activation, draw_target, outputs_for

OPTIMIZERS = [
    lambda rate: fn.SGD(rate),
    lambda rate: fn.SGD(rate, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda rate: fn.SGD(rate, momentum=0.5, global_clipnorm=0.5),
    lambda rate: fn.RMSprop(rate),
    lambda rate: fn.RMSprop(rate, momentum=0.5, clipvalue=0.1),
    lambda rate: fn.Adagrad(rate),
    lambda rate: fn.Adam(rate),
    lambda rate: fn.Adam(rate, global_clipnorm=1.0),
    lambda rate: fn.AdamW(rate, weight_decay=0.1, clipvalue=1.0),
]
RATES = [
    0.01,
    0.1,
    fn.schedules.step(0.05, every=3, factor=0.5),
    fn.schedules.exponential(0.05, every=3, factor=0.5),
    fn.schedules.cosine(0.05, steps=20, warmup=3),
    fn.schedules.one_cycle(0.05, steps=20, warmup=4),
]
WIDTHS = [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 48, 65, 130]
SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100]


def pick(rng, values):
    return values[rng.integers(len(values))]


def between_nan(array):
    memory = np.full(array.size + 1024, np.nan if array.dtype.kind == "f" else -1, array.dtype)
    memory[512 : 512 + array.size] = array.ravel()
    return memory[512 : 512 + array.size].reshape(array.shape)


def draw_layers(rng, n_out):
    layers = []
    if rng.random() < 0.2:
        layers.append(pick(rng, [fn.Standardize, fn.MinMax])())
    for _ in range(rng.integers(0, 5)):
        kind = rng.integers(4)
        if kind == 0:
            layers.append(fn.Dropout(pick(rng, [0.1, 0.5])))
        elif kind == 1:
            layers.append(fn.Activation(activation(pick(rng, ACTIVATION_CASES))))
        else:
            layers.append(draw_dense(rng, pick(rng, WIDTHS)))
    return [*layers, draw_dense(rng, n_out)]


def draw_dense(rng, width):
    penalty = pick(rng, [{}, {}, {"l1": 0.01}, {"l2": 0.01}])
    act = None if rng.random() < 0.5 else activation(pick(rng, ACTIVATION_CASES))
    return fn.Dense(width, act, use_bias=bool(rng.random() < 0.8), **penalty)


class Case:
    """A model, its data, and the calls that are made."""

    def __init__(self, seed, number, place):
        self.rng = rng = np.random.default_rng([seed, number])
        self.dtype = pick(rng, ["float32", "float64"])
        loss = pick(rng, sorted(fn.losses.TABLE))
        own = fn.losses.get(loss)
        classes = own.target == "classes"
        n_out = int(rng.integers(2, 12)) if classes else outputs_for(loss, pick(rng, [1, 1, 2, 3, 17]))
        self.n, self.n_in = pick(rng, SIZES), pick(rng, WIDTHS)
        metrics = "auto" if classes else list(rng.choice(["mse", "mae", "r2"], 2, replace=False))
        if loss in ("binary_cross_entropy", "poisson") or not own.pairs_outputs:
            metrics = "auto"
        layers, optimizer = draw_layers(rng, n_out), pick(rng, OPTIMIZERS)(pick(rng, RATES))
        self.model = fn.Model(layers, loss, optimizer, metrics, self.dtype, seed=int(rng.integers(1000)))
        kind = pick(rng, ["labels", "one_hot", "soft"]) if classes else "values"
        shape = self.n if classes or own.rowwise else pick(rng, [self.n, (self.n, n_out)])
        target = draw_target(loss, self.n, n_out, rng, kind)
        self.data = {
            "X": rng.normal(size=(self.n, self.n_in)).astype(pick(rng, [self.dtype, self.dtype, "float64"])),
            "y": target if kind == "labels" else target.astype(self.dtype),
            "weight": rng.uniform(0.1, 2, shape).astype(self.dtype),
        }
        self.given = {name: place(array) for name, array in self.data.items()}
        self.cut = pick(rng, [None, None, *(Parts(n, own) for n in (1, 2, 3, 5) for own in (False, True))])
        self.chunk = pick(rng, [1, 1, 1000, 32768])

    def run(self):
        """The results of all calls, as bytes and text."""
        parts = builder.parts
        results = []
        with (
            mock.patch.object(builder, "parts", lambda *sizes: self.cut or parts(*sizes)),
            mock.patch.object(builder, "_CHUNK", self.chunk),
        ):
            self.model.adapt(self.given["X"])
            for _ in range(self.rng.integers(3, 8)):
                call = pick(self.rng, CALLS)
                try:
                    result = call(self)
                except (fn.DivergenceError, OverflowError) as error:
                    result = repr(error)
                results.append((call.__name__, result))
                for name, array in self.data.items():
                    assert np.array_equal(self.given[name], array), f"{name} was changed"
        if self.model.executor._state is not None:
            state = self.model.state
            results.append(("end", (state.parameters.tobytes(), state.optimizer.tobytes())))
        return results

    def some(self):
        """A part of the data, as keyword arguments, with weights or without."""
        first = int(self.rng.integers(self.n))
        last = int(self.rng.integers(first + 1, self.n + 1))
        parts = {name: array[first:last] for name, array in self.given.items()}
        weight = parts.pop("weight")
        return parts | ({"sample_weight": weight} if self.rng.random() < 0.4 else {})


def fit(case):
    rng = case.rng
    options = {
        "epochs": int(rng.integers(1, 4)),
        "batch_size": pick(rng, [None, 1, 2, 5, 16, 33, int(rng.integers(1, case.n + 2))]),
        "shuffle": pick(rng, [True, True, False, lambda epoch: np.arange(case.n)[::-1]]),
        "threads": pick(rng, [None, 1, 2, 3]),
        "callbacks": pick(rng, [(), [lambda epoch, logs: None]]),
    }
    data = {name: case.given[name] for name in ("X", "y")}
    if rng.random() < 0.3:
        data["sample_weight"] = case.given["weight"]
    if not callable(options["shuffle"]) and case.n > 3 and rng.random() < 0.4:
        options["validation_split"] = 0.3
    return repr(case.model.fit(**data, **options).history)


def partial_fit(case):
    case.model.partial_fit(**case.some())
    return case.model.parameters.tobytes()


def predict(case):
    X = case.some()["X"]
    return case.model.predict(X if case.rng.random() < 0.7 else X[0]).tobytes()


def predict_many(case):
    return case.model.predict(np.resize(case.given["X"], (300, case.n_in))).tobytes()


def evaluate(case):
    return repr(case.model.evaluate(**case.some()))


def loss_and_gradient(case):
    loss, gradient = case.model.loss_and_gradient(**case.some())
    return repr(loss), gradient.tobytes()  # a NaN is not equal to itself


def one_layer(case):
    if case.model.executor._state is None:
        return None
    layer = case.model.layers[case.rng.integers(len(case.model.layers))]
    ((width,),) = case.model.executor.graph.node(layer).inputs
    return layer(case.rng.normal(size=(int(case.rng.integers(1, 20)), width))).tobytes()


def derivatives(case):
    """The entries that the user's compiled code calls."""
    model = case.model
    if model.executor._state is None:
        return None
    net = model.network(max_batch=pick(case.rng, [1, 3, 16]))
    x = case.some()["X"].astype(case.dtype)
    width, dtype = model.n_out, net.parameters.dtype.name
    dy = case.rng.normal(size=(len(x), width)).astype(case.dtype)
    sizes = {
        "input_gradient": x.shape,
        "jacobian": (len(x), width, case.n_in),
        "parameter_jacobian": (len(x) * width, model.parameters.size),
    }
    name = pick(case.rng, sorted(sizes))
    out = buffers.allocate(int(np.prod(sizes[name])), dtype, "derivatives")
    launch.set_data(net, DataSet(x, None, None))
    net.fields.y, net.fields.output = address(dy), address(out)
    loader.function(f"embedded.jacobian.{name}", dtype)(0, address(net.descriptor))
    return out.tobytes()


def copied(case):
    case.model = pickle.loads(pickle.dumps(case.model))
    return None


def saved(case):
    if case.model.executor._state is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model")
        case.model.save(path, training=bool(case.rng.random() < 0.5))
        case.model = fn.load(path)
    return None


def freeze(case):
    for layer in case.model.layers:
        layer.trainable = bool(case.rng.random() < 0.6)
    return None


def another_optimizer(case):
    case.model.optimizer = pick(case.rng, OPTIMIZERS)(pick(case.rng, RATES))
    return None


CALLS = [
    *(fit, fit, fit, partial_fit, predict, predict, predict_many, evaluate, loss_and_gradient),
    *(one_layer, derivatives, copied, saved, another_optimizer, freeze),
]


def run_case(seed, number):
    """Raise if a case changes what it must not, or the guards change a result."""
    ways = [
        (mock.patch.object(guard, "ON", False), np.copy),
        (mock.patch.object(guard, "ON", True), between_nan),
        (fences(), copy_of),
    ]
    results = []
    for surroundings, place in ways:
        with surroundings:
            results.append(Case(seed, number, place).run())
    for plain, guarded, fenced in zip(*results, strict=True):
        assert guarded == plain, f"{plain[0]} depends on memory that was not written"
        assert fenced == plain, f"{plain[0]} depends on where its memory lies"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--verbose", action="store_true", help="name each case before it runs")
    options = parser.parse_args()
    if not guard.ON:
        sys.exit("run this with FASTNN_GUARD=1 in the environment")
    faulthandler.enable()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "the last activation does not fit")
    start, failed = time.perf_counter(), 0
    numbers = range(options.count) if options.case is None else [options.case]
    for number in numbers:
        if options.verbose:
            print(f"--seed {options.seed} --case {number}", flush=True)
        try:
            run_case(options.seed, number)
        except Exception:
            traceback.print_exc()
            print(f"FAILED: --seed {options.seed} --case {number}", flush=True)
            failed += 1
    print(
        f"seed {options.seed}: {len(numbers)} networks, each as always, between guard zones and fences; "
        f"{failed} failed; {loader.compilations} kernels compiled; {time.perf_counter() - start:.0f} s"
    )
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
