"""The layers of a model of Keras's in their places: rows of layers, in which branches part and join again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..layers.bidirectional import Bidirectional
from ..layers.containers import Add, Concatenate, Residual, Sequential
from .keras_files import group_names
from .keras_layers import axis_of, input_size, layer_of

if TYPE_CHECKING:
    from ..engine.ops import Shape
    from ..layers.base import Layer

MODELS = ("Sequential", "Functional", "Model")
_MERGES: dict[str, type[Add] | type[Concatenate]] = {"Add": Add, "Concatenate": Concatenate}
_ATTENTION = "MultiHeadAttention"  # which takes queries, keys and values
_SAMPLE = 1 << 24  # numbers that a layer may give for a sample, in a small file
_DEEPEST = 20  # models in models


class Leaf(NamedTuple):
    """A layer that is not made of others.

    Attributes
    ----------
    layer : Layer
    shape : shape
        Of a sample of its input.
    place : str
        The group of its weights in files of Keras 3.
    group : int
        Number of the layer of the whole model that it is, or is in.
    """

    layer: Layer
    shape: Shape
    place: str
    group: int


def leaves_of(layer: Layer, shape: Shape, place: str, group: int) -> list[Leaf]:
    """A layer as leaves: both directions of `Bidirectional`, else itself."""
    if isinstance(layer, Bidirectional):
        both = {"forward_layer": layer.forward_layer, "backward_layer": layer.backward_layer}
        return [Leaf(own, shape, f"{place}/{name}", group) for name, own in both.items()]
    return [Leaf(layer, shape, place, group)]


class KerasModel(NamedTuple):
    """The layers of a configuration, the shape of a sample, and the leaves in the order of the file."""

    shape: Shape
    layers: list[Layer]
    leaves: list[Leaf]


def model_of(config: Mapping[str, Any], size: int) -> KerasModel:
    """The layers of the configuration of a model, in a file of so many bytes.

    Raises
    ------
    ValueError
        If they are not known, or not connected as containers connect layers: the message names the layer.
    """
    kind = config["class_name"]
    if kind not in MODELS:
        raise ValueError(f"it is a model of class {kind!r}; Sequential and functional ones are read")
    shape = input_size(kind, config["config"])
    if shape is None:
        raise ValueError("it does not tell the size of its input: the model was not built")
    leaves: list[Leaf] = []
    reading = _Reading(max(_SAMPLE, 4 * size), leaves)
    layers, _ = reading.model(config, shape, "layers", None, 0)
    return KerasModel(shape, layers, leaves)


class _Reading:
    """Makes layers of entries, and of the models among them."""

    def __init__(self, limit: int, leaves: list[Leaf]) -> None:
        self._limit, self._leaves = limit, leaves

    def model(
        self, config: Mapping[str, Any], shape: Shape, place: str, group: int | None, depth: int
    ) -> tuple[list[Layer], Shape]:
        """The layers of a model in a row, and the shape of a sample that they give."""
        if depth > _DEEPEST:
            raise ValueError(f"it has more than {_DEEPEST} models in each other")
        entries, sources = _connections(config)
        graph = _Graph(sources)
        kinds = {name: str(entry["class_name"]) for name, entry in entries.items()}
        groups = dict(zip(entries, group_names(list(kinds.values())), strict=True))
        numbers = {name: i if group is None else group for i, name in enumerate(entries)}
        shapes: dict[str, Shape] = {}
        made: dict[str, list[Layer]] = {}
        leaves: dict[str, list[Leaf]] = {}
        for name in graph.order:
            given = [shapes[source] for source in sources[name]] or [shape]
            outer, self._leaves = self._leaves, []
            at = f"{place}/{groups[name]}"
            made[name], shapes[name] = self._entry(
                kinds[name], entries[name], given, at, numbers[name], depth
            )
            leaves[name], self._leaves = self._leaves, outer
            if math.prod(shapes[name]) > self._limit:
                raise ValueError(
                    f"samples of shape {shapes[name]} behind its layer {_shown(name)!r} are too large for "
                    "this file"
                )
        self._leaves += [leaf for name in entries for leaf in leaves[name]]  # in the order of the file
        return graph.row(graph.end, graph.start, made, kinds), shapes[graph.end]

    def _entry(
        self, kind: str, entry: Mapping[str, Any], given: list[Shape], place: str, group: int, depth: int
    ) -> tuple[list[Layer], Shape]:
        """The layers that an entry is, apart from branches, and the shape of a sample that it gives."""
        settings = entry["config"]
        if kind in MODELS:
            size = input_size(kind, settings)
            if size is not None and size != given[0]:
                raise ValueError(f"its model {settings.get('name', kind)!r} takes {size}, not {given[0]}")
            layers, shape = self.model(entry, given[0], f"{place}/layers", group, depth + 1)
            return [Sequential(layers)] if layers else [], shape
        name = str(settings.get("name", kind))
        try:
            axis = axis_of(kind, settings)
            if axis not in (None, len(given[0])):
                raise ValueError(f"axis={axis} is not the last")
            if kind in _MERGES:
                return [], _MERGES[kind]([None] * len(given)).combined_shape(given)
            if len(given) > 1:
                raise ValueError(f"layers of this class that take the outputs of {len(given)} are not known")
            if kind == _ATTENTION:
                settings = {**settings, **_attention(_calls(entry))}
            layer = layer_of(kind, name, settings)
            if layer is None:
                return [], given[0]
            self._leaves += leaves_of(layer, given[0], place, group)
            return [layer], layer.output_shape(given[0])
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            text = str(error)
            raise ValueError(
                text if text.startswith("its layer") else f"its layer {name!r}, {kind}: {text[:300]}"
            ) from error


def _connections(config: Mapping[str, Any]) -> tuple[dict[str, Mapping[str, Any]], dict[str, list[str]]]:
    """The entries of a model by their names, and the names of those whose outputs each takes."""
    inner = config["config"]
    given = inner if isinstance(inner, list) else inner["layers"]  # a list before Keras 2.2
    if config["class_name"] == "Sequential":  # whose names may be the same
        names = [f"{i} {_name(entry)}" for i, entry in enumerate(given)]
        sources = [names[max(i - 1, 0) : i] for i in range(len(names))]
    else:
        names = [str(entry["name"]) for entry in given]
        sources = [_sources(entry) for entry in given]
    if len(set(names)) < len(names):
        raise ValueError("it has several layers of one name")
    return dict(zip(names, given, strict=True)), dict(zip(names, sources, strict=True))


class _Graph:
    """Which layers take the outputs of which, with one that all begin with and one that all end in."""

    def __init__(self, sources: dict[str, list[str]]) -> None:
        self.sources = sources
        starts = [name for name, own in sources.items() if not own]
        for name in starts[1:]:
            raise ValueError(
                f"its layer {_shown(name)!r} is a second input; only models of one input are read"
            )
        unknown = [(name, source) for name, own in sources.items() for source in own if source not in sources]
        for name, source in unknown:
            raise ValueError(
                f"its layer {_shown(name)!r} takes the output of {source!r}, which it does not have"
            )
        if not starts:
            raise ValueError("it has no layer that begins it")
        self._takers: dict[str, list[str]] = {name: [] for name in sources}
        for name, own in sources.items():
            for source in own:
                self._takers[source].append(name)
        ends = [name for name, takers in self._takers.items() if not takers]
        if len(ends) != 1:
            names = ", ".join(map(_shown, ends[:5]))
            raise ValueError(f"it has {len(ends)} outputs ({names}); only models of one are read")
        self.start, self.end = starts[0], ends[0]
        self.order = self._sorted()
        self._before = self._dominators()
        self._placed: set[str] = set()

    def _sorted(self) -> list[str]:
        """The layers, each behind those whose outputs it takes."""
        left = {name: len(own) for name, own in self.sources.items()}
        order = [self.start]
        for name in order:
            for taker in self._takers[name]:
                left[taker] -= 1
                if not left[taker]:
                    order.append(taker)
        if len(order) < len(self.sources):
            name = next(name for name in self.sources if name not in order)
            raise ValueError(f"its layer {_shown(name)!r} takes its own output")
        return order

    def _dominators(self) -> dict[str, str]:
        """For each layer the last one before it that all ways from the start go through."""
        place = {name: i for i, name in enumerate(self.order)}
        found: dict[str, str] = {self.start: self.start}
        for name in self.order[1:]:
            one = self.sources[name][0]
            for other in self.sources[name][1:]:
                while one != other:
                    if place[one] > place[other]:
                        one = found[one]
                    else:
                        other = found[other]
            found[name] = one
        return found

    def row(self, end: str, start: str, made: dict[str, list[Layer]], kinds: dict[str, str]) -> list[Layer]:
        """The layers from behind one to another, in a row; containers of branches among them."""
        parts: list[list[Layer]] = []
        name = end
        while name != start:
            if name in self._placed:
                raise ValueError(f"its layer {_shown(name)!r} is part of several branches")
            self._placed.add(name)
            before = self._before[name]
            if kinds[name] in _MERGES:
                branches = [self.row(source, before, made, kinds) for source in self.sources[name]]
                parts.append([self._merged(kinds[name], branches)])
            else:
                parts.append(made[name])
            name = before
        if end == self.end:
            parts.append(made[self.start])
        return [layer for part in reversed(parts) for layer in part]

    @staticmethod
    def _merged(kind: str, branches: list[list[Layer]]) -> Layer:
        full = [branch for branch in branches if branch]
        if kind == "Add" and len(branches) == 2 and len(full) == 1:
            return Residual(full[0])
        return _MERGES[kind]([branch or None for branch in branches])


def _name(entry: Mapping[str, Any]) -> str:
    settings, kind = entry["config"], str(entry["class_name"])
    return str(settings.get("name", kind)) if isinstance(settings, dict) else kind


def _shown(name: str) -> str:
    """The name of a layer, without the number that tells it from others of a row."""
    return name.partition(" ")[2] or name


def _calls(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The named arguments of the call of a layer."""
    result: dict[str, Any] = {}
    for node in entry.get("inbound_nodes", []):
        if isinstance(node, dict):  # Keras 3
            result |= node.get("kwargs") or {}
        else:
            for tensor in node:
                result |= tensor[3] if len(tensor) > 3 else {}
    return result


def _attention(call: Mapping[str, Any]) -> dict[str, bool]:
    """The setting of an attention that is told by its call."""
    for name, value in call.items():
        if name not in ("query", "key", "value", "use_causal_mask", "training") and value not in (
            None,
            False,
        ):
            raise ValueError(f"{name} of its call is not supported")
    return {"use_causal_mask": bool(call.get("use_causal_mask"))}


def _tensor(given: Any) -> str:
    """The layer whose output a tensor is."""
    return str(given["config"]["keras_history"][0] if isinstance(given, dict) else given[0])


def _sources(entry: Mapping[str, Any]) -> list[str]:
    """The layers whose outputs a layer takes; of an attention, the one that all of its arguments are."""
    name, nodes = str(entry["name"]), entry.get("inbound_nodes", [])
    found: list[str] = []
    if len(nodes) > 1:
        raise ValueError(
            f"its layer {name!r} is used {len(nodes)} times; layers that share weights are not read"
        )
    try:
        for node in nodes:
            if isinstance(node, dict):  # Keras 3
                tensors: Sequence[Any] = node["args"]
                while len(tensors) == 1 and isinstance(tensors[0], list):
                    tensors = tensors[0]
                found += map(_tensor, tensors)
            else:
                found += map(_tensor, node)
        if entry["class_name"] == _ATTENTION:
            call = _calls(entry)
            found += [_tensor(call[role]) for role in ("query", "key", "value") if call.get(role) is not None]
            if len(set(found)) > 1:
                raise ValueError(
                    f"its layer {name!r} has queries of {found[0]!r} and values of another; attention of a "
                    "sequence to itself is read"
                )
            found = found[:1]
    except (LookupError, TypeError) as error:
        raise ValueError(f"its layer {name!r} takes what is no output of a layer") from error
    return found
