"""Kernels that a wheel brings along as object code, compiled for levels of CPUs: ``fastnn/prebuilt/``.

They lie in the installed package, whose code runs in any case, so it does not matter who may write there.
What they do not cover is compiled as it is without them: for other CPUs, by other versions of Numba or of the
kernels' sources, with settings of Numba that change code, and user-defined functions. ``FASTNN_PREBUILT=0``
switches them off.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

from . import cache_key, cpu_levels, object_file

#: In it a folder a level, and `ABOUT`, which says for what they were compiled.
FOLDER = Path(__file__).parents[1] / "prebuilt"
ABOUT = "about.json"
_damaged: list[str] = []


def read(symbol: str) -> bytes | None:
    """Code of a symbol for this CPU; None if there is none, or it is damaged."""
    found = level()
    if found is None:
        return None
    try:
        content = (FOLDER / found / f"{symbol}.o").read_bytes()
    except OSError:
        return None
    code = object_file.unpack(_key(), symbol, content)
    if code is None:
        _damaged.append(symbol)
    return code


def level() -> str | None:
    """The level whose kernels run here, if any."""
    return _found()[0]


def fault() -> str | None:
    """Why kernels that the package brings along are not used; None if they are, or if there are none."""
    return f"{_damaged[0]}.o is damaged; install fastnn again" if _damaged else _found()[1]


def write(level: str, symbol: str, code: bytes, folder: Path) -> None:
    """Add the code of a symbol to a folder that becomes `FOLDER` of a wheel."""
    place = folder / level
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{symbol}.o").write_bytes(object_file.pack(cache_key.of_level(level), symbol, code))


def describe(folder: Path, levels: list[str]) -> None:
    """Write `ABOUT`: for what a folder's kernels are compiled."""
    keys = {each: cache_key.of_level(each) for each in levels}
    about = {"versions": cache_key.versions(), "keys": keys}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


@functools.cache
def _key() -> str:
    found = level()
    assert found is not None
    return cache_key.of_level(found)


@functools.cache
def _found() -> tuple[str | None, str | None]:
    try:
        about = json.loads((FOLDER / ABOUT).read_text(encoding="utf-8"))
        keys, built = dict(about["keys"]), {name: about["versions"][name] for name in cache_key.versions()}
    except FileNotFoundError:
        return None, None
    except (OSError, KeyError, TypeError, ValueError):
        return None, f"{FOLDER / ABOUT} is damaged; install fastnn again"
    fault = _fault(keys, built)
    return (None, fault) if fault else (cpu_levels.of_host(), None)


def _fault(keys: dict[str, str], built: dict[str, str]) -> str | None:
    if os.environ.get("FASTNN_PREBUILT") == "0":
        return "FASTNN_PREBUILT is 0"
    if chosen := cache_key.settings():
        return f"{chosen[0]} is set, which may change code"
    own = cpu_levels.of_host()
    if own not in keys:
        return f"they are for {' and '.join(keys)}, and this CPU is {own or 'of another kind'}"
    if built != (here := cache_key.versions()):
        name = next(name for name in here if here[name] != built[name])
        return f"they were compiled by {name} {built[name]}, and {here[name]} is installed"
    if keys[own] != cache_key.of_level(own):
        return "the sources of the kernels were changed after they were compiled"
    return None
