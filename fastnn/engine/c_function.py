"""A model as a C function: `Model.c_function`."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from ..compiler import loader
from ..memory.buffers import address, allocate
from .launch import check_of

if TYPE_CHECKING:
    from .executor import Executor

_FORWARD = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_INTEGRAND = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_void_p)


class CFunction:
    """A model as a C function, for SciPy's integrators and for C programs in the same process.

    ``void function(int64_t n, const T *x, T *out, void *data)`` writes the outputs of n samples, as
    `Model.predict` gives them, to the bit. T is ``float`` or ``double``, the model's dtype; x and out are
    arrays in C order, of n times `Model.n_in` and `Model.n_out` numbers. Nothing is checked but indices of
    `Embedding`: where one is none, out becomes NaN. It neither calls Python nor needs the GIL, allocates
    nothing, and leaves the floating-point environment as it was.

    The weights are those of the model when it is called. `data` is one call's at a time: make a `c_function`
    for each thread. Both addresses are valid as long as this object lives.

    Attributes
    ----------
    function : ctypes function
        For calls from Python, with addresses: ``f.function(n, x.ctypes.data, out.ctypes.data, f.data)``.
    address : int
        Of the function.
    data : int
        The address that the function gets as its last argument.
    """

    def __init__(self, executor: Executor) -> None:
        net, dtype = executor.embedded_network(1), executor.dtype
        fields = net.fields
        self._n_out = int(fields.n_outputs)
        self._arrays = (
            net,
            allocate(fields.n_features, dtype, "a sample"),
            allocate(self._n_out, dtype, "output"),
        )
        fields.batch_x, fields.batch_y = address(self._arrays[1]), address(self._arrays[2])
        fields.check = loader.address(check_of(net), dtype) if net.limits.size else 0
        self._dtype = dtype
        self.address = loader.address("embedded.c_function.forward", dtype)
        self.function, self.data = _FORWARD(self.address), int(fields.own_address)

    def integrand(self) -> Any:
        """The output of one sample, as a ``scipy.LowLevelCallable`` for `scipy.integrate.quad` and `nquad`.

        Its signature is ``double (int n, double *x, void *data)``, whatever the model's dtype; n must be
        `Model.n_in`, otherwise it is NaN. This object lives as long as the result.

        Raises
        ------
        ImportError
            If SciPy is not installed.
        ValueError
            If the model has several outputs.
        """
        if self._n_out != 1:
            raise ValueError(f"an integrand has one output, the model has {self._n_out}; add fn.Select([i])")
        try:
            from scipy import LowLevelCallable
        except ImportError as error:
            raise ImportError("integrand needs SciPy: the extra 'scipy' of fastnn-jit") from error
        data = ctypes.c_void_p(self.data)
        data.owner = self  # type: ignore[attr-defined]  # so that it lives as long
        function = _INTEGRAND(loader.address("embedded.c_function.integrand", self._dtype))
        return LowLevelCallable(function, data)
