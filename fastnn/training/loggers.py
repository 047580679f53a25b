"""Callbacks that write the logs of each epoch for other programs: JSON lines, TensorBoard, MLflow."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any

from ..checks import paths, validate
from .callback import Callback


class JSONLines(Callback):
    """Write the logs of each epoch as a line of JSON: ``{"epoch": 0, "loss": 0.5}``.

    A value that is not finite is written as null, since JSON has no such number.

    Parameters
    ----------
    path : str or path
    append : bool
        Whether to append to an existing file. Otherwise the first fit with this object overwrites it; later
        fits, and those with ``resume=True``, append to it.

    Raises
    ------
    OSError
        When training starts, if the file cannot be written.
    """

    first_rank_only = True

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path = paths.text(path)
        self.append = validate.boolean("append", append)
        self._adds = self.append  # whether the next line is appended

    def on_train_begin(self) -> None:  # noqa: D102
        self._adds = self._adds or self.append
        with open(self.path, "a", encoding="utf-8"):  # fails here if the file cannot be written
            pass

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        finite = {name: value if math.isfinite(value) else None for name, value in logs.items()}
        with open(self.path, "a" if self._adds else "w", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, **finite}) + "\n")
        self._adds = True

    def get_state(self) -> dict[str, Any]:  # noqa: D102
        return {"adds": self._adds}

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._adds = self._adds or bool(state["adds"])


class TensorBoard(Callback):
    """Write the logs of each epoch as event files for TensorBoard. It needs the package `tensorboard`.

    The names are Keras's: ``epoch_loss``, ``epoch_learning_rate``, in the folders ``train`` and, for the
    validation data, ``validation``. TensorFlow is not needed. Further fits add files, which TensorBoard
    shows as one curve.

    Parameters
    ----------
    log_dir : str or path

    Raises
    ------
    ImportError
        When training starts, if tensorboard is not installed.
    """

    first_rank_only = True

    def __init__(self, log_dir: str | os.PathLike[str] = "logs") -> None:
        self.log_dir = paths.text(log_dir, "log_dir")
        self._writers: dict[str, Any] = {}

    def on_train_begin(self) -> None:  # noqa: D102
        _tensorboard()
        os.makedirs(self.log_dir, exist_ok=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        rate = self.model.history.learning_rate
        values = {**logs, "learning_rate": rate[-1]} if rate else logs
        held_out = {name: value for name, value in values.items() if name.startswith("val_")}
        self._write("train", epoch, {name: values[name] for name in values if name not in held_out})
        self._write("validation", epoch, {name.removeprefix("val_"): v for name, v in held_out.items()})

    def _write(self, folder: str, epoch: int, values: dict[str, float]) -> None:
        """Write values of an epoch, and see to it that they are in the file."""
        if not values:
            return
        EventFileWriter, Event, Summary = _tensorboard()
        if folder not in self._writers:
            self._writers[folder] = EventFileWriter(os.path.join(self.log_dir, folder))
        tags = [Summary.Value(tag=f"epoch_{name}", simple_value=value) for name, value in values.items()]
        self._writers[folder].add_event(Event(wall_time=time.time(), step=epoch, summary=Summary(value=tags)))
        self._writers[folder].flush()

    def on_train_end(self) -> None:  # noqa: D102
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.close()

    def __getstate__(self) -> Any:
        """For pickle and copy: without open files."""
        return {**super().__getstate__(), "_writers": {}}


def _tensorboard() -> tuple[Any, Any, Any]:
    """What writes event files."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise ImportError("TensorBoard needs tensorboard: python -m pip install tensorboard") from error
    return EventFileWriter, Event, Summary


class MLflow(Callback):
    """Log each epoch to a run of MLflow. It needs ``mlflow`` or ``mlflow-skinny``.

    A fit is a run, or is logged to the run that is active in the thread; one with ``resume=True`` continues
    the run of the fit before. The run has the settings of the model as parameters, and ends as FINISHED,
    FAILED or KILLED (Ctrl-C).

    Parameters
    ----------
    experiment : str
        Created if there is none of this name.
    run_name : str, optional
    tracking_uri : str, optional
        Such as ``"sqlite:///mlflow.db"``, the address of a server, or a folder: ``"file:mlruns"``.

    Attributes
    ----------
    run_id : str or None
        Of the latest fit's run.

    Raises
    ------
    ImportError
        When training starts, if MLflow is not installed.
    """

    run_id: str | None

    first_rank_only = True

    def __init__(
        self, experiment: str = "fastnn", run_name: str | None = None, tracking_uri: str | None = None
    ) -> None:
        self.experiment, self.run_name, self.tracking_uri = experiment, run_name, tracking_uri
        self.run_id = None
        self._own = True  # whether the run is this object's to end

    def on_train_begin(self) -> None:  # noqa: D102
        self._client()
        self.run_id, self._own = None, True

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: D102
        from mlflow.entities import Metric

        client, now = self._client(), int(1000 * time.time())
        if self.run_id is None:
            self._begin(client)
        client.log_batch(self.run_id, [Metric(name, value, now, epoch) for name, value in logs.items()])

    def _begin(self, client: Any) -> None:
        """Make a run, or take the active one."""
        import mlflow
        from mlflow.entities import Param

        active = mlflow.active_run()
        if active is not None:
            self.run_id, self._own = active.info.run_id, False
        else:
            known = client.get_experiment_by_name(self.experiment)
            experiment = client.create_experiment(self.experiment) if known is None else known.experiment_id
            self.run_id = client.create_run(experiment, run_name=self.run_name).info.run_id
        model = self.model
        settings = {
            "layers": [repr(layer) for layer in model.layers],
            "loss": model.loss,
            "optimizer": model.optimizer,
            "dtype": model.dtype,
            "n_parameters": model.parameters.size,
        }
        client.log_batch(self.run_id, params=[Param(key, str(value)) for key, value in settings.items()])

    def on_train_end(self) -> None:  # noqa: D102
        if self.run_id is None or not self._own:
            return
        error = sys.exception()
        status = "FINISHED" if error is None else "FAILED" if isinstance(error, Exception) else "KILLED"
        self._client().set_terminated(self.run_id, status)

    def get_state(self) -> dict[str, Any]:  # noqa: D102
        return {"run_id": self.run_id, "own": self._own}

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        self.run_id, self._own = state["run_id"], bool(state["own"])
        if self.run_id is not None and self._own:
            self._client().update_run(self.run_id, status="RUNNING")

    def _client(self) -> Any:
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise ImportError("MLflow needs mlflow: python -m pip install mlflow-skinny") from error
        return MlflowClient(self.tracking_uri)
