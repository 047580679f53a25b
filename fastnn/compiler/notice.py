"""Messages on standard error while kernels are compiled: how many, how long, whether they are cached."""

from __future__ import annotations

import sys

from . import cache_key, object_cache, prebuilt

# Seconds below which there is no message.
_SHORT = 2.0

_REMEDY = (
    "Let FASTNN_CACHE_DIR be the absolute path of a folder that you can write to, and others cannot, nor to "
    "those that it lies in; or FASTNN_SHARED_CACHE_DIR that of one which root has filled"
)

_said: set[str] = set()


def compiling(count: int, seconds: float) -> None:
    """Print how many kernels are compiled and about how long that takes, unless it is short.

    Where they cannot be kept, or the shared folder or the package's own kernels are not used, that is said as
    well, once, with the reason.
    """
    fault, shared_fault, prebuilt_fault = object_cache.fault(), object_cache.shared_fault(), prebuilt.fault()
    news = [each for each in (fault, shared_fault, prebuilt_fault) if each and each not in _said]
    if seconds < _SHORT and not news:
        return
    text = f"fastnn: compiling {count} kernel{'s' * (count > 1)}, about {seconds:.0f} s"
    if fault is None:
        text += ", once on this machine"
    elif fault in news:
        text += f", in each process, since they cannot be kept: {with_remedy(fault)}"
    if shared_fault in news:
        text += f". FASTNN_SHARED_CACHE_DIR is not read: {shared_fault}"
    if prebuilt_fault in news:
        text += f". The prebuilt kernels are not used: {prebuilt_fault}"
    _said.update(news)
    say(text)


def with_remedy(fault: str) -> str:
    """Why nothing is cached, and what to do if another folder helps."""
    return fault if cache_key.fault() else f"{fault}. {_REMEDY}"


def say(text: str) -> None:
    """Print a line to standard error, above the bars of tqdm; where that cannot be done, do nothing.

    A replacement of standard error may raise anything, and nothing of that is worth
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
