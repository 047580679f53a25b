"""One row through a trained network from Python: fastnn, NumPy, PyTorch and ONNX Runtime in turns.

    python -m bench.latency

All in one process and one thread, one block of calls each a round. Printed are the medians over the
rounds in microseconds, and the median of the ratio to fastnn in the same round. Peers that are not
installed are skipped by name.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from bench.compare import HANDICAPS
from bench.peers import blas, fastnn_peer, numpy_peer
from bench.workloads import INFERENCE, Inference, Weights, make_weights

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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
