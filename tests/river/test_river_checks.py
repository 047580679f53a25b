"""river's own checks of estimators, on ours."""

import pytest

checks = pytest.importorskip("river.checks", reason="the extra `river` is not installed")

from fastnn.river import MLPClassifier, MLPRegressor  # noqa: E402

ESTIMATORS = {
    "regressor": MLPRegressor((5,)),
    "classifier": MLPClassifier((5,)),
    "linear classifier": MLPClassifier((), dtype="float64", seed=0),
    "deep regressor": MLPRegressor((8, 8), "gelu", optimizer="rmsprop", seed=0),
}
# A mini-batch is one step, and not one for each row; river's linear models skip it too.
SKIPPED = {"check_learn_many_matches_learn_one"}


def run(model, every):
    """Run the checks, each with the first of its data sets or with all, and return their names."""
    names = set()
    for check in checks.yield_checks(model):
        if check.__name__ not in SKIPPED and (every or check.__name__ not in names):
            try:
                check(model.clone())
            except BaseException as error:
                error.add_note(check.__name__)
                raise
        names.add(check.__name__)
    return names


@pytest.mark.parametrize("name", ["regressor", "classifier"])
def test_checks(name):
    model = ESTIMATORS[name]
    names = run(model, every=False)
    assert model._unit_test_skips() == SKIPPED < names
    assert len(names) > 25


@pytest.mark.sweep
@pytest.mark.parametrize("name", ESTIMATORS)
def test_checks_with_all_data(name):
    run(ESTIMATORS[name], every=True)
