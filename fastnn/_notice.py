"""What is said on standard error while kernels are compiled: how many, how long, whether they are kept."""

from __future__ import annotations

import sys

from . import _cache, _key

# Seconds that are waited for without a word.
_SHORT = 2.0

_REMEDY = (
    "Let FASTNN_CACHE_DIR be the absolute path of a folder that you can write to, and others cannot, nor to "
    "those that it lies in; or FASTNN_SHARED_CACHE_DIR that of one which root has filled"
)

_said_why = False


def compiling(count: int, seconds: float) -> None:
    """Say that so many kernels are compiled, which takes about so long, if that is worth a line.

    Where they cannot be kept that is said as well, once, with the reason and the remedy.
    """
    global _said_why
    fault = _cache.fault()
    if seconds < _SHORT and (fault is None or _said_why):
        return
    kernels = f"{count} kernel{'s' * (count > 1)}, about {seconds:.0f} s"
    if fault is None:
        say(f"fastnn: compiling {kernels}, once on this machine")
    elif _said_why:
        say(f"fastnn: compiling {kernels}")
    else:
        _said_why = True
        say(f"fastnn: compiling {kernels}, in each process, since they cannot be kept: {with_remedy(fault)}")


def with_remedy(fault: str) -> str:
    """Why nothing is kept, and what to do if another folder helps."""
    return fault if _key.fault() else f"{fault}. {_REMEDY}"


def say(text: str) -> None:
    """Print a line to standard error, above the bars of tqdm; where that cannot be done, do nothing.

    What a program puts in the place of standard error may raise anything, and nothing of that is worth
    the training that it would end.
    """
    if sys.stderr is None:
        return
    try:
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr)
        sys.stderr.flush()
    except Exception:
        pass
