"""What other programs run of a model: its weights for PyTorch, and C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..training.hessian import Hessian
from . import torch_state

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike

    from ..c.export import CFile


class Exports(Hessian):
    """The base of `fastnn.Model` that writes a model for other programs."""

    def to_torch_state(self, as_numpy: bool = False) -> dict[str, Any]:
        """The weights as ``load_state_dict`` of a ``torch.nn.Sequential`` of the same layers expects them.

        `Dense` is a ``Linear``, followed by a module for its activation if it has one; `Activation` and
        `Dropout` are one module each: ``[Dense(8, "relu"), Dropout(0.2), Dense(3)]`` is
        ``Sequential(Linear(n_in, 8), ReLU(), Dropout(0.2), Linear(8, 3))``. A `fastnn.Sequential` is a
        ``Sequential`` in it. The layers of a `Residual` are those of the attributes ``body`` and
        ``shortcut``, each a ``Sequential``; those of `Add` and `Concatenate` are in a ``ModuleList`` of
        such, ``branches``: see ``docs/files_and_formats.md``. Convolutions have their axes in PyTorch's
        order, and so has the first `Dense` after a `Flatten` of their images, for images with their channels
        first. `SimpleRNN`, `GRU` and `LSTM` are modules of one layer with PyTorch's order of gates and its
        two biases, a `Bidirectional` one with ``bidirectional=True``. The inverse is `fastnn.load_torch`.

        Parameters
        ----------
        as_numpy : bool
            Whether to return NumPy arrays, for which PyTorch is not needed.

        Returns
        -------
        dict of str to tensor or array
            Copies: ``"0.weight"`` of shape (n_out, n_in), ``"0.bias"``, ...

        Raises
        ------
        ImportError
            If PyTorch is needed and not installed.
        ValueError
            If the model is not built, or has a layer of another kind.

        Examples
        --------
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(8, "relu"), fn.Dense(3)]).build(4)
        >>> {key: value.shape for key, value in model.to_torch_state(as_numpy=True).items()}
        {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (3, 8), '2.bias': (3,)}
        """
        return torch_state.to_torch_state(self, as_numpy)

    def to_c(
        self,
        path: str | os.PathLike[str],
        *,
        prefix: str | None = None,
        probabilities: bool = False,
        weights: str = "static",
        samples: ArrayLike | None = None,
        gradient: bool = False,
        train: bool = False,
        quantize: str | None = None,
        calibration: ArrayLike | None = None,
        fortran: bool = False,
        cpp: bool = False,
        check: bool = False,
    ) -> CFile:
        """Write the model as one C file that needs nothing else: see ``docs/deploy.md``.

        ``net.h`` has ``net_predict(x, y, scratch)``, which computes what `predict` does for one sample. The
        caller gives the memory, ``NET_SCRATCH`` numbers; there is no heap, no stdio, no recursion and no
        state that changes. ``net_selftest()`` compares with outputs of `predict`. It compiles as C99 and as
        C++17 without warnings. Nothing is checked: what is no category or no index becomes zeros. The file,
        and that of the weights, are replaced in one step each.

        Parameters
        ----------
        path : str or path
        prefix : str, optional
            Of all names in the file; the file's name without its ending if not given.
        probabilities : bool
            Whether the output is the probabilities of the classes, or labels, as for `fastnn.onnx.export`.
        weights : {"static", "separate"}
            Whether the weights are constants in the file, or in another one, whose name ends in ``.bin``:
            numbers of the model's dtype in little-endian order, which the functions take as a last argument.
        samples : array of shape (n, *input_shape), optional
            With which the self-test is made; drawn from what preprocessing layers know of the data if not
            given.
        gradient : bool
            Whether there are also ``net_input_gradient(x, dy, dx, scratch)`` and ``net_jacobian(x, jacobian,
            scratch)``, which compute what `input_gradient` and `jacobian` do: for dense layers in a row, with
            what prepares their data. The matrices are then in the file twice.
        train : bool
            Whether there are also ``net_train_init(parameters, state)``, ``net_train_step(x, y, n, rate,
            parameters, state, scratch)``, a step of the model's optimizer with its loss, and
            ``net_train_predict(x, y, parameters, scratch)``: for dense layers in a row, the losses "mse",
            "cross_entropy" and "binary_cross_entropy", and the optimizers `SGD` and `Adam`. The weights are
            then in the file twice.
        quantize : {None, "int8"}
            With "int8", the matrices of `Dense`, `Conv1D`, `Conv2D`, `SeparableConv2D` (its mixture) and
            `MultiHeadAttention` are integers of 8 bits with a factor for each output; activations and sums
            stay of the model's dtype. The self-test then compares with predictions of these weights, and the
            result says what they change, and the bytes that they save.
        calibration : array of shape (n, *input_shape), optional
            Samples, such as those of the training, for which the rounding of the weights of `Dense`, and of
            `Conv1D` and `Conv2D` in one group, is chosen: each makes up for those before it in the layer's
            output, and the bias for the mean of what is left (see ``docs/deploy.md``).
        fortran, cpp : bool
            Whether to write a Fortran module, ``net.f90``, or a C++ class, ``net.hpp``, beside the C file.
        check : bool
            Whether to compile the file with all warnings, run its self-test and time a call. The compiler
            is that of the environment variable ``CC``, or ``cc``, ``gcc`` or ``clang``.

        Returns
        -------
        CFile
            Sizes, and with `check` the error and the microseconds of a call. Printed, it says all of it.

        Raises
        ------
        OSError
            If a file cannot be written.
        RuntimeError
            With `check`, if there is no compiler, or the compiled file computes something else.
        TypeError, ValueError
            If the model is not built or not adapted, has a user-defined activation or categories that are
            text, `prefix` is not an identifier of C or is one of its words, or `samples` are not samples.

        Examples
        --------
        >>> import os, tempfile
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(8, "tanh"), fn.Dense(2)], seed=0).build(4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = model.to_c(os.path.join(folder, "net.h"))
        >>> written.prefix, written.scratch
        ('net', 128)
        """
        from ..c.export import export  # only here: few processes need it

        return export(
            self,
            path,
            prefix=prefix,
            probabilities=probabilities,
            weights=weights,
            samples=samples,
            gradient=gradient,
            train=train,
            quantize=quantize,
            calibration=calibration,
            fortran=fortran,
            cpp=cpp,
            check=check,
        )
