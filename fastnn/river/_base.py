"""What the classifier and the regressor share: parameters, the network, and its growth."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import optimizers
from ..checks import validate
from ..checks.attributes import KnownArguments
from ..layers.dense import Dense
from ..model import Model
from ..optimizers import Optimizer
from ._features import Features
from ._growth import copy_into, draw_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..activations import Activation
    from ..losses import Loss


class StreamMLP(KnownArguments):
    """Base of both estimators: a network that begins with the first sample, and grows.

    Its first layer has some spare inputs once features have appeared later, so that not every new one makes a
    larger network.
    """

    hidden_layer_sizes: int | Sequence[int]
    activation: str | Activation
    alpha: float
    learning_rate_init: float
    optimizer: str | Optimizer
    dtype: str
    seed: int | None

    def _begin(self, n_out: int) -> None:
        """Check the parameters, by a network of so many outputs, and know nothing."""
        self._model: Model | None = None
        self._features = Features(validate.dtype(self.dtype))
        self._seed: int | None = None if self.seed is None else validate.integer("seed", self.seed, low=0)
        self._new_model(n_out)

    @property
    def model(self) -> Model | None:
        """The network, a `fastnn.Model`; None as long as there is nothing to learn."""
        return self._model

    @property
    def features(self) -> tuple[Hashable, ...]:
        """The names of the features so far, in the order of the network's inputs."""
        return self._features.names

    # ---- the network ---------------------------------------------------------------------------

    def _new_model(self, n_out: int, old: Model | None = None) -> Model:
        sizes = self.hidden_layer_sizes
        hidden = [sizes] if isinstance(sizes, (int, np.integer)) else list(sizes)
        alpha = validate.number("alpha", self.alpha, low=0.0)
        layers = [
            Dense(validate.integer("hidden_layer_sizes", size, low=1), self.activation, alpha=alpha)
            for size in hidden
        ]
        layers.append(Dense(n_out, alpha=alpha))
        given = self.optimizer if old is None else old.optimizer
        if isinstance(given, Optimizer):
            optimizer = optimizers.get(given.config())  # a copy: users may change that of a network
        else:
            optimizer = optimizers.get({"name": given, "learning_rate": self.learning_rate_init})
        return Model(layers, self._loss(), optimizer, metrics=[], dtype=self.dtype, seed=self._seed)

    def _grow(self, names: Iterable[Hashable], n_out: int) -> None:
        """Know new features, and let the network have so many outputs, 0 for no network yet."""
        known, old, new = self._features.names, self._model, self._features.new(names)
        if old is not None and not new and n_out == old.n_out:
            return
        every = (*known, *new)
        if self._seed is None:
            self._seed = int(np.random.SeedSequence().generate_state(1)[0])
        width, model = self._width_for(len(every)), old
        if n_out and (old is None or (old.n_in, old.n_out) != (width, n_out)):
            model = self._new_model(n_out, old).build(width)
            draw_inputs(_first(model), 0, len(every), self._seed)
            if old is not None:
                copy_into(model, old)
        if old is not None and model is not None:
            draw_inputs(_first(model), len(known), len(every), self._seed)
        self._features.set(every, width)
        self._model = model

    def _width_for(self, count: int) -> int:
        """How many inputs the network has with so many features."""
        if self._model is None:
            return max(count, 1)
        width = self._features.width
        return width if count <= width else max(count, width * 3 // 2)

    def _output(self, x: Any) -> NDArray[Any]:
        """The network's output for a sample."""
        assert self._model is not None
        row = self._features.row(x)
        if row is not None:
            try:
                return self._model.predict(row)
            except ValueError:  # what it says follows
                pass
        return self._model.predict(self._features.some(self._features.checked(x)))

    # ---- river's conventions -------------------------------------------------------------------

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"hidden_layer_sizes": (5,)}

    def _unit_test_skips(self) -> set[str]:
        # A mini-batch is one step, as of river's own linear models.
        return {"check_learn_many_matches_learn_one"}

    # ---- defined by the classifier and the regressor -------------------------------------------

    def _loss(self) -> Loss:
        raise NotImplementedError


def _first(model: Model) -> Dense:
    (layer, *_) = model.layers
    assert isinstance(layer, Dense)
    return layer
