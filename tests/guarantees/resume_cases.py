"""Program: resume the trainings saved in a folder, and print their results as JSON.

``python -m tests.guarantees.resume_cases FOLDER STEPS`` stops each of them again after so many steps,
with 0 none, and saves it.
"""

import json
import sys
from pathlib import Path

import fastnn as fn
from tests.guarantees.cases import digest, fit
from tests.helpers.interrupted import stopped_after

EPOCHS = 4


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
