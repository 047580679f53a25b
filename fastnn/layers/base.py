"""Base of all layers.

A layer holds settings. Once its model is built it also holds views into the model's parameter
vector, never arrays of its own. A layer can be called alone: it then is a model of one layer.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..checks import validate
from ..checks.attributes import KnownAttributes
from ..data import array_checks
from ..engine import one_layer
from ..engine.executor import Executor
from ..memory.buffers import dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from ..engine.graph import Graph
    from ..engine.index_limits import IndexLimits, Origins
    from ..engine.ops import ParameterSpec, Shape, Tensor

# Attributes that are not copied or pickled; the weights are, under the name of "parameters".
_RUNTIME_ATTRIBUTES = {"_owner", "_standalone", "_views", "_path"}
_NO_CONSTANTS = np.zeros(0)


class Layer(KnownAttributes):
    """Base of all layers."""

    kind: ClassVar[str]
    #: Whether `check_rows` must see each row that comes in.
    checks_rows = False
    #: Whether it is a last layer whose numbers come from the targets: see `Unscale`.
    of_targets = False
    #: Whether `missing_columns` are those in which it takes NaN: see `Impute`.
    takes_missing = False
    #: Whether it codes columns of categories: see `checks.coding`.
    codes = False
    #: Whether its input may have masked time steps, which those of its output then are too: see `Masking`.
    supports_masking = False
    #: Kernels that it runs by, then those that it measures by; empty if they are those of its ops.
    kernels: tuple[str, ...] = ()
    _trainable = True
    _path: str | None = None

    def __init__(self) -> None:
        # A weak reference: the memory of a model that is no longer used is free at once, not when
        # Python looks for cycles.
        self._owner: weakref.ref[Executor] | None = None
        self._standalone: Executor | None = None  # of this layer only, if it is used outside of a model
        self._views: dict[str, NDArray[Any]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, unless it is a setting: the weights of a built model depend on those."""
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif name in vars(self):
            raise AttributeError(f"{name} of a layer cannot be changed; make a new layer")
        else:
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: settings and weights, without the model.

        A model that is copied takes its copied layers up again; a layer that is copied by itself is
        free to become part of another model, with its weights.
        """
        kept = {name: value for name, value in vars(self).items() if name not in _RUNTIME_ATTRIBUTES}
        return {**kept, "parameters": {name: view.copy() for name, view in self._views.items()}}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        vars(self).update(kept)
        self._owner = self._standalone = None
        # Memory of its own: that of a pickle may be a file's, or one that cannot be written to.
        self._views = {name: np.array(view) for name, view in vars(self).pop("parameters").items()}

    @property
    def trainable(self) -> bool:
        """Whether training changes its weights and bias; may be set at any time.

        Those of a frozen layer do not change by a bit: no gradient step, no weight decay, no momentum, and
        no part in the norm of `global_clipnorm`. `Model.loss_and_gradient` returns their gradient
        nevertheless. A change takes effect with the next step in `fit`, at the latest after about 0.1 s,
        and in compiled code with the next call of `Model.optimizer_state`.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = validate.boolean("trainable", value)

    @property
    def executor(self) -> Executor | None:
        """What runs the model that it is part of, or the layer alone if it was called outside of a model."""
        return None if self._owner is None else self._owner()

    @property
    def is_free(self) -> bool:
        """Whether it may become part of a model."""
        return self.executor is None or self._standalone is not None

    def attach(self, executor: Executor, path: str) -> None:
        """Become part of a model, which this runs, in this place."""
        self._owner, self._standalone, self._path = weakref.ref(executor), None, path
        for name, layer in self.children.items():
            layer.attach(executor, f"{path}.{name}")

    @property
    def views(self) -> dict[str, NDArray[Any]]:
        """Parameters and running statistics by name, as views into the model's; empty until they are made."""
        return self._views

    def bind(self, views: dict[str, NDArray[Any]]) -> None:
        """Take these parameters in place of earlier ones."""
        self._views = views

    @property
    def path(self) -> str | None:
        """Where it is in its model, as ``"3"`` or ``"3.body.0"``; None outside of one."""
        return self._path

    @property
    def label(self) -> str:
        """What messages call it: where it is, and what it is."""
        shown = f"{type(self).__name__}" if self.children else repr(self)
        return shown if self._path is None else f"layer {self._path}, {shown}"

    @property
    def children(self) -> dict[str, Layer]:
        """The layers in it, by their names; empty but for containers."""
        return {}

    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of a sample of the output, for inputs of these shapes; with a 0 where it is not known yet.

        Raises
        ------
        ValueError
            If it does not take inputs of these shapes.
        """
        return inputs[0]

    def parameters(self, *inputs: Shape) -> list[ParameterSpec]:
        """What is trained, in the order in which it lies in the flat vector, for inputs of these shapes."""
        return []

    def running_statistics(self, *inputs: Shape) -> list[ParameterSpec]:
        """What training steps update, but no optimizer: saved and copied as the parameters are."""
        return []

    @property
    def takes_indices(self) -> bool:
        """Whether it, or a layer in it, takes numbers of the samples as indices: see `Embedding`."""
        return False

    def trace(self, origins: Origins, limits: IndexLimits) -> Origins:
        """Which numbers of the samples those of its output are: see ``engine.index_limits``.

        What is taken for an index is entered in `limits`.
        """
        return None

    @property
    def runs_by_step(self) -> bool:
        """Whether each time step of its output follows from the same one of its input, and those before."""
        return self.supports_masking

    @property
    def has_parameters(self) -> bool:
        """Whether anything in it is trained, or updated by training steps."""
        return bool(self.parameters((1,)) or self.running_statistics((1,)))

    def penalties(self) -> tuple[float, float, float]:
        """Factors l1, l2 and alpha of the penalty on its weights."""
        return (0.0, 0.0, 0.0)

    @property
    def adapted(self) -> bool:
        """Whether it has all statistics that it takes from data: see ``Preprocessing``."""
        return True

    def constants(self, *inputs: Shape) -> NDArray[np.float64]:
        """Numbers that its kernels need and that are not trained, of shape (n,).

        Those for a single time step must be in the middle of those for a sequence, if it `runs_by_step`.
        """
        return _NO_CONSTANTS

    def lower(self, graph: Graph, *inputs: Tensor) -> Tensor:
        """Add what it computes to a graph, and return its output."""
        raise TypeError(f"{type(self).__name__} does not say what it computes")

    def check_rows(self, x: NDArray[Any], shape: Shape, first: int, name: str) -> None:
        """Raise a ValueError if it cannot take these checked rows of samples of a shape, from `first` on."""

    def missing_columns(self, n_in: int) -> list[int]:
        """Numbers of the columns in which it takes NaN."""
        return []

    def changed_columns(self, n_in: int) -> list[int] | None:
        """Numbers of the columns that it changes, while the others pass through; None if it is not so."""
        return None

    def added_columns(self) -> int | None:
        """How many columns it adds behind the others; None if that is not known yet."""
        return 0

    def config(self) -> dict[str, Any]:
        """Name and settings, as they are saved."""
        return {"name": self.kind}

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Output for `x`, of shape (n, *shape) or that of one sample.

        A layer outside of a model builds itself on the first call, with float32 weights unless it has
        others.
        """
        executor = self.executor
        if executor is None:
            dtype = next((dtype_name(view.dtype) for view in self._views.values()), "float32")
            executor = Executor((self,), dtype)  # attaches this layer
            self._standalone = executor
        return one_layer.call(executor, self, x)

    def parameter(self, name: str) -> NDArray[Any]:
        """One of its parameters, as a view into the model's; a ValueError if it is not made yet."""
        if name not in self._views:
            raise ValueError(
                f"the {self.kind} layer has no {name} yet; they are made by model.build(n_in), "
                "by fit, or by the first call"
            )
        return self._views[name]

    def set_parameter(self, name: str, value: ArrayLike) -> None:
        """Write values into one of its parameters, after a check."""
        view = self.parameter(name)
        given = array_checks.array(name, value, dtype_name(view.dtype), tuple(range(view.ndim + 1)))
        if given.shape != view.shape:
            raise ValueError(f"{name} must have shape {view.shape}, got {given.shape}")
        self.check_values(name, given, name)
        view[...] = given

    def check_values(self, name: str, values: NDArray[Any], label: str) -> None:
        """Raise a ValueError that calls them `label` unless values are ones that a parameter may have."""
        array_checks.finite(label, values)


def walk(layers: Iterable[Layer]) -> Iterator[tuple[str, Layer]]:
    """All layers with their paths, those within containers too, each container before what is in it."""
    for i, layer in enumerate(layers):
        yield from _walk(str(i), layer)


def _walk(path: str, layer: Layer) -> Iterator[tuple[str, Layer]]:
    yield path, layer
    for name, child in layer.children.items():
        yield from _walk(f"{path}.{name}", child)
