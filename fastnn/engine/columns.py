"""The columns of a model's samples: the names that it was fitted with, and those that hold categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data import coding, names
from ..data.tables import column_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .graph import Layer
    from .ops import Shape
    from .prediction import PredictorPool


class Columns:
    """What comes into a model's first layer.

    Parameters
    ----------
    layers : tuple of Layer
    dtype : str
        Of the model.
    predictors : PredictorPool
        Which are told what to check before they predict few rows.

    Attributes
    ----------
    names : tuple of str or None
        Of the columns that the model was fitted with: empty without names, None before.
    """

    def __init__(self, layers: tuple[Layer, ...], dtype: str, predictors: PredictorPool) -> None:
        self._layers, self._dtype, self._predictors = layers, dtype, predictors
        self.names: tuple[str, ...] | None = None
        self._shape: Shape | None = None
        self._numeric: NDArray[np.int64] | None = None  # see `coding.numeric_columns`
        self._waits_for_names = False
        self.refresh(None)

    def refresh(self, shape: Shape | None) -> None:
        """Take over what the layers are adapted to, and what samples the model is built for."""
        self._shape = shape
        self._numeric = None
        if shape is not None and len(shape) == 1:
            self._numeric = coding.numeric_columns(self._layers, shape[0])
        self._check_arrays(bool(self.names))

    def check_names(self, X: Any, name: str = "X") -> None:
        """Raise a ValueError if a table has other columns than the one that the model was fitted with."""
        given = column_names(X)
        if self.names and not given and self._waits_for_names:
            self._check_arrays(False)  # once is enough
        names.check(self.names, given, name)

    def take_names(self, given: tuple[str, ...]) -> None:
        """Remember the names of the columns that it is fitted with first."""
        if self.names is None:
            self.names = given
            self._check_arrays(bool(given))

    def coded(self, X: Any) -> Any:
        """Samples in which categories that the dtype may not hold are numbers of categories."""
        shape = self._shape
        n_in = None if shape is None else shape[0]
        return coding.coded(self._layers, X, self._dtype, n_in=n_in, numeric=self._numeric, shape=shape)

    def _check_arrays(self, for_names: bool) -> None:
        """Let `predict` check the names of arrays, which have none, and categories, or only these."""
        self._waits_for_names = for_names
        codes = bool(coding.coders(self._layers))
        columns = None if for_names or self._numeric is None else self._numeric.tolist()
        safe = None if for_names or coding.has_labels(self._layers) else self._dtype
        self._predictors.check_first(for_names or codes, safe, columns)
