"""A model as one C file: what `fastnn.Model.to_c` does."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import validate
from ..io import files
from ..layers.base import walk
from ..layers.head import TABLE
from . import compiler, faces
from . import quantize as int8
from .calibration import calibrated
from .gradient import Gradient, write_gradient
from .interface import Network, Step
from .layers import write_layers
from .names import checked_prefix
from .samples import draw, how_many
from .training import Learning, write_training
from .writer import Value, Writer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..engine.graph import Graph
    from ..inference import Inference

_WEIGHTS = ("static", "separate")
#: What results agree with predictions to, relative to the largest output, by dtype.
TOLERANCE = {"float32": 4e-6, "float64": 4e-6 * 2.0**-29}
_WRONG = 1e3  # times that: an error that rounding does not explain
# What makes probabilities of a model's output, by what it is an output for and what it is.
_PROBABILITIES = {
    ("classes", "logits"): "softmax",
    ("shares", "logits"): "sigmoid_all",
    ("classes", "log_probabilities"): "exp_all",
}


@dataclass(frozen=True)
class CFile:
    """What `Model.to_c` wrote.

    Attributes
    ----------
    paths : list of str
        The files.
    prefix : str
        Of the names in them.
    size : int
        Of the files, in bytes.
    weights, scratch : int
        Bytes of the numbers of the network, and of the memory that a caller gives.
    compiler : str or None
        What compiled it, with ``check=True``.
    error : float or None
        The largest difference from `predict` then, relative to the largest output.
    microseconds : float or None
        What a call took then.
    lost : float or None
        With ``quantize="int8"``: how far outputs of the samples of the calibration, or of the self-test, are
        from those of the model before, relative to the largest.
    lost_by_rounding : float or None
        The same without the calibration, if there is one.
    saved : int or None
        Bytes that the weights take less then.
    """

    paths: list[str]
    prefix: str
    size: int
    weights: int
    scratch: int
    compiler: str | None = None
    error: float | None = None
    microseconds: float | None = None
    lost: float | None = None
    lost_by_rounding: float | None = None
    saved: int | None = None

    def __str__(self) -> str:
        lines = [
            f"{' and '.join(self.paths)}: {self.size} bytes, of which the network needs {self.weights} of "
            f"weights and {self.scratch} of scratch memory"
        ]
        if self.compiler is not None:
            lines.append(f"{self.microseconds:.3g} us a call, error {self.error:.2g} ({self.compiler})")
        if self.lost is not None:
            plain = self.lost_by_rounding
            without = "" if plain is None else f" ({plain:.2g} without calibration)"
            lines.append(
                f"int8: {self.saved} bytes less, outputs change by {self.lost:.2g} of the largest{without}"
            )
        return "\n".join(lines)


def export(
    model: Inference,
    path: str | os.PathLike[str],
    *,
    prefix: str | None = None,
    probabilities: bool = False,
    weights: str = "static",
    samples: ArrayLike | None = None,
    gradient: bool = False,
    train: bool = False,
    quantize: str | None = None,
    calibration: ArrayLike | None = None,
    fortran: bool = False,
    cpp: bool = False,
    check: bool = False,
) -> CFile:
    """See `Model.to_c`."""
    name = checked_prefix(prefix, path)
    probabilities, check = validate.boolean("probabilities", probabilities), validate.boolean("check", check)
    gradient, train = validate.boolean("gradient", gradient), validate.boolean("train", train)
    fortran, cpp = validate.boolean("fortran", fortran), validate.boolean("cpp", cpp)
    validate.choice("weights", weights, _WEIGHTS)
    separate = weights == "separate"
    validate.choice("quantize", quantize, (None, "int8"))
    if calibration is not None and not quantize:
        raise ValueError("calibration is for quantize='int8'; give both, or neither")
    if quantize and separate:
        raise ValueError("quantize='int8' writes integers into the C file; leave weights at 'static'")
    if quantize and (gradient or train):
        name = "gradient" if gradient else "train"
        raise ValueError(f"{name}=True is for weights that are not rounded; leave quantize out")
    if check:
        compiler.command()
    _require_exportable(model)
    losses: dict[str, Any] = {}
    if quantize:
        model, losses = _rounded(model, samples, calibration)
        samples = calibration if samples is None else samples
    with model.executor.weights_lock.exclusive():  # between two steps of a fit in another thread
        c = Writer(name, model.dtype, "weights" if separate else f"{name}_weights")
        c.quantizes = quantize is not None
        calls = _write_network(c, model, _graph(model), probabilities)
        graph, step = model.executor.built.one_step_graph(), None
        if graph is not None:
            c.begin(keeps_state=True)
            own = _write_network(c, model, graph, probabilities)
            step = Step(own, math.prod(graph.input.shape), math.prod(graph.output.shape))
        slopes = _write_gradient(c, model, probabilities) if gradient else None
        steps = _write_training(c, model, probabilities, separate) if train else None
    x, y = _tests(model, samples, probabilities)
    numbers = np.concatenate([np.zeros(0, c.dtype), *c.numbers])
    network = Network(c, calls, numbers, x, y, separate, _listed_layers(model), step, slopes, steps)
    data = numbers.astype(c.dtype.newbyteorder("<")).tobytes() if separate else None
    found = None
    if check:
        native = data if sys.byteorder == "little" or data is None else numbers.tobytes()
        found = compiler.check(network.file(None), name, c.real, native)
        if not found.error <= _WRONG * TOLERANCE[model.dtype]:
            raise RuntimeError(
                f"the compiled file does not compute what predict does: the error is {found.error:g}, with "
                f"{found.compiler}"
            )
    content = network.file(found)
    given = os.fspath(path)
    contents = {".bin": data} if data is not None else {}
    if fortran:
        contents[".f90"] = faces.fortran(network).encode("ascii")
    if cpp:
        contents[".hpp"] = faces.cpp(network, os.path.basename(given)).encode()
    written = {given: content} | {os.path.splitext(given)[0] + end: each for end, each in contents.items()}
    if len(written) <= len(contents):
        raise ValueError(f"path ends as another file that is written: {given!r}; let it end in .h")
    for each, text in reversed(written.items()):  # the C file last: it names what is in the others
        files.replace(each, text)
    paths, size = list(written), sum(map(len, written.values()))
    scratch = max(c.scratch, 1) * c.dtype.itemsize
    checked: dict[str, Any] = {} if found is None else found._asdict()
    size_of_weights = numbers.nbytes + c.n_codes
    return CFile(paths, name, size, size_of_weights, scratch, **checked, **losses)


def _rounded(
    model: Inference, samples: ArrayLike | None, calibration: ArrayLike | None
) -> tuple[Inference, dict[str, Any]]:
    """A model with weights of 8 bits, and what it loses and saves."""
    if calibration is not None:
        samples = np.asarray(calibration)
        if not model.predict(samples).size:  # refuses what is not samples
            raise ValueError("calibration must have at least one sample, got none")
    else:
        samples = _tests(model, samples, False)[0].reshape(-1, *_graph(model).input.shape)
    before = model.predict(samples)

    def lost(other: Inference) -> float:
        return float(abs(other.predict(samples) - before).max() / (abs(before).max() or 1.0))

    result, losses = int8.quantized(model), {"saved": int8.saved(model)}
    if calibration is None:
        return result, {"lost": lost(result), **losses}
    best = calibrated(model, samples)
    return best, {"lost": lost(best), "lost_by_rounding": lost(result), **losses}


def _graph(model: Inference) -> Graph:
    model.state  # noqa: B018 - refuses a model that is not built
    assert model.executor.graph is not None
    return model.executor.graph


def _require_exportable(model: Inference) -> None:
    _graph(model)
    model.executor.require_adapted()
    if model.compute_dtype != model.dtype:
        raise ValueError(
            f"a model with compute_dtype={model.compute_dtype!r} cannot be written as C, where products are "
            f"those of {model.dtype}; give its weights to a model without compute_dtype"
        )


def _write_network(c: Writer, model: Inference, graph: Graph, probabilities: bool) -> list[str]:
    """The calls that compute the output of a graph of the model's layers."""
    nodes = {id(node.layer): node for node in graph.nodes}
    x = write_layers(c, model.layers, Value("x", math.prod(graph.input.shape)), nodes)
    _write_output(c, model, graph, probabilities, x)
    return c.calls


def _write_output(c: Writer, model: Inference, graph: Graph, probabilities: bool, x: Value) -> None:
    """What becomes of the output of the layers."""
    c.name = "output"
    if probabilities:
        helper = _probabilities(model)
        if helper is not None:
            y, columns = c.over(x), graph.output.shape[-1]
            sizes = [str(x.size // columns), str(columns)] if helper == "softmax" else [str(x.size)]
            c.call(helper, x.name, *sizes, y.name)
            x = y
    c.call("copy", x.name, str(x.size), "y")


def _write_gradient(c: Writer, model: Inference, probabilities: bool) -> Gradient:
    if probabilities and _probabilities(model) is not None:
        raise ValueError("gradient=True is of the model's own outputs; leave probabilities out")
    graph = _graph(model)
    nodes = {id(node.layer): node for node in graph.nodes}
    c.begin(keeps_state=False)
    return write_gradient(c, model.layers, nodes, math.prod(graph.input.shape), math.prod(graph.output.shape))


def _write_training(c: Writer, model: Inference, probabilities: bool, separate: bool) -> Learning:
    graph = _graph(model)

    def tail(x: Value) -> None:
        _write_output(c, model, graph, probabilities, x)

    return write_training(c, model, graph, tail, separate)


def _probabilities(model: Inference) -> str | None:
    """What makes probabilities of the output; None if it holds them."""
    head = model.head
    if head.target not in ("classes", "shares") or (head.target, head.output) not in {
        *_PROBABILITIES,
        ("classes", "probabilities"),
        ("shares", "probabilities"),
    }:
        raise ValueError(
            f"probabilities need a model with one of the losses {', '.join(TABLE)}, for classes or labels"
        )
    return _PROBABILITIES.get((head.target, head.output))


def _tests(
    model: Inference, given: ArrayLike | None, probabilities: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples for the self-test, and what the model makes of them."""
    graph = _graph(model)
    n_in, n_out = math.prod(graph.input.shape), math.prod(graph.output.shape)
    count = how_many(n_in, n_out)
    if given is None:
        x = draw(model.layers, graph.input.shape, count).astype(model.dtype)
    else:
        x = np.asarray(given)
        x = (x[np.newaxis] if x.ndim == len(graph.input.shape) else x)[:count]
        model.predict(x)  # refuses what is not samples
        x = x.reshape(-1, *graph.input.shape).astype(model.dtype)
    y = model.predict(x)
    if probabilities:
        helper = _probabilities(model)
        y = y.astype(np.float64)
        if helper == "softmax":
            y = np.exp(y - y.max(axis=-1, keepdims=True))
            y /= y.sum(axis=-1, keepdims=True)
        elif helper is not None:
            y = np.exp(y) if helper == "exp_all" else 1 / (1 + np.exp(-y))
        y = y.astype(model.dtype)
    if not np.isfinite(y).all():
        raise ValueError(
            "the outputs of the samples for the self-test are not finite; give others as samples="
        )
    return x.reshape(len(x), n_in), y.reshape(len(x), n_out)


def _listed_layers(model: Inference) -> list[tuple[str, str, str]]:
    """Of each layer its path, what it is, and the shape of its output."""
    graph = _graph(model)
    nodes = {id(node.layer): node for node in graph.nodes}
    rows = [("input", "", str(graph.input.shape))]
    for path, layer in walk(model.layers):
        shown = type(layer).__name__ if layer.children else repr(layer)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        rows.append((path, shown, str(nodes[id(layer)].output)))
    return rows
