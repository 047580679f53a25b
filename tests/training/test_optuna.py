"""`OptunaPruning`: a trial that is pruned, what the model is then, and what is refused."""

import pytest

import fastnn as fn
from tests.helpers.executors import LABELS, X, models


class Trial:
    """What the callback uses of a trial of Optuna."""

    def __init__(self, last):
        self.reported, self.last = [], last

    def report(self, value, step):
        self.reported.append((step, value))

    def should_prune(self):
        return len(self.reported) == self.last


def test_each_epoch_is_reported_under_its_number():
    (model, *_), trial = models(), Trial(9)
    pruning = fn.OptunaPruning(trial, "val_accuracy")
    history = model.fit(X, LABELS, initial_epoch=2, epochs=5, validation_split=0.2, callbacks=[pruning])
    assert trial.reported == [*zip([2, 3, 4], history.history["val_accuracy"], strict=True)]


def test_a_value_that_no_epoch_has_is_named():
    (model, *_) = models()
    with pytest.raises(
        ValueError,
        match="unknown monitor 'val_loss'; give fit validation_data .*; this fit has loss, accuracy",
    ):
        model.fit(X, LABELS, callbacks=[fn.OptunaPruning(Trial(1))])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((3,), "trial must be a trial of Optuna, got 3"), ((Trial,), "trial must"), ((Trial(1), 2), "monitor")],
)
def test_what_is_no_trial_and_no_name_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        fn.OptunaPruning(*arguments)


@pytest.mark.ecosystem
@pytest.mark.filterwarnings("ignore")
def test_a_study_prunes_trials_and_the_models_are_consistent():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trained = []

    def objective(trial):
        rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
        model = fn.Model([fn.Dense(8, "relu"), fn.Dense(3)], "cross_entropy", fn.Adam(rate), seed=0)
        trained.append(model)
        stop = fn.EarlyStopping("loss", patience=5, restore_best=True)
        history = model.fit(
            X, LABELS, epochs=8, validation_split=0.2, callbacks=[fn.OptunaPruning(trial), stop]
        )
        return history.history["val_loss"][-1]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), pruner=pruner)
    study.optimize(objective, n_trials=12)
    states = [trial.state.name for trial in study.trials]
    assert set(states) == {"COMPLETE", "PRUNED"}
    for model, trial in zip(trained, study.trials, strict=True):
        epochs = len(model.history.epoch)
        assert sorted(trial.intermediate_values) == model.history.epoch == list(range(epochs))
        assert [*trial.intermediate_values.values()] == model.history.history["val_loss"]
        assert (epochs < 8) == (trial.state.name == "PRUNED") == (model.history.error is not None)
        assert model.state.epoch == epochs and model.state.position == 0
        alone = fn.Model(
            [fn.Dense(8, "relu"), fn.Dense(3)], "cross_entropy", fn.Adam(trial.params["rate"]), seed=0
        )
        stop = fn.EarlyStopping("loss", patience=5, restore_best=True)
        alone.fit(X, LABELS, epochs=epochs, validation_split=0.2, callbacks=[stop])
        assert (alone.parameters == model.parameters).all()
        model.fit(X, LABELS)  # and it can be trained further
