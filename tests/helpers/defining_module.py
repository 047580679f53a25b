"""Where a class is written: a public one names the module that users import it from."""

import functools
import re
import sys
from pathlib import Path


def is_defined_in(kind, module):
    """Whether the source of a module has the statement that makes the class."""
    file = getattr(module, "__file__", None) or ""
    return file.endswith(".py") and kind.__name__ in _classes_of(file)


def defining_module(kind):
    """The module of fastnn whose source makes a class; what it names itself if it is not of fastnn."""
    for name, module in list(sys.modules.items()):
        in_fastnn = name.partition(".")[0] == "fastnn"
        if in_fastnn and vars(module).get(kind.__name__) is kind and is_defined_in(kind, module):
            return module
    return sys.modules[kind.__module__]


@functools.cache
def _classes_of(file):
    return frozenset(re.findall(r"^ *class (\w+)", Path(file).read_text(encoding="utf-8"), re.MULTILINE))
