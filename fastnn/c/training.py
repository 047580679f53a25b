"""A training step of networks of dense layers, whose weights and optimizer are in memory of the caller."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from .. import optimizers
from ..engine.frozen import frozen_ranges
from ..layers.activation import Activation
from ..layers.dense import Dense
from ..layers.reshaping import Flatten, Reshape
from ..layers.scaling import Scaling
from .dense import activate
from .gradient import activated, forward, in_a_row
from .text import Function
from .writer import Value, indented

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..activations import Activation as ActivationSpec
    from ..engine.graph import Graph, Node
    from ..inference import Inference
    from .gradient import Back
    from .writer import Writer

_LOSSES = ("mse", "binary_cross_entropy", "cross_entropy")
_MEMORY = "$real *$P_RESTRICT parameters, $real *$P_RESTRICT state"


class Learning(NamedTuple):
    """What a file with a training step has more.

    Attributes
    ----------
    functions : list of Function
    macros : list of (name, value, comment)
    rate : float
        The learning rate of the model; of a schedule the largest.
    """

    functions: list[Function]
    macros: list[tuple[str, int, str]]
    rate: float


class _Passes(NamedTuple):
    """Statements for one row.

    Attributes
    ----------
    forward, backward : list of str
    output : Value
        What the loss is computed from.
    slopes : Value
        Where its derivatives go.
    rest : Activation or None
        The last activation, if the loss is computed together with it.
    """

    forward: list[str]
    backward: list[str]
    output: Value
    slopes: Value
    rest: ActivationSpec | None


def write_training(
    c: Writer, model: Inference, graph: Graph, tail: Callable[[Value], None], separate: bool
) -> Learning:
    """Write the step; `tail` writes what predictions do with the output of the layers."""
    _require_trainable(model, graph)
    before, c.scratch = c.scratch, 0
    c.begin(keeps_state=False)
    n, vectors = graph.n_parameters, model.executor.optimizer.state_vectors()
    gradient, last = c.new(n), ", const $real *$P_RESTRICT weights" if separate else ""
    passes = _write_passes(c, model, graph, gradient.name)
    functions = [
        _start(c, model, vectors * n, last),
        *_steps(c, model, graph, passes, gradient.name, last),
        _prediction(c, passes, graph.output.shape[-1], tail, last),
    ]
    macros = [
        ("PARAMETERS", n, "weights and biases, in the order of the model's parameters"),
        ("TRAIN_STATE", vectors * n + 1, "numbers of the optimizer's state; the last one counts steps"),
        ("TRAIN_SCRATCH", c.scratch, "numbers of the memory that a step, or a prediction, needs then"),
    ]
    c.scratch = before
    return Learning(functions, macros, model.executor.optimizer.schedule().settings["learning_rate"])


def _require_trainable(model: Inference, graph: Graph) -> None:
    """Raise a ValueError, with the layer's path or the setting, if the step cannot be written."""
    loss, optimizer = model.executor.loss, model.executor.optimizer
    if loss is None:
        raise ValueError("train=True needs a model with a loss; give one: fn.Model(layers, loss=...)")
    if _loss_name(model) not in _LOSSES or loss.missing_targets != "raise":
        raise ValueError(f"train=True is for the losses {', '.join(_LOSSES)}, not {loss!r}")
    if not isinstance(optimizer, (optimizers.SGD, optimizers.Adam)):
        raise ValueError(
            f"train=True is for the optimizers SGD, Adam and AdamW, not {type(optimizer).__name__}"
        )
    nodes = {id(node.layer): node for node in graph.nodes}
    for layer in in_a_row(model.layers):
        if not isinstance(layer, (Dense, Activation, Flatten, Reshape, Scaling)):
            raise ValueError(
                f"layer {nodes[id(layer)].path}, {layer!r}: train=True is for networks of Dense, Activation, "
                "Flatten, Reshape, Standardize and MinMax in a row"
            )
    if not _trained(graph):
        raise ValueError("train=True needs a layer with weights that are trained: see Layer.trainable")


def _loss_name(model: Inference) -> str:
    assert model.head.loss is not None
    return model.head.loss.kernel.rpartition(".")[2]


def _trained(graph: Graph) -> list[tuple[int, int]]:
    """Start and size of the parts of the parameters that are trained."""
    bounds = [0, *(end for pair in frozen_ranges(graph.parameters) for end in pair), graph.n_parameters]
    return [(a, b - a) for a, b in zip(bounds[::2], bounds[1::2], strict=True) if a < b]


def _write_passes(c: Writer, model: Inference, graph: Graph, gradient: str) -> _Passes:
    nodes = {id(node.layer): node for node in graph.nodes}
    layers = list(in_a_row(model.layers))
    own = [getattr(layer, "activation", None) for layer in layers]
    last = max((i for i, each in enumerate(own) if each is not None and each.name != "identity"), default=0)
    rest = own[last] if model.head.ops else None
    x, backs, is_first = Value("x", math.prod(graph.input.shape)), list["Back"](), True
    for i, layer in enumerate(layers):
        c.name, c.comment = f"train_{nodes[id(layer)].path}", ""
        activation = None if rest is not None and i == last else own[i]
        if isinstance(layer, Dense):
            x, back = _write_dense(c, nodes[id(layer)], x, gradient, is_first)
            backs, is_first = [back] if is_first else [*backs, back], False
            if activation is not None:
                x, more = activated(c, activation, x, layer.units)
                backs += more
        elif not isinstance(layer, Activation) or activation is not None:
            x, more = forward(c, layer, nodes[id(layer)], x)
            backs += more
    statements, c.calls = c.calls, []
    x.readers += 1
    slopes = d = c.new(x.size)
    for back in reversed(backs):
        d = back(d)
    return _Passes(statements, c.calls, x, slopes, rest)


def _write_dense(c: Writer, node: Node, x: Value, gradient: str, is_first: bool) -> tuple[Value, Back]:
    """The output of a layer, and the way back; nobody needs the derivatives of the input of the first one."""
    places = {place.name: place.offset for place in node.own_parameters}
    rows, columns, positions = node.inputs[0][-1], node.output[-1], math.prod(node.inputs[0][:-1])

    def at(vector: str, name: str) -> str:
        return f"{vector} + {places[name]}" if name in places else "NULL"

    y, sizes = c.new(positions * columns), [str(rows), str(columns)]
    weights = at("parameters", "weights")
    c.call("dense_forward", x.name, str(positions), weights, at("parameters", "bias"), *sizes, y.name)

    def back(d: Value) -> Value:
        slopes = [d.name, at(gradient, "weights"), at(gradient, "bias")]
        dx = Value("NULL", 0) if is_first else c.new(x.size)
        c.call("dense_backward", x.name, str(positions), weights, *sizes, *slopes, dx.name)
        c.read(d)
        return dx

    return y, back


def _start(c: Writer, model: Inference, n_state: int, last: str) -> Function:
    """Copies the weights and what the optimizer remembers."""
    state, c.name = model.state, "train_init"
    has_state = state.optimizer.size == n_state and bool(n_state)
    lines = [f"{c.helper('copy')}({c.weights(state.parameters)}, $P_PARAMETERS, parameters);"]
    if has_state and state.optimizer.any():
        lines.append(f"{c.helper('copy')}({c.weights(state.optimizer)}, {n_state}, state);")
    elif n_state:
        lines += [f"for (int i = 0; i < {n_state}; i++)", "    state[i] = 0.0r;"]
    return Function(
        f"void $p_train_init({_MEMORY}{last})",
        "The model's parameters[$P_PARAMETERS], and state[$P_TRAIN_STATE], what its optimizer remembers.",
        [*lines, f"state[{n_state}] = {c.number(state.step)};"],
    )


def _prediction(
    c: Writer, passes: _Passes, columns: int, tail: Callable[[Value], None], last: str
) -> Function:
    c.calls = []
    x = passes.output if passes.rest is None else activate(c, passes.rest, passes.output, columns)
    tail(x)
    return Function(
        "void $p_train_predict(const $real *$P_RESTRICT x, $real *$P_RESTRICT y, "
        f"const $real *$P_RESTRICT parameters, $real *$P_RESTRICT scratch{last})",
        "What $p_predict computes, with weights that were learned; scratch has $P_TRAIN_SCRATCH numbers.",
        [*_unused(last), *passes.forward, *c.calls],
    )


def _unused(last: str) -> list[str]:
    return ["(void)weights;"] if last else []


def _steps(
    c: Writer, model: Inference, graph: Graph, passes: _Passes, gradient: str, last: str
) -> list[Function]:
    """A step for each kind of targets that the loss takes."""
    body = _body(c, model, graph, passes, gradient)
    rest = f"int n, $real rate, {_MEMORY}, $real *$P_RESTRICT scratch{last}"
    comment = "A step with n rows, which returns their loss before it. "
    if _loss_name(model) != "cross_entropy":
        head = f"$real $p_train_step(const $real *x, const $real *y, {rest})"
        return [Function(head, f"{comment}The targets are y[n][$P_OUTPUTS].", [*_unused(last), *body])]
    given = "const $real *shares, const int *classes"
    lines = "".join(f"    {line}\n" for line in [*_unused(last), *body])
    c.functions.append(
        c.text(f"static inline $real $p_learn(const $real *x, {given}, {rest})\n{{\n{lines}}}\n")
    )
    more = ", n, rate, parameters, state, scratch" + (", weights" if last else "")
    return [
        Function(
            f"$real $p_train_step(const $real *x, const int *y, {rest})",
            f"{comment}The targets y[n] are numbers of classes.",
            [f"return $p_learn(x, NULL, y{more});"],
        ),
        Function(
            f"$real $p_train_step_shares(const $real *x, const $real *y, {rest})",
            "The same for shares of all classes, y[n][$P_OUTPUTS].",
            [f"return $p_learn(x, y, NULL{more});"],
        ),
    ]


def _body(c: Writer, model: Inference, graph: Graph, passes: _Passes, gradient: str) -> list[str]:
    loss, name = model.head.loss, _loss_name(model)
    assert loss is not None
    target = ["y + (ptrdiff_t)r * $P_OUTPUTS"]
    if name == "cross_entropy":
        target = ["shares ? shares + (ptrdiff_t)r * $P_OUTPUTS : NULL", "classes ? classes[r] : -1"]
        target += [c.number(sum(loss.numbers()))]
    z, dz = passes.output, passes.slopes.name
    lines = [
        f"const $real factor = {c.number(loss.factor)} / ($real)n;",
        "$real loss = 0.0r;",
        "if (n < 1)",
        "    return loss;",
        "for (int i = 0; i < $P_PARAMETERS; i++)",
        f"    {gradient}[i] = 0.0r;",
        "for (int r = 0; r < n; r++, x += $P_INPUTS) {",
        *indented(passes.forward),
        f"    loss += {c.helper(name)}({z.name}, {z.size}, {', '.join(target)}, factor, {dz});",
        *indented(passes.backward),
        "}",
        "loss *= factor;",
    ]
    for place in graph.parameters:
        l1, l2, alpha = place.spec.penalty
        if l1 or l2 or alpha:
            at = str(place.offset)
            both = f"{c.number(l2)} + {c.number(alpha / 2)} / ($real)n"
            own = f"parameters + {at}, {place.size}, {c.number(l1)}, {both}, {gradient} + {at}"
            lines.append(f"loss += {c.helper('penalize')}({own});")
    return [*lines, *_update(c, model, graph, gradient), "return loss;"]


def _update(c: Writer, model: Inference, graph: Graph, gradient: str) -> list[str]:
    """The optimizer's step."""
    own, n, parts = model.executor.optimizer, graph.n_parameters, _trained(graph)
    decay, norm, limit = own.settings()[:3]
    n_state = own.state_vectors() * n
    lines = [f"state[{n_state}] += 1.0r;", f"const $real decay = rate * {c.number(decay)};"]
    clip = c.number(1)
    if norm:
        squares = " + ".join(f"{c.helper('squares')}({gradient} + {a}, {size})" for a, size in parts)
        lines += [f"const $real squares = {squares}, norm = {c.number(norm)};"]
        c.helper("rsqrt")
        lines += ["const $real clip = squares > norm * norm ? norm * $p_rsqrt(squares) : 1.0r;"]
        clip = "clip"
    if isinstance(own, optimizers.SGD):
        for a, size in parts:
            velocity = f"state + {a}" if n_state else "NULL"
            settings = f"{size}, rate, decay, {clip}, {c.number(limit)}, {c.number(own.momentum)}"
            call = f"parameters + {a}, {gradient} + {a}, {velocity}, {settings}, {int(own.nesterov)}"
            lines.append(f"{c.helper('sgd')}({call});")
        return lines
    assert isinstance(own, optimizers.Adam)
    betas = own.beta_1, own.beta_2
    first, second = (
        f"-{c.helper('expm1')}(state[{n_state}] * {c.number(math.log(b))})" if b else "1.0r" for b in betas
    )
    c.helper("rsqrt")
    lines += [f"const $real c1 = {first}, root = $p_rsqrt({second});"]
    rate, root = ("rate / (c1 * root)", "1.0r") if own.epsilon_hat else ("rate / c1", "root")
    means = ", ".join(c.number(each) for b in betas for each in (b, 1 - b))
    for a, size in parts:
        vectors = f"parameters + {a}, {gradient} + {a}, state + {a}, state + {n + a}"
        call = f"{vectors}, {size}, {rate}, decay, {clip}, {c.number(limit)}, {means}, {root}"
        lines.append(f"{c.helper('adam')}({call}, {c.number(own.epsilon)});")
    return lines
