"""What trains a model: one call of `fit`, and all else that needs the loss."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

from .. import optimizers
from ..checks import validate
from ..data import coding, missing, sample_checks, weights
from ..data.rows import as_rows, as_samples, sample_shape, sizes_of
from ..data.tables import column_names
from ..engine import evaluation
from ..engine.threads import defer_interrupt
from ..layers import preprocessing
from .arguments import (
    FitArguments,
    check_call,
    check_fit_arguments,
    check_samples,
    keep_samples,
    single_step,
)
from .batch_arguments import adapt_to_batches, batches_of, check_batches, evaluate_batches
from .batch_loop import BatchArguments, train_on_batches
from .callback import Callback
from .gradients import Gradients
from .loop import train
from .progress import Bar, Lines, reporter, style
from .short_fit import ShortFit, is_usual
from .thread_tuner import ThreadTuners

if TYPE_CHECKING:
    import threading

    from numpy.typing import ArrayLike, NDArray

    from ..engine.executor import Executor
    from ..engine.network import OptimizerState
    from ..losses import Loss
    from ..metrics import Metric
    from ..optimizers import Optimizer
    from .history import History


class Trainer(Gradients):
    """Base of `fastnn.Model`: how it is trained and evaluated."""

    history: History | None
    stop_training: bool

    def _run_by(self, executor: Executor) -> None:
        super()._run_by(executor)
        self._thread_tuners = ThreadTuners()
        self._short_fit = ShortFit(executor)

    @property
    def loss(self) -> Loss | None:
        """The loss."""
        return self._executor.loss

    @property
    def missing_targets(self) -> str:
        """Whether targets may be NaN."""
        return "raise" if self.loss is None else self.loss.missing_targets

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of the library."""
        return self._executor.metrics

    @property
    def metric_functions(self) -> tuple[Callable[..., Any], ...]:
        """User-defined metrics."""
        return self._executor.metric_functions

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer. Its attributes may be changed at any time; a new one begins with no memory.

        `fit` takes what they are between two compiled calls, which take about 0.1 s.
        """
        return self._executor.optimizer

    @optimizer.setter
    def optimizer(self, value: str | Optimizer) -> None:
        self._executor.optimizer = optimizers.get(value)

    def adapt(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Let preprocessing layers compute their statistics again, one after the other.

        `fit` does so once, for layers that have none yet.

        Parameters
        ----------
        X, sample_weight
            As for `fit`; X may be an iterable of batches but a generator: each layer goes through them once.

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what `fit` takes, or the model is built for other numbers of
            columns or categories; the layers are then unchanged.
        """
        executor, layers, dtype = self._executor, self.layers, self.dtype
        if sample_weight is None and not hasattr(X, "__next__") and (source := batches_of(X, None)):
            with executor.weights_lock.held():
                adapt_to_batches(executor, layers, source)
            return self
        executor.columns.check_names(X)
        shape = executor.input_shape or sample_shape(X)
        counting = functools.partial(weights.counting, sample_weight, dtype=dtype)
        found = coding.find(layers, X, counting, again=True, shape=shape)
        x = coding.coded(layers, as_rows(X, shape, "X"), dtype, n_in=self.n_in, found=found, shape=shape)
        nan = missing.columns(layers, executor.input_shape or sample_shape(X) or sizes_of(x)[-1:] or (0,))
        x = sample_checks.features(x, dtype, self.n_in, keep_mapped=True, table=X, missing=nan)
        weight = weights.of_samples(sample_weight, len(x), dtype)
        with executor.weights_lock.held(), preprocessing.undone_on_error(layers):
            preprocessing.adapt(layers, x, weight, dtype, executor.shape_of_input(X, x), again=True)
            coding.take(layers, found)
            executor.refresh_constants()
            executor.columns.take_names(column_names(X))
        return self

    def evaluate(
        self,
        X: ArrayLike | Iterable[Any],
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> dict[str, float]:
        """Loss and metrics on given data.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for `fit`, also batches; or one sample, as for `partial_fit`.

        Returns
        -------
        dict of str to float
            ``{"loss": ..., "accuracy": ...}``, then user-defined metrics by their names; the loss includes
            the penalties on the weights.

        Raises
        ------
        TypeError, ValueError
            As `fit`.
        """
        if lengths is None and (source := batches_of(X, y, sample_weight)) is not None:
            return evaluate_batches(self._executor, source)
        data, lengths = check_call(self._executor, X, y, sample_weight, lengths)
        found = evaluation.evaluate(self._executor, data, lengths=lengths)
        self._executor.samples.put_back(data)
        return found

    def loss_and_gradient(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> tuple[float, NDArray[Any]]:
        """Loss of all samples as one batch, and its gradient with respect to all parameters.

        Dropout is inactive. The penalties on the weights are included.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for `fit`; or one sample, as for `partial_fit`.

        Returns
        -------
        loss : float
        gradient : array of shape (n_parameters,)
            In the order of `parameters`.

        Raises
        ------
        TypeError, ValueError
            As `fit`.
        """
        data, lengths = check_call(self._executor, X, y, sample_weight, lengths, penalties=True)
        executor = self._executor
        found = executor.weights_lock.run_exclusive(executor.loss_and_gradient, data, None, lengths, True)
        executor.samples.put_back(data)
        return found

    def fit(
        self,
        X: ArrayLike | Iterable[Any],
        y: ArrayLike | None = None,
        *,
        epochs: int = 1,
        batch_size: int | None = 32,
        shuffle: bool | Callable[[int], ArrayLike] = True,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
        lengths: ArrayLike | None = None,
        validation_data: Any = None,
        validation_lengths: ArrayLike | None = None,
        validation_split: float = 0.0,
        callbacks: Sequence[Callback | Callable[[int, dict[str, float]], Any]] = (),
        verbose: Any = "auto",
        threads: int | None = None,
        resume: bool = False,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        comm: Any = None,
        shards: int | None = None,
    ) -> History:
        """Train the model.

        Parameters
        ----------
        X : array of shape (n, n_in), or iterable of batches
            Finite numbers. A C-contiguous array of the model's dtype is used in place, and so is a
            C-contiguous `numpy.memmap` of any real dtype but float16, which may be larger than memory; any
            other array is converted once. An iterable, given without `y`, yields batches ``(X, y)`` or
            ``(X, y, sample_weight)``, the next of them in a thread: see ``docs/beyond_one_machine.md``.
        y : array of shape (n, n_out), or (n,) for one output
            For `cross_entropy` and `nll` also class numbers of shape (n,) or (n, 1).
        epochs : int
            Number of passes over the data, minus `initial_epoch`.
        batch_size : int or None
            Samples per step; None means all.
        shuffle : bool or function
            Whether to go through the samples in a new order each epoch. A function determines the order
            itself: ``function(epoch)``, with epochs counted from `initial_epoch`, returns an array of n
            sample indices.
        sample_weight : array of shape (n,), optional
            Numbers >= 0. Their common scale does not matter, and may be beyond the range of the dtype, except
            with `sse`, which is a sum, and with penalties `alpha`, where it is then an error. For losses of
            values and of labels also (n, n_out), a weight for each output.
        class_weight : dict of int to float, or "balanced", optional
            Weights of the classes in training, 1 for classes that are not named; "balanced" gives all classes
            the same total weight. For several labels they are weights of the classes 0 and 1 of each label; a
            list has one entry for each label.
        lengths : array of int of shape (n,), optional
            How many time steps each sample has, at least 1; behind its end X holds any finite numbers.
            Recurrent layers leave these steps out, as with a mask in Keras: they keep their state and repeat
            their output. Layers before them must take each time step alone: see `Masking`.
        validation_data : (X, y) or (X, y, sample_weight), or iterable of batches where X is one; optional
            Evaluated after each epoch.
        validation_lengths : array of int, optional
            The lengths of `validation_data`, if `lengths` are given.
        validation_split : float, 0 <= validation_split < 1
            The last samples, this fraction of all, are evaluated after each epoch and not used for training.
        callbacks : sequence of Callback or function
            Called between epochs; see `fastnn.callbacks`.
        verbose : "auto", 0, 1 or 2
            1 shows a progress bar, 2 prints a line per epoch; "auto" is 1 in a terminal or notebook, and 0
            elsewhere.
        threads : int, optional
            Number of threads. If not given, one, or up to `fastnn.get_threads` if a step has enough work
            and they turn out to be faster. The result has the same bits in any case.
        resume : bool
            Whether to resume the latest fit, also one from before the model was saved with
            ``training=True``. The callbacks then get the state of those of that fit (see
            `Callback.get_state`). If it was interrupted within an epoch, that epoch is resumed and counted
            among `epochs`; if a function determined its order, it starts over.
        initial_epoch : int
            Number of the first epoch, as in Keras: training runs from there to `epochs`, and the history
            and the callbacks count from it.
        steps_per_epoch, validation_steps : int, optional
            How many batches of an iterable are an epoch, or are evaluated; all if not given.
        comm : mpi4py communicator or process group of torch.distributed, optional
            The processes, as ``MPI.COMM_WORLD``, that train together, each with some of the samples and one
            thread; where one fails, the others raise `RankError`. See docs/beyond_one_machine.md.
        shards : int, optional
            A power of two: parts of the samples of all, of which each process computes one after the other.
            1, 2, 4 ... up to `shards` processes then give the same bits, also one without `comm`.

        Returns
        -------
        History
            Also available as `history`.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described above; the model is then unchanged.
        DivergenceError
            If the loss, a weight or the state of the optimizer becomes NaN or infinite; the last finite
            weights are kept.
        KeyboardInterrupt
            On Ctrl-C, within a fraction of a second; the model is that of a finished step.
        """
        shown = style(verbose)
        if threads is not None:
            threads = validate.integer("threads", threads, low=1)
        plain = sample_weight is class_weight is validation_data is comm is shards is None
        plain = plain and isinstance(validation_split, (int, float)) and validation_split == 0
        steps = steps_per_epoch, validation_steps
        usual = lengths is validation_lengths is threads is steps_per_epoch is validation_steps is None
        course = epochs, batch_size, shuffle, callbacks, resume, initial_epoch
        if plain and usual and not shown and is_usual(*course):
            with defer_interrupt():  # what the call did and what is recorded of it belong together
                history = self.fit_short(X, y, epochs, batch_size, bool(shuffle))
            if history is not None:
                return history
        options: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "shuffle": shuffle}
        options |= {"sample_weight": sample_weight, "class_weight": class_weight, "lengths": lengths}
        options |= {"validation_data": validation_data, "validation_lengths": validation_lengths}
        options |= {"validation_split": validation_split, "callbacks": callbacks}
        options |= {"resume": resume, "initial_epoch": initial_epoch}
        executor, known = self._executor, None
        if comm is not None or shards is not None:
            from .rank_loop import fit_by_ranks

            return fit_by_ranks(self, executor, comm, X, y, threads, shown, steps, options, shards)
        task: FitArguments | None = check_batches(executor, X, y, *steps, options)
        if task is None:
            known = executor.samples.take(X, y) if plain else None
            check = functools.partial(check_samples, executor) if known is None else lambda *_, **__: known
            task = check_fit_arguments(executor, check, X, y, **options)
        self.train(task, threads, reporter(shown, task.epochs, task.initial_epoch, task.callbacks))
        keep_samples(executor, X, y, known)
        return task.history

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> Self:
        """Train on the given data once, in its order; by default in a single step.

        Parameters
        ----------
        X, y, sample_weight, batch_size, lengths
            As for `fit`. For one sample `X` may have the shape (n_in,), as in `predict`; `y` is then its
            target, a number or of shape (n_out,), and `sample_weight` and `lengths` are numbers.

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        TypeError, ValueError, DivergenceError
            As `fit`.
        """
        executor, given, known = self._executor, (X, y), None
        if sample_weight is batch_size is lengths is None:
            if self.fit_short(X, y) is not None:
                return self
            known = executor.samples.take(X, y)
        if known is None:
            shapes = executor.input_shape, executor.shape_of_target
            X, y, sample_weight = as_samples(X, y, sample_weight, *shapes)
            options: dict[str, Any] = {"batch_size": batch_size, "shuffle": False, "verbose": 0}
            self.fit(X, y, sample_weight=sample_weight, lengths=lengths, **options)
        else:
            executor.check_optimizer()
            self.train(single_step(executor, known))
        keep_samples(executor, *given, known)
        return self

    def fit_short(
        self, X: Any, y: Any, epochs: int = 1, batch_size: int | None = None, shuffle: bool = False
    ) -> History | None:
        """Train by ``ShortFit``; None if it cannot."""
        history = self._short_fit.make(X, y, epochs, batch_size, shuffle)
        if history is not None:
            self.history = history
            if self.stop_training:
                self.stop_training = False
        return history

    def optimizer_state(self) -> OptimizerState:
        """The optimizer as arrays, for `fastnn.train_step` inside compiled code.

        It shares the state of the optimizer and the step counter with the model, so `fit` and `train_step`
        can alternate. If settings of the optimizer were changed, a new call also updates what earlier calls
        returned. If another optimizer was set, or one with more state, request a new state: the earlier one
        continues with the old optimizer. May be called while another thread trains the model: it then waits
        for up to about 0.1 s, as `predict` does.

        Returns
        -------
        OptimizerState
            A NamedTuple of arrays, valid as an argument of functions compiled by Numba.

        Raises
        ------
        ValueError
            If the model is not built, or a setting was changed to one that is out of range.
        """
        return self._executor.optimizer_state()

    def train(
        self,
        task: FitArguments,
        threads: int | None = None,
        progress: Bar | Lines | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Do what `check_fit_arguments` has checked: see ``Training``."""
        executor, run = self._executor, train_on_batches if isinstance(task, BatchArguments) else train
        executor.weights_lock.run_fit(run, self, executor, task, self._thread_tuners, threads, progress, stop)
