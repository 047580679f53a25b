"""Program: go on with the trainings that are saved in a folder, and print what they come to, as JSON.

``python -m tests.guarantees.resume_cases FOLDER STEPS`` stops each of them again after so many steps,
with 0 none, and saves it.
"""

import contextlib
import json
import sys
from pathlib import Path
from unittest import mock

import fastnn as fn
from fastnn.engine import launch
from fastnn.kernels.abi import descriptor
from tests.guarantees.cases import digest, fit

EPOCHS = 4


@contextlib.contextmanager
def stopped_after(steps):
    """Let Ctrl-C arrive while the compiled loop makes so many steps."""

    left = [steps]

    def run_and_stop(entry, net, threads=1, run=launch.run):
        if entry != "train":
            return run(entry, net, threads)
        before = net.descriptor[descriptor.STEP]
        net.descriptor[descriptor.MAX_STEPS] = left[0]
        run(entry, net, threads)
        left[0] -= net.descriptor[descriptor.STEP] - before
        if left[0] == 0:
            raise KeyboardInterrupt

    with mock.patch.object(launch, "run", run_and_stop), contextlib.suppress(KeyboardInterrupt):
        yield


def train(model, shuffle):
    """All epochs that are left, of five batches each."""
    left = EPOCHS - model.state.epoch if model.n_in else EPOCHS
    return fit(model, epochs=left, batch_size=50, validation_split=0.2, shuffle=shuffle, resume=True)


def train_and_stop(model, shuffle, steps, path):
    """Train for so many steps and save."""
    with stopped_after(steps):
        train(model, shuffle)
    model.save(path, training=True)


def go_on(folder, steps):
    found = {}
    for path in sorted(Path(folder).iterdir()):
        model, shuffle = fn.load(path), "in order" not in path.name
        before = model.state.step
        if steps and before + steps < 5 * EPOCHS:
            train_and_stop(model, shuffle, steps, path)
            assert model.state.step == before + steps
        elif not steps:
            history = train(model, shuffle)
            found[path.name] = [digest(model), history]
    return found


if __name__ == "__main__":
    print(json.dumps(go_on(sys.argv[1], int(sys.argv[2]))))
