"""What a pickle refers to."""

import io
import pickle

#: Modules that pickles may name: those that users import, and so stay where they are.
PUBLIC = {
    "fastnn",
    "fastnn.activations",
    "fastnn.callbacks",
    "fastnn.custom",
    "fastnn.errors",
    "fastnn.initializers",
    "fastnn.losses",
    "fastnn.metrics",
    "fastnn.optimizers",
    "fastnn.schedules",
    "fastnn.sklearn",
}


class _Recorder(pickle.Unpickler):
    def __init__(self, content):
        super().__init__(io.BytesIO(content))
        self.found = set()

    def find_class(self, module, name):
        self.found.add((module, name))
        return super().find_class(module, name)


def names_in(content):
    """Modules and names of all classes and functions of fastnn that a pickle names."""
    recorder = _Recorder(content)
    recorder.load()
    return {(module, name) for module, name in recorder.found if module.partition(".")[0] == "fastnn"}
