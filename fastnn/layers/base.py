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
from ..engine.executor import Executor
from ..memory.buffers import dtype_name

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..engine.plan import OpSpec
    from ..initializers import Initializer

# Attributes that are not copied or pickled; the weights are, under the name of "parameters".
_RUNTIME_ATTRIBUTES = {"_owner", "_standalone", "_views"}


class Layer(KnownAttributes):
    """Base of all layers."""

    kind: ClassVar[str]
    #: Whether `check_rows` looks at each row that comes in.
    checks_rows = False
    #: Whether it is a last layer whose numbers come from the targets: see `Unscale`.
    of_targets = False
    #: Whether it codes columns of categories: see `checks.coding`.
    codes = False
    #: Kernels that it runs by, then those that it measures by; empty if they are those of `ops`.
    kernels: tuple[str, ...] = ()
    _trainable = True

    def __init__(self) -> None:
        # A weak reference: the memory of a model that is no longer used is free at once, not when
        # Python looks for cycles.
        self._owner: weakref.ref[Executor] | None = None
        self._standalone: Executor | None = None  # of this layer only, if it is used outside of a model
        self._views: dict[str, NDArray[Any]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, unless it is a setting: the weights of a built model depend on those."""
        if name in vars(self) and not name.startswith("_"):
            raise AttributeError(f"{name} of a layer cannot be changed; make a new layer")
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
        """Whether `fit` and its kin change its weights and bias; may be set at any time.

        Those of a frozen layer stay as they are, to the bit: no gradient step, no weight decay, no
        momentum, and no part in the norm of `global_clipnorm`. `Model.loss_and_gradient` gives their
        gradient all the same. A change takes effect with the next step in `fit`, at the latest after
        about 0.1 s, and in compiled code with the next call of `Model.optimizer_state`.
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

    def attach(self, executor: Executor) -> None:
        """Become part of a model, which this runs."""
        self._owner, self._standalone = weakref.ref(executor), None

    @property
    def views(self) -> dict[str, NDArray[Any]]:
        """Its parameters by name, as views into the vector of the model; empty before they are made."""
        return self._views

    def bind(self, views: dict[str, NDArray[Any]]) -> None:
        """Take these parameters in place of earlier ones."""
        self._views = views

    def output_size(self, n_in: int) -> int:
        """Numbers that a row of the output has, for an input of `n_in`; 0 if that is not known yet."""
        return n_in

    def parameter_shapes(self, n_in: int) -> dict[str, tuple[int, ...]]:
        """Shapes of ``weights`` and ``bias``, as far as it has them, for an input of `n_in`."""
        return {}

    def initializer(self, name: str) -> Initializer:
        """How the parameter `name` is drawn."""
        raise KeyError(name)

    def penalties(self) -> tuple[float, float, float]:
        """Factors l1, l2 and alpha of the penalty on its weights."""
        return (0.0, 0.0, 0.0)

    @property
    def adapted(self) -> bool:
        """Whether it has all statistics that it takes from data: see `Preprocessing`."""
        return True

    def constants(self, n_in: int) -> NDArray[np.float64]:
        """Numbers that its kernels need and that are not trained, of shape (n,), for an input of `n_in`."""
        return np.zeros(0)

    def check_rows(self, x: NDArray[Any], first: int, name: str) -> None:
        """Raise a ValueError if it cannot take these checked rows; the first of them has number `first`."""

    def changed_columns(self, n_in: int) -> list[int] | None:
        """Numbers of the columns that it changes, while the others pass through; None if it is not so."""
        return None

    def ops(self, n_in: int) -> list[OpSpec]:
        """What it computes, for an input of `n_in`."""
        raise TypeError(f"{type(self).__name__} does not say what it computes")

    def config(self) -> dict[str, Any]:
        """Name and settings, as they are saved."""
        return {"name": self.kind}

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Output for `x`, of shape (n, n_in) or (n_in,).

        A layer outside of a model builds itself on the first call, with float32 weights unless it has
        others.
        """
        executor = self.executor
        if executor is None:
            dtype = next((dtype_name(view.dtype) for view in self._views.values()), "float32")
            executor = Executor((self,), dtype)  # attaches this layer
            self._standalone = executor
        return executor.call_layer(self, x)

    def _parameter(self, name: str) -> NDArray[Any]:
        if name not in self._views:
            raise ValueError(
                f"the {self.kind} layer has no {name} yet; they are made by model.build(n_in), "
                "by fit, or by the first call"
            )
        return self._views[name]

    def set_parameter(self, name: str, value: ArrayLike) -> None:
        """Write values into one of its parameters, after a check."""
        view = self._parameter(name)
        given = array_checks.array(name, value, dtype_name(view.dtype), tuple(range(3)))
        if given.shape != view.shape:
            raise ValueError(f"{name} must have shape {view.shape}, got {given.shape}")
        array_checks.finite(name, given)
        view[...] = given
