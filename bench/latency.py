"""What calls from Python cost: one row through a trained network, in turns with peers; steps, and the rest.

    python -m bench.latency

All in one process and one thread, one block of calls each a round. Printed are the medians over the
rounds in microseconds, for the prediction of a row with the median of the ratio to fastnn in the same
round. Peers that are not installed are skipped by name. Then come the other calls of a small model, and a
step of PyTorch's of the same network.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

import fastnn as fn
from bench.compare import HANDICAPS
from bench.peers import blas, fastnn_peer, numpy_peer
from bench.workloads import INFERENCE, Inference, Weights, make_weights
from fastnn.engine import launch

Predict = Callable[[np.ndarray], np.ndarray]


def make_fastnn(inference: Inference, weights: Weights) -> Predict:
    return fastnn_peer.make_predict(inference, weights)


def make_fastnn_out(inference: Inference, weights: Weights) -> Predict:
    model = fastnn_peer.make_model(inference, weights, loss="cross_entropy")
    out = np.empty((inference.rows, inference.widths[-1]), inference.dtype)
    return lambda x: model.predict(x, out=out)


def make_numpy(inference: Inference, weights: Weights) -> Predict:
    return numpy_peer.make_predict(inference, weights)


def make_torch(inference: Inference, weights: Weights) -> Predict:
    import torch

    torch.set_num_threads(1)
    modules: list[torch.nn.Module] = []
    for kernel, bias in weights:
        linear = torch.nn.Linear(*kernel.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(kernel.T))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1]).eval()

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return predict


def make_onnxruntime(inference: Inference, weights: Weights) -> Predict:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors, name = [], [], "x"
    for i, (kernel, bias) in enumerate(weights):
        tensors += [numpy_helper.from_array(kernel, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"]))
        name = f"z{i}"
        if i < len(weights) - 1:
            nodes.append(helper.make_node("Relu", [name], [f"a{i}"]))
            name = f"a{i}"
    x, y = (
        helper.make_tensor_value_info(label, TensorProto.FLOAT, [None, width])
        for label, width in (("x", inference.widths[0]), (name, inference.widths[-1]))
    )
    graph = helper.make_graph(nodes, "mlp", [x], [y], tensors)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"x": x})[0]


PEERS = {
    "fastnn": make_fastnn,
    "fastnn, out=": make_fastnn_out,
    "NumPy": make_numpy,
    "ONNX Runtime": make_onnxruntime,
    "PyTorch": make_torch,
}


def compare(inference: Inference, rounds: int, calls: int) -> dict[str, list[float]]:
    """Microseconds of a call, by peer, a figure a round."""
    weights = make_weights(inference)
    x = np.random.default_rng(0).standard_normal((inference.rows, inference.widths[0]), inference.dtype)
    made: dict[str, Predict] = {}
    for name, make in PEERS.items():
        try:
            made[name] = make(inference, weights)
        except ImportError as error:
            print(f"skipped: {name} ({error})")
    expected = made["NumPy"](x).copy()
    times: dict[str, list[float]] = {name: [] for name in made}
    with blas.threads(1):
        for name, predict in made.items():
            np.testing.assert_allclose(predict(x), expected, rtol=1e-3, atol=1e-4, err_msg=name)
            for _ in range(calls):
                predict(x)
        for _ in range(rounds):
            for name, predict in made.items():
                start = time.perf_counter()
                for _ in range(calls):
                    predict(x)
                times[name].append(1e6 * (time.perf_counter() - start) / calls)
    return times


def small_model() -> fn.Model:
    layers = [fn.Dense(32, "relu"), fn.Dense(16, "relu"), fn.Dense(2)]
    return fn.Model(layers, "cross_entropy", seed=0)


def make_calls() -> dict[str, Callable[[], object]]:
    """The calls of a small model, by what is printed of each."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((256, 8), np.float32), rng.integers(0, 2, 256)
    few, row = (X[:32].copy(), y[:32].copy()), (X[:1].copy(), y[:1].copy())
    # A model each: it keeps the network of one number of rows.
    single, some, model, whole = (small_model().build(8) for _ in range(4))
    model.loss_and_gradient(X, y)
    gradient = model.executor.network("gradient", len(X))
    one, parts = small_model().build(8), small_model().build(8)  # a network is kept for a number of rows
    dy = rng.standard_normal((32, 2), np.float32)
    small_gradient = parts.backward(few[0], dy)
    calls: dict[str, Callable[[], object]] = {
        "partial_fit, 1 row": lambda: single.partial_fit(*row),
        "partial_fit, 32 rows": lambda: some.partial_fit(*few),
        "loss_and_gradient, 256 rows": lambda: model.loss_and_gradient(X, y),
        "  its compiled part": lambda: launch.run("gradient", gradient),
        "backward, 1 row": lambda: one.backward(row[0], dy[:1]),
        "backward, 32 rows": lambda: parts.backward(few[0], dy),
        "apply_gradient": lambda: parts.apply_gradient(small_gradient),
        "evaluate, 256 rows": lambda: model.evaluate(X, y),
        "fit(epochs=1), 256 rows": lambda: whole.fit(X, y, verbose=0),
        "Model(...).build(8)": lambda: small_model().build(8),
    }
    with contextlib.suppress(ImportError):
        from fastnn.sklearn import MLPClassifier

        estimator = MLPClassifier((32, 16), random_state=0).partial_fit(X, y, classes=[0, 1])
        calls["estimator's partial_fit, 1 row"] = lambda: estimator.partial_fit(*row)
    with contextlib.suppress(ImportError):
        calls["PyTorch's step, 1 row"] = make_torch_step(*row)
    return calls


def make_torch_step(x: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    """A step of the small model by PyTorch, each operation as it comes."""
    import torch

    torch.set_num_threads(1)
    linear, relu = torch.nn.Linear, torch.nn.ReLU
    model = torch.nn.Sequential(linear(8, 32), relu(), linear(32, 16), relu(), linear(16, 2))
    optimizer, loss = torch.optim.Adam(model.parameters(), 1e-3), torch.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimizer.step()

    return step


def print_calls(rounds: int, calls: int) -> None:
    """Print the least and the median of each, over the rounds, of blocks of calls."""
    made = make_calls()
    times: dict[str, list[float]] = {name: [] for name in made}
    for call in made.values():
        call()
        call()
    for _ in range(rounds):
        for name, call in made.items():
            start = time.perf_counter()
            for _ in range(calls):
                call()
            times[name].append(1e6 * (time.perf_counter() - start) / calls)
    print("\ncalls of a model 8-32-16-2")
    for name, own in times.items():
        print(f"  {name:32}{median(own):8.2f} us{min(own):8.2f} least")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--calls", type=int, default=500, help="calls of a round (default %(default)s)")
    options = parser.parse_args(argv)
    if any(name in os.environ for name in HANDICAPS):
        environment = {name: value for name, value in os.environ.items() if name not in HANDICAPS}
        return subprocess.call([sys.executable, "-m", "bench.latency", *argv], env=environment)
    for inference in INFERENCE.values():
        if inference.rows > 1:
            continue
        times = compare(inference, options.rounds, options.calls)
        print(f"\n{inference.name}: {'-'.join(map(str, inference.widths))}, one row")
        for name, own in times.items():
            ratio = median(a / b for a, b in zip(own, times["fastnn"], strict=True))
            print(f"  {name:14}{median(own):8.2f} us{min(own):8.2f} least{ratio:8.2f}x")
    print_calls(10 * options.rounds, 20)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
