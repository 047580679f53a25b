"""Estimators of `fastnn.sklearn` as ONNX graphs: their outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..model import Model
    from ._writer import Writer

# What an estimator makes of its model's output, by its ``out_activation_``.
_ACTIVATIONS = {
    "softmax": "Softmax(x, axis=axis)",
    "logistic": "Sigmoid(x)",
    "exp": "Exp(x)",
    "identity": None,
}


class Estimator(NamedTuple):
    """A fitted estimator: its model, its output activation, and the classes of a classifier."""

    model: Model
    activation: str
    classes: NDArray[Any] | None

    @classmethod
    def of(cls, given: Any) -> Estimator:
        """The parts of an estimator, recognized by their names: `fastnn.sklearn` is not imported."""
        if not hasattr(given, "get_params") or not hasattr(given, "hidden_layer_sizes"):
            raise TypeError(f"model must be a fastnn.Model or an estimator of fastnn.sklearn, got {given!r}")
        if not hasattr(given, "out_activation_"):
            raise ValueError(f"the estimator is not fitted yet: {given!r}")
        if not hasattr(given, "current_model"):
            raise TypeError(
                f"model must be an estimator of fastnn.sklearn, not of another library: {given!r}"
            )
        classes = getattr(given, "classes_", None)
        model = given.current_model()  # with the coefficients that may have been assigned
        return cls(model, given.out_activation_, None if classes is None else np.asarray(classes))


def write_outputs(graph: Writer, estimator: Estimator, probabilities: bool) -> None:
    """Write the outputs of a graph after its layers."""
    kind = helper.np_dtype_to_tensor_dtype(graph.dtype)
    n_out = estimator.model.n_out
    assert n_out is not None
    graph.name = "output"
    text = _ACTIVATIONS[estimator.activation]
    if text is not None:
        graph.write(text, {"axis": -1})
    if estimator.classes is None:
        if probabilities:
            raise ValueError("probabilities need a classifier, and this is a regressor")
        graph.finish("Y", kind, n_out)
    elif estimator.activation == "logistic" and n_out > 1:
        graph.finish("probabilities", kind, n_out)
        graph.node("Greater", [graph.output, graph.scalar(0.5)])
        graph.node("Cast", [graph.output], to=TensorProto.INT64)
        graph.finish("label", TensorProto.INT64, n_out)
    else:
        _write_classes(graph, estimator.classes, kind, n_out)


def _write_classes(graph: Writer, classes: NDArray[Any], kind: int, n_out: int) -> None:
    """The probabilities, and the class with the largest one."""
    known = _known(classes)
    if n_out == 1:
        second = graph.output
        first = graph.node("Sub", [graph.scalar(1.0), second])
        graph.node("Concat", [first, second], axis=1)
    graph.finish("probabilities", kind, len(known))
    places = graph.node("ArgMax", [graph.output], axis=1, keepdims=0)
    graph.node("Gather", [graph.classes("classes", known), places], axis=0)
    graph.finish("label", TensorProto.STRING if known.dtype.kind == "O" else TensorProto.INT64)


def _known(classes: NDArray[Any]) -> NDArray[Any]:
    """Classes as integers, or as an object array of strings."""
    if len(classes) < 2:
        raise ValueError(f"a classifier of a single class is not supported: {classes!r}")
    if classes.dtype.kind in "iub":
        return classes.astype(np.int64)
    if all(isinstance(value, str) for value in classes.tolist()):
        return classes.astype(object)
    if classes.dtype.kind == "f" and (classes == np.floor(classes)).all():
        return classes.astype(np.int64)
    raise ValueError(f"classes must be integers or text, got {classes!r}")
