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
from .io import checkpoint
from .io.exports import Exports
from .layers.base import Layer, walk
from .layers.containers import checked_layers
from .layers.head import check_units, head_of, mistake
from .layers.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .losses import Loss
    from .optimizers import Optimizer

# Attributes that are not copied or pickled, but made again.
_RUNTIME_ATTRIBUTES = {"_executor", "_predictors", "_thread_tuners", "_short_fit", "_passes", "_sampler"}


class Model(Exports):
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

    def summary(self, batch_size: int = 32) -> None:
        """Print a table of the layers: output shapes, parameters and multiply-accumulates of a sample.

        Below are their sums, and the memory that `fit` allocates: exactly, but for what is as long as the
        data. A model without a loss shows the memory for predictions. The table has at most 80 columns.

        Parameters
        ----------
        batch_size : int
            Of the fit whose memory is shown.

        Notes
        -----
        Multiply-accumulates are those of matrix products and convolutions, whose windows count in full where
        they reach into padding; biases (which torchinfo counts as well), activations, normalizations and
        look-ups do not count. KB and MB are units of 1,024, as in Keras.

        Examples
        --------
        >>> import fastnn as fn
        >>> model = fn.Model([fn.Dense(128, "relu"), fn.Dense(10)], "cross_entropy", seed=0).build(784)
        >>> model.summary()
        layer               output shape  parameters  mult-adds
        -------------------------------------------------------
        Dense(128, 'relu')  (n, 128)         100,480    100,352
        Dense(10)           (n, 10)            1,290      1,280
        -------------------------------------------------------
        Total parameters: 101,770 (397.54 KB), float32
        Trainable parameters: 101,770 (397.54 KB)
        Non-trainable parameters: 0 (0 bytes)
        Total mult-adds of a sample: 101,632
        Memory to train with batch_size=32: ...
          parameters         397.54 KB
          gradients          397.54 KB
          optimizer state    795.08 KB
          last finite state    1.16 MB
          buffers ...
        """
        print(summary(self, validate.integer("batch_size", batch_size, low=1)))

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
