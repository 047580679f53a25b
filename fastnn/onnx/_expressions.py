"""Activations as expressions of ONNX operators, which `_export` writes and `_import` recognizes.

In ``"Where(Less(x, 0), Mul(alpha, Sub(Exp(x), 1)), x)"`` x is the data, a number is a constant in the
model's dtype, any other name is a setting of the activation, and ``Op(x, name=value)`` has an attribute:
a number, a string, or the name of a setting. The axis of softmax is the setting `axis`.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

# ``x / 2 * gate``, as it is put in brackets, and the gates of `gelu` and `gelu_tanh`.
_HALVES = ("Mul(Mul(0.5, x), {gate})", "Mul(Mul(x, {gate}), 0.5)", "Mul(x, Mul(0.5, {gate}))")
_ERF = [f"Add(1, Erf({x}))" for x in ("Div(x, 1.4142135623730951)", "Mul(x, 0.7071067811865476)")]
_TANH = [
    f"Add(1, Tanh(Mul(0.7978845608028654, Add(x, Mul(0.044715, {cube})))))"
    for cube in ("Pow(x, 3)", "Mul(x, Mul(x, x))")
]

# For each activation how it is written, and after that how others write it.
ACTIVATIONS = {
    "identity": ("Identity(x)",),
    "sigmoid": ("Sigmoid(x)",),
    "tanh": ("Tanh(x)",),
    "relu": ("Relu(x)", "Max(x, 0)"),
    "leaky_relu": ("LeakyRelu(x, alpha=negative_slope)", "PRelu(x, negative_slope)"),
    "elu": (
        "Elu(x, alpha=alpha)",
        "Add(Mul(Greater(x, 0), Elu(x)), Mul(Mul(alpha, Elu(x)), Not(Greater(x, 0))))",  # Keras
    ),
    "selu": ("Selu(x)",),
    "gelu": (
        "Gelu(x)",
        *(half.format(gate=gate) for half in _HALVES for gate in _ERF),
        "Mul(Mul(0.5, x), Erfc(Mul(Neg(x), 0.7071067811865476)))",  # Keras
    ),
    "gelu_tanh": (
        "Gelu(x, approximate='tanh')",
        *(half.format(gate=gate) for half in _HALVES for gate in _TANH),
    ),
    "silu": ("Mul(x, Sigmoid(x))", "Swish(x)"),
    "softplus": (
        "Softplus(x)",
        "Where(Greater(x, 20), x, Softplus(x))",  # PyTorch
        "Log(Add(Exp(x), 1))",
    ),
    "hard_tanh": ("Clip(x, -1, 1)", "Clip(x, min=-1, max=1)", "Max(Min(x, 1), -1)", "Min(Max(x, -1), 1)"),
    "softmax": ("Softmax(x, axis=axis)",),
    "log_softmax": ("LogSoftmax(x, axis=axis)", "Log(Softmax(x, axis=axis))"),
}

# How float64 models are written: ONNX Runtime has no float64 kernels for the operators above, and
# attributes are float32 always. (For `gelu` there is no other way: its operator it is.)
FLOAT64 = {
    "leaky_relu": "Where(Less(x, 0), Mul(negative_slope, x), x)",
    "elu": "Where(Less(x, 0), Mul(alpha, Sub(Exp(x), 1)), x)",
    "selu": "Mul(1.0507009873554805, Where(Less(x, 0), Mul(1.6732632423543772, Sub(Exp(x), 1)), x))",
    "gelu_tanh": _HALVES[0].format(gate=_TANH[0]),
    "softplus": "Add(Max(x, 0), Log(Add(1, Exp(Neg(Abs(x))))))",
}

# Activations whose operator came later than others: the first version that has it, and how they are
# written before.
LATER = {"gelu": (20, _HALVES[0].format(gate=_ERF[0])), "gelu_tanh": (20, _HALVES[0].format(gate=_TANH[0]))}


def _normalized(x: str, axes: str) -> list[str]:
    """How others than an operator divide something by the root of the mean of its squares."""
    squares = (f"Mul({x}, {x})", f"Pow({x}, 2)")
    roots = [f"Sqrt(Add(ReduceMean({square}, {axes}), epsilon))" for square in squares]
    return [
        form.format(root=root)
        for root in roots
        for form in (f"Div({x}, {{root}})", f"Mul({x}, Reciprocal({{root}}))", f"Mul({x}, Div(1, {{root}}))")
    ]


# Normalization over axes where there is no operator for it; the axes became an input in version 18.
LAYER_NORMALIZATIONS = [
    form.format(normalized)
    for form in ("Add(Mul({}, gamma), beta)", "Mul({}, gamma)", "{}")
    for axes in ("axes", "axes=axes")
    for normalized in _normalized(f"Sub(x, ReduceMean(x, {axes}))", axes)
]
RMS_NORMALIZATIONS = [
    form.format(normalized)
    for form in ("Mul({}, gamma)", "{}")
    for axes in ("axes", "axes=axes")
    for normalized in _normalized("x", axes)
]


class Setting(NamedTuple):
    """An attribute that is a setting of the activation."""

    name: str


class Operation(NamedTuple):
    """An operator's name, with its domain if that is not the standard one; its arguments; attributes."""

    operator: str
    arguments: tuple[Expression, ...]
    attributes: dict[str, float | str | Setting]


# A name, a constant, or an operation.
Expression = str | float | Operation


def parse(text: str) -> Operation:
    """Parse an expression."""
    result = _expression(ast.parse(text, mode="eval").body)
    assert isinstance(result, Operation)
    return result


def _expression(node: ast.expr) -> Expression:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call):
        arguments = tuple(_expression(argument) for argument in node.args)
        attributes = {str(keyword.arg): _attribute(keyword.value) for keyword in node.keywords}
        return Operation(ast.unparse(node.func), arguments, attributes)
    return float(ast.literal_eval(node))


def _attribute(node: ast.expr) -> Any:
    return Setting(node.id) if isinstance(node, ast.Name) else ast.literal_eval(node)
