"""Training that was stopped, saved and resumed in new processes: the bits of the one that was not."""

import itertools
import json

import pytest

from tests.guarantees import programs
from tests.guarantees.cases import CASES, DTYPES, OPTIMIZERS, SCHEDULES, digest, model_of
from tests.guarantees.resume_cases import EPOCHS, train, train_and_stop
from tests.helpers.sweeps import sampled

pytestmark = pytest.mark.slow

TRAININGS = {
    **{
        f"{optimizer}, {schedule}": {"optimizer": OPTIMIZERS[optimizer], "rate": rate}
        for optimizer, (schedule, rate) in itertools.product(OPTIMIZERS, SCHEDULES.items())
    },
    **{f"{name}, in order": {"optimizer": make} for name, make in OPTIMIZERS.items()},
    **CASES,
}
#: Name -> options of the model, its dtype, and the step after which it is stopped first: any but the last.
RUNS = {
    f"{name}, {dtype}": ({**options, "dtype": dtype}, 1 + number % (5 * EPOCHS - 1))
    for number, ((name, options), dtype) in enumerate(itertools.product(TRAININGS.items(), DTYPES))
}


@pytest.fixture(scope="module")
def gone_on(tmp_path_factory, request):
    """What each training comes to after two stops, each of them saved and loaded by another process."""
    folder = tmp_path_factory.mktemp("stopped")
    asked = {item.callspec.params["name"] for item in request.session.items if "gone_on" in item.fixturenames}
    for name in asked:
        options, steps = RUNS[name]
        model = model_of(**options)
        train_and_stop(model, "in order" not in name, steps, folder / name)
        assert model.state.step == steps
        assert (model.state.position > 0) == (steps % 5 > 0)
    programs.run("-m", "tests.guarantees.resume_cases", folder, 4)
    return json.loads(programs.run("-m", "tests.guarantees.resume_cases", folder, 0))


@pytest.mark.parametrize("name", sampled(RUNS, every=9))
def test_a_stopped_training_goes_on_to_the_same_bits(name, gone_on):
    options, _ = RUNS[name]
    model = model_of(**options)
    history = train(model, "in order" not in name)
    found, record = gone_on[name]
    assert found == digest(model)
    epochs = len(record["loss"])
    assert 0 < epochs <= EPOCHS
    assert record == {figure: values[-epochs:] for figure, values in history.items()}


def test_stops_are_at_all_places_of_an_epoch():
    assert {steps % 5 for _, steps in RUNS.values()} == set(range(5))
    assert {steps for _, steps in RUNS.values()} == set(range(1, 5 * EPOCHS))
