"""Prediction: few rows the short way, many by a team of threads.

A workspace belongs to one call at a time. So a model keeps the networks that it predicts with on a
list: a call takes one and puts it back, and makes one where there is none.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import loader
from ..data import array_checks
from ..data.categories import LARGEST
from ..kernels.abi.descriptor import OK, slot
from ..memory.buffers import address, allocate
from . import launch
from .threads import run_together, team_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .network import Network
    from .ops import Shape
    from .weights_lock import WeightsLock

# Multiplications of a call that takes some microseconds: it does not give up Python's lock, since
# getting it back costs more where other threads run, up to `sys.getswitchinterval`.
_SHORT_CALL = 1 << 17

_N_SAMPLES, _STATUS = slot("n_samples"), slot("status")


class Predictor:
    """A network for prediction, with memory for as many rows as it computes at a time.

    To ask an array for its address takes a microsecond, to copy a row a tenth of one: rows are copied
    here, and the addresses are in the descriptor already.

    Parameters
    ----------
    net : Network
        For prediction only.
    weights_lock : WeightsLock
        Of the model.
    shapes : (shape, shape), optional
        Of a sample of the input and of the output, if these have more than one axis.
    """

    def __init__(
        self, net: Network, weights_lock: WeightsLock, shapes: tuple[Shape, Shape] | None = None
    ) -> None:
        fields, self._weights_lock = net.fields, weights_lock
        rows, n_in, n_out = fields.predict_batch, fields.n_features, fields.n_outputs
        dtype = net.parameters.dtype
        self.net, self.dtype = net, dtype
        sample, output = shapes or ((n_in,), (n_out,))
        self._rows = rows
        self._x = allocate(rows * n_in, dtype.name, "the input").reshape(rows, *sample)
        self._y = allocate(rows * n_out, dtype.name, "the output").reshape(rows, *output)
        self._sample, self._x_sample, self._y_sample = sample, self._x[0], self._y[0]
        self._row, self._x_row, self._y_row = (1, *sample), self._x[:1], self._y[:1]
        # One number of a memoryview is read and written in half the time of one of an array.
        self._slots = memoryview(net.descriptor)  # type: ignore[arg-type]
        self._address = address(net.descriptor)
        self._most_short = _SHORT_CALL // max(fields.multiplications, 1)
        self._call = loader.function("driver.loop.predict")
        self._short_call = loader.function("driver.loop.predict", holds_gil=True)
        self._check = loader.address(launch.check_of(net), dtype.name)
        self._use_own_memory()

    def _use_own_memory(self) -> None:
        fields = self.net.fields
        fields.x, fields.output, fields.check = address(self._x), address(self._y), self._check

    def predict_small(self, X: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any] | None:
        """Output for an array of few enough rows; None if it is another one, or not finite."""
        shape = X.shape
        if shape == self._row:
            n, x, y = 1, self._x_row, self._y_row
        elif shape == self._sample:
            n, x, y = 1, self._x_sample, self._y_sample
        elif shape[1:] == self._sample and 0 < shape[0] <= self._rows:
            n = shape[0]
            x, y = self._x[:n], self._y[:n]
        else:
            return None
        target = None if out is None else array_checks.output(out, y.shape, self.dtype)
        if X.dtype is self.dtype:
            x[...] = X
        elif X.dtype.kind == "f":
            with np.errstate(over="ignore"):  # too large for the dtype is found as an infinity
                x[...] = X
        else:
            return None
        slots = self._slots
        slots[_N_SAMPLES] = n
        call, changes = self._short_call if n <= self._most_short else self._call, self._weights_lock.version
        call(0, self._address)
        if changes & 1 or self._weights_lock.version != changes:  # another thread trains
            with self._weights_lock.exclusive():
                call(0, self._address)
        if slots[_STATUS] != OK:
            return None
        if target is None:
            return y.copy()
        target[...] = y
        return out

    def predict_batched(
        self, X: NDArray[Any], out: NDArray[Any], check: bool, lengths: NDArray[np.int64] | None
    ) -> bool:
        """See `PredictorPool.predict_batched`, in this thread."""
        finite = launch.predict(self.net, X, out, check=check, lengths=lengths)
        self._use_own_memory()
        return finite


class PredictorPool:
    """The predictors of a model that no call is using.

    Parameters
    ----------
    checks_rows : bool
        Whether a layer checks each row first, so that there is no short way.
    weights_lock : WeightsLock
        Of the model.
    """

    def __init__(self, checks_rows: bool, weights_lock: WeightsLock) -> None:
        self.checks_rows, self._weights_lock = checks_rows, weights_lock
        self._checks_arrays = checks_rows  # whether arrays are checked before the short path is taken
        self._safe: np.dtype[Any] | None = None  # the dtype of those that need not be
        self._columns: Sequence[int] | None = None  # that hold categories
        self._free: list[Predictor] = []
        self._shapes: tuple[Shape, Shape] | None = None  # of samples that have more than one axis

    def predict_small(self, X: Any, out: Any, checked: bool = False) -> NDArray[Any] | None:
        """What `Predictor.predict_small` gives, or None if there is no predictor yet, or `X` is not an array.

        With `checked`, the names of the columns and the categories have been checked: see `check_first`.
        """
        if type(X) is not np.ndarray or (self._checks_arrays and not self._may_be_short(X, checked)):
            return None  # a masked array is one as well
        try:
            predictor = self._free.pop()
        except IndexError:
            return None
        try:
            return predictor.predict_small(X, out)
        finally:
            self._free.append(predictor)

    def predict_batched(
        self,
        make: Callable[[], Network],
        X: NDArray[Any],
        out: NDArray[Any],
        check: bool = True,
        lengths: NDArray[np.int64] | None = None,
    ) -> bool:
        """Write the output for checked samples into `out`, by several threads if it is worth it.

        Parameters
        ----------
        make : function
            Makes a network where none is free.
        X : array of shape (n, n_in)
            C-contiguous. Of another dtype if it lies in a file, which may be larger than the memory.
        out : array of shape (n, n_out)
            C-contiguous, of the model's dtype.
        check : bool
            Whether to look for numbers that are not finite.
        lengths : array of shape (n,), optional
            Given if the networks of this pool read them.

        Returns
        -------
        bool
            As of `launch.predict`.
        """
        changes = self._weights_lock.version
        if not changes & 1:
            finite = self._many(make, X, out, check, lengths)
            if self._weights_lock.version == changes:
                return finite
        with self._weights_lock.exclusive():  # another thread trains
            return self._many(make, X, out, check, lengths)

    def _many(
        self,
        make: Callable[[], Network],
        X: NDArray[Any],
        out: NDArray[Any],
        check: bool,
        lengths: NDArray[np.int64] | None,
    ) -> bool:
        if X.dtype != out.dtype:
            with np.errstate(over="ignore"):
                return all(
                    self._many(
                        make,
                        X[part].astype(out.dtype),
                        out[part],
                        check,
                        None if lengths is None else lengths[part],
                    )
                    for part in array_checks.blocks(X)
                )
        predictor = self._take(make)
        fields = predictor.net.fields
        chunks = -(-len(X) // fields.predict_batch)
        self._free.append(predictor)
        team = 1 if chunks == 1 else min(team_size(len(X), fields.multiplications), chunks)
        ends = [i * len(X) // team for i in range(team + 1)]
        parts = [slice(start, end) for start, end in zip(ends, ends[1:], strict=False)]
        finite = [True] * team

        def predict(i: int) -> None:
            predictor, part = self._take(make), parts[i]
            own = None if lengths is None else lengths[part]
            finite[i] = predictor.predict_batched(X[part], out[part], check, own)
            self._free.append(predictor)

        if team == 1:
            predict(0)
        else:
            run_together([functools.partial(predict, i) for i in range(team)])
        return all(finite)

    def _take(self, make: Callable[[], Network]) -> Predictor:
        try:
            return self._free.pop()
        except IndexError:
            return Predictor(make(), self._weights_lock, self._shapes)

    def check_first(
        self, arrays: bool, safe: str | None = None, columns: Sequence[int] | None = None
    ) -> None:
        """Let `arrays` be checked before the short path is taken.

        All but those of the dtype `safe`, and rows that hold small integers in the `columns`.
        """
        self._checks_arrays = self.checks_rows or arrays
        self._safe = None if safe is None else np.dtype(safe)
        self._columns = columns

    def _may_be_short(self, X: NDArray[Any], checked: bool) -> bool:
        if self.checks_rows or checked or X.dtype is self._safe or self._columns is None:
            return not self.checks_rows and (checked or X.dtype is self._safe)
        if X.size != X.shape[-1] or X.dtype.kind != "f":
            return False
        return all((number := X.item(j)) % 1 == 0 and abs(number) <= LARGEST for j in self._columns)

    def set_shapes(self, sample: Shape, output: Shape) -> None:
        """Take samples of the input and of the output to be of these shapes."""
        self._shapes = sample, output

    def clear(self) -> None:
        """Forget all predictors."""
        self._free.clear()
