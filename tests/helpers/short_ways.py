"""Models that take no short way, and what calls change: to compare with those that do."""

from fastnn.training import arguments, loop, trainer


def the_long_way(model):
    """Let nothing be known of samples."""
    model.executor.samples.take = lambda X, y: None
    return model


def everything(model):
    """What a step changes."""
    state = model.state
    history = model.history
    return (
        state.parameters.tobytes(),
        state.statistics.tobytes(),
        state.optimizer.tobytes(),
        state.counters.tolist(),
        state.interrupted_epoch,
        history.history,
        history.epoch,
        history.learning_rate,
        model.stop_training,
    )


def outcome(call):
    """What a call returns, or the error that it raises."""
    try:
        return "returned", call()
    except Exception as error:
        return type(error), str(error)


class Calls:
    """How often the short way was taken, and how often the long one."""

    def __init__(self, monkeypatch):
        self.checked, self.trained = 0, 0
        check, train = trainer.check_samples, loop.Training
        for module in (trainer, arguments):
            monkeypatch.setattr(module, "check_samples", self._counting("checked", check))
        monkeypatch.setattr(loop, "Training", self._counting("trained", train))

    def _counting(self, name, call):
        def counted(*arguments, **options):
            setattr(self, name, getattr(self, name) + 1)
            return call(*arguments, **options)

        return counted

    def of(self, call):
        """How many samples were checked, and how many trainings made, by a call."""
        self.checked = self.trained = 0
        call()
        return self.checked, self.trained
