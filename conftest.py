"""What all tests need, those in docstrings too.

Doctests of public classes and functions name the module that users import, not their file.
"""

import doctest
import importlib.util
import inspect
import signal
import sys

import pytest

from fastnn import activations, losses, schedules
from fastnn.display import info
from tests.helpers.defining_module import is_defined_in

# A shell that runs a command in the background lets it ignore Ctrl-C, and so would the processes that
# the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What of fastnn needs an extra which is not installed: examples there are not run.
_NEEDS = {"river": "fastnn/river", "tornado": "fastnn/playground/server.py"}
collect_ignore = [path for package, path in _NEEDS.items() if not importlib.util.find_spec(package)]

_by_module_name = doctest.DocTestFinder._from_module


def _from_module(self, module, object):
    """Whether `object` is of `module`, so that its examples are run once, and with the lines of its file."""
    if module is not None and inspect.isfunction(object):
        return vars(module) is inspect.unwrap(object).__globals__
    if module is not None and inspect.isclass(object) and object.__module__.partition(".")[0] == "fastnn":
        return is_defined_in(object, module)
    return _by_module_name(self, module, object)


doctest.DocTestFinder._from_module = _from_module


def pytest_report_header():
    """What the tests run on."""
    return [line for line in info.lines() if line.startswith(("packages", "CPU", "prebuilt"))]


@pytest.fixture(autouse=True)
def own_pieces_are_forgotten():
    """Activations, losses and schedules that a test, or an example, registers are not seen by the next."""
    tables = [(room.TABLE, dict(room.TABLE)) for room in (activations, losses, schedules)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)


@pytest.fixture(autouse=True)
def figures_are_drawn_and_closed():
    """What is wrong with a figure of a test or an example shows, and no more than 20 are open."""
    yield
    if plt := sys.modules.get("matplotlib.pyplot"):
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
        plt.close("all")
