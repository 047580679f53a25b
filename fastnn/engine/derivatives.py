"""A graph that also computes derivatives with respect to its input, made of one that does not.

Each tensor becomes one of several terms, the values first: see `kernels.layers.derivatives`. Parameters stay
where they are, so that gradients with respect to them come out as of any other graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .ops import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from .graph import Graph, Node
    from .ops import Op

_ACTIVATIONS = "layers.activation."
#: Activations whose first three derivatives are continuous.
SMOOTH = ("tanh", "sigmoid", "softplus", "silu", "gelu", "gelu_tanh")
# Those whose second derivatives are zero.
_BENT = ("relu", "leaky_relu")
# Numbers of a term that an activation takes at a time: what it computes of them stays in the first cache.
_AT_A_TIME = 512


class Terms(NamedTuple):
    """How many derivatives there are.

    Attributes
    ----------
    firsts : int
        Inputs with respect to which there is a first one.
    seconds : int
        With respect to how many of these, from the first on, there is a second one.
    """

    firsts: int
    seconds: int

    @property
    def number(self) -> int:
        """Terms in all, with the values."""
        return 1 + self.firsts + self.seconds


def differentiate(graph: Graph, terms: Terms, output: Tensor, label: str) -> Tensor:
    """Make all ops of a graph so far compute all terms, for the layer that is being lowered and is called so.

    The constants of that layer begin with the numbers of the inputs.

    Returns
    -------
    Tensor
        All terms of an output of one of the ops.

    Raises
    ------
    ValueError
        If there are no derivatives through a layer.
    """
    rules = [_rule(graph, op, terms, label) for op in graph.ops]
    plain, x = graph.set_aside(), graph.input
    settings = (terms.firsts,)
    seeded = graph.op(
        "layers.derivatives.seed", [x], (terms.number, x.size), settings=settings, constants=True
    )
    found = {x.value: seeded}
    for op, rule in zip(plain, rules, strict=True):
        inputs = [Tensor(found[old.value].value, (terms.number, *old.shape)) for old in op.inputs]
        result = Tensor(op.output.value, (terms.number, *op.output.shape))
        found[op.output.value] = graph.append(rule(op.changed(inputs=tuple(inputs), output=result)))
    return found[output.value]


def _rule(graph: Graph, op: Op, terms: Terms, label: str) -> Callable[[Op], Op]:
    """What an op becomes, once its tensors are those of all terms."""
    kernel, name = op.kernel, op.kernel.removeprefix(_ACTIVATIONS)
    if kernel == "layers.dense":
        return lambda new: _dense(new, terms)
    if name == "identity" or kernel == "layers.combine.add":
        return lambda new: new
    if kernel == "layers.scaling":
        return lambda new: new.changed(kernel="layers.derivatives.scaling", settings=(terms.number,))
    if kernel in ("layers.combine.concatenate", "layers.combine.select"):
        return lambda new: new.changed(settings=(new.settings[0] * terms.number,))
    if name in SMOOTH or (name in _BENT and terms.seconds == 0):
        return lambda new: _activation(new, terms)
    layer, smooth = _node_of(graph, op).layer.label, ", ".join(SMOOTH)
    if name in _BENT:
        raise ValueError(
            f"{label} cannot give second derivatives of {name!r}, they are zero: {layer}; use one of {smooth}"
        )
    raise ValueError(
        f"{label} cannot give derivatives through {layer}; it can through fn.Dense, fn.Activation, "
        "fn.Residual, fn.Add, fn.Concatenate, fn.Select, fn.Standardize and fn.MinMax, with the "
        f"activations {smooth}"
    )


def _dense(op: Op, terms: Terms) -> Op:
    positions = op.settings[0]
    return op.changed(
        kernel="layers.derivatives.dense",
        settings=(positions, terms.number * positions),
        multiplications=terms.number * op.multiplications,
        matrix=(1, 0),  # a row uses each weight several times: parts of a batch have gradients of their own
    )


def _activation(op: Op, terms: Terms) -> Op:
    n = op.n_in // terms.number
    chunk = max(1, _AT_A_TIME // n)
    name = op.kernel.removeprefix(_ACTIVATIONS)
    return op.changed(
        kernel=f"layers.derivatives.{'leaky_relu' if name == 'relu' else name}",
        settings=(terms.number, terms.firsts, chunk, *op.settings),
        saves="xy",
        shared_scratch=4 * chunk * n,
    )


def _node_of(graph: Graph, op: Op) -> Node:
    """The layer that an op is of: the innermost of those that end with it, or next behind it."""
    last = min(node.value for node in graph.nodes if node.value >= op.output.value)
    ends = [node for node in graph.nodes if node.value == last]  # containers before what is in them
    holds = [any(other.path.startswith(f"{node.path}.") for other in ends) for node in ends]
    return ends[holds.index(False)]
