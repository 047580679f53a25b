"""Model: layers in a row, built, trained, evaluated and used."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import losses, optimizers
from . import metrics as metric_table
from .checks import shown, validate
from .display.summary import summary
from .engine.executor import PICKLED, Executor
from .io import checkpoint, torch_state
from .layers.base import Layer, walk
from .layers.containers import checked_layers
from .layers.head import check_units, head_of, mistake
from .layers.preprocessing import Preprocessing
from .training.trainer import Trainer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from .c.export import CFile
    from .losses import Loss
    from .optimizers import Optimizer

# Attributes that are not copied or pickled, but made again.
_RUNTIME_ATTRIBUTES = {"_executor", "_predictors", "_thread_tuners", "_short_fit", "_passes", "_sampler"}


class Model(Trainer):
    """Layers in a row: built, trained, evaluated and used.

    Parameters
    ----------
    layers : sequence of Layer
        Each may be part of one model only.
    loss : str or Loss, optional
        Name, or one of `fastnn.losses`; needed for all but prediction. A last activation that belongs to
        it, `softmax` to `cross_entropy` and `nll`, `sigmoid` to `binary_cross_entropy`, is computed
        together with it: the loss is that of the logits, to the bit.
    optimizer : str or Optimizer
        Name, or one of `fastnn.optimizers`.
    metrics : "auto" or sequence of str or function
        Names of `fastnn.metrics`; "auto" is the accuracy for losses for classes. A user-defined
        function ``f(y, prediction)`` returns a number, for the validation data and in `evaluate`.
    dtype : {"float32", "float64"}
        Of the weights and of all arithmetic.
    seed : int, optional
        For initial weights, shuffling and dropout; a random one if not given.
    missing_targets : {"raise", "ignore"}
        Whether a NaN among the targets is an error, or a missing target, which is left out of the means in
        the loss and the metrics. Not in compiled code.
    compute_dtype : {None, "bfloat16"}
        In what numbers the matrix products of dense, attention and recurrent layers are computed; None is
        `dtype`. With "bfloat16" both factors are rounded to it, 8 significant bits, and the sums are float32;
        weights, optimizer and all else are float32 as before (P. Micikevicius et al., *Mixed Precision
        Training*, ICLR 2018). It needs ``dtype="float32"`` and a CPU with AVX512-BF16, and pays for wide
        layers where the CPU has AMX: see ``docs/what_you_can_rely_on.md``.

    Attributes
    ----------
    layers : tuple of Layer
    loss : Loss or None
    head : Head
        What the output of the last layer is: values, logits, probabilities or log-probabilities.
    metrics : tuple of Metric
    dtype : str
    input_shape, output_shape : tuple of int, or None
        Shapes of a sample of the input and of the output, channels last; None until the model is built.
    n_in, n_out : int or None
        Numbers that a row of the input and of the output has; None until the model is built.
    feature_names_in_ : array of shape (n_in,), or None
        Names of the columns of the table that the model was first fitted with, if all of them are text.
    history : History or None
        Of the latest `fit`, an interrupted one included.

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range, or a name is unknown.
    RuntimeError
        If the CPU does not have the instructions that `compute_dtype` needs.

    Warns
    -----
    UserWarning
        If the last activation does not fit the loss, like `tanh` with `cross_entropy`: what to write instead.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.spiral(100, 3, seed=0)
    >>> model = fn.Model([fn.Dense(64, "relu"), fn.Dense(3)], loss="cross_entropy", seed=0)
    >>> history = model.fit(X, y, epochs=200)
    >>> model.evaluate(X, y)["accuracy"] > 0.9
    True
    >>> model.predict(X).shape
    (300, 3)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: str | Loss | None = None,
        optimizer: str | Optimizer = "adam",
        metrics: str | Sequence[str | Callable[..., Any]] = "auto",
        dtype: DTypeLike = "float32",
        seed: int | None = None,
        missing_targets: str = "raise",
        compute_dtype: str | None = None,
    ) -> None:
        layers = _check_layers(layers)
        loss = None if loss is None else losses.get(loss)
        if missing_targets != "raise":
            loss = losses.with_missing(loss, missing_targets)
        measured = metric_table.get(metrics, loss)
        check_units(layers, loss, measured)
        self._run_by(
            Executor(
                layers,
                validate.dtype(dtype),
                seed,
                head=head_of(layers, loss),
                loss=loss,
                optimizer=optimizers.get(optimizer),
                metrics=measured,
                metric_functions=metric_table.functions(metrics),
                compute_dtype=compute_dtype,
            )
        )
        self.history = None
        self.stop_training = False
        if (wrong := mistake(layers, loss)) is not None:
            warnings.warn(f"the last activation does not fit the loss: {wrong}", stacklevel=2)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: all but locks, networks and kernels."""
        with self._executor.weights_lock.exclusive():  # between two steps of a fit in another thread
            kept = {name: value for name, value in vars(self).items() if name not in _RUNTIME_ATTRIBUTES}
            return kept | self._executor.to_dict()

    def __setstate__(self, kept: dict[str, Any]) -> None:
        executor = Executor.from_dict(kept, head_of(kept["layers"], kept["loss"]))
        vars(self).update({name: value for name, value in kept.items() if name not in PICKLED})
        self._run_by(executor)

    def __copy__(self) -> Model:
        """A deep copy: a layer can be part of one model only."""
        return copy.deepcopy(self)

    def summary(self) -> None:
        """Print a table of the layers, their output shapes and parameter counts."""
        print(summary(self))

    def save(self, path: str | os.PathLike[str], training: bool = False) -> None:
        """Write the model to a file in the safetensors format: see `fastnn.load`.

        Parameters
        ----------
        path : str or path
            Replaced if it exists, in one step; a symbolic link is followed.
        training : bool
            Whether to write also what is needed to resume training with the same bits as without the
            interruption: the state of the optimizer and of the random numbers, the position within the
            epoch, and the state of the callbacks (see `resume` of `fit`).

        Raises
        ------
        ValueError
            If the model is not built, or holds NaN or infinity; the file is then unchanged.
        OSError
            If the file cannot be written.
        """
        checkpoint.save(self, path, training)

    def to_torch_state(self, as_numpy: bool = False) -> dict[str, Any]:
        """The weights as ``load_state_dict`` of a `torch.nn.Sequential` of the same layers expects them.

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
        quantize: str | None = None,
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
        quantize : {None, "int8"}
            With "int8", the matrices of `Dense`, `Conv1D`, `Conv2D`, `SeparableConv2D` (its mixture) and
            `MultiHeadAttention` are integers of 8 bits with a factor for each output; activations and sums
            stay of the model's dtype. The self-test then compares with predictions of these weights, and the
            result says what they change, and the bytes that they save.
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
        from .c.export import export  # only here: few processes need it

        return export(
            self,
            path,
            prefix=prefix,
            probabilities=probabilities,
            weights=weights,
            samples=samples,
            gradient=gradient,
            quantize=quantize,
            fortran=fortran,
            cpp=cpp,
            check=check,
        )

    def __repr__(self) -> str:
        settings: dict[str, Any] = {"loss": self.loss}
        if self.optimizer != optimizers.Adam():
            settings["optimizer"] = self.optimizer
        settings |= shown.other(Model, {"dtype": self.dtype})
        if self.compute_dtype != self.dtype:
            settings["compute_dtype"] = self.compute_dtype
        return shown.call("Model", (list(self.layers),), settings)

    def _repr_html_(self) -> str:
        from .display.html import model_html  # only here: the package html takes a millisecond to load

        return model_html(self)


def _check_layers(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers as a tuple, if each is a layer and may become part of a model."""
    result = checked_layers("layers", layers)
    trained = None
    for layer in result:
        if layer.of_targets and layer is not result[-1]:
            raise ValueError(f"{layer!r} must be the last layer, since it gives values in the target's units")
        if isinstance(layer, Preprocessing):
            if trained is not None and not layer.of_targets:
                raise ValueError(
                    f"{layer!r} must stand before all layers with weights, not after {trained!r}"
                )
        if layer.has_parameters:
            trained = layer
        if not layer.is_free:
            raise ValueError(f"{layer!r} is part of another model already")
    every = [id(layer) for _, layer in walk(result)]
    if len(set(every)) < len(every):
        raise ValueError("the same layer stands twice in layers; a layer has weights of its own")
    return result
