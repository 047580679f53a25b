"""``python -m fastnn warmup`` compiles ahead, ``python -m fastnn cache`` shows and clears what is kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import warmup
from .compiler import loader, notice, object_cache

_DTYPES = ["float32", "float64"]


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fastnn", description="Compiled kernels and their cache.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    command = commands.add_parser("warmup", help="compile the library's kernels now, for all later processes")
    command.add_argument(
        "--dtype",
        choices=_DTYPES,
        action="append",
        help="of the models that will be trained; may be given twice (default: both)",
    )
    cache = commands.add_parser("cache", help="say where the cache is and how large")
    cache.add_argument("--clear", action="store_true", help="delete all that is in it")
    return parser.parse_args(argv)


def _warmup(dtypes: list[str]) -> int:
    compiled = loader.prepare(entry for dtype in dtypes for entry in warmup.common(dtype))
    print(f"{compiled} kernels compiled for {' and '.join(dtypes)}")
    if compiled and (fault := object_cache.fault()):
        print(f"none could be kept: {notice.with_remedy(fault)}", file=sys.stderr)
        return 1
    return _show()


def _show() -> int:
    for folder in filter(None, (object_cache.folder(), object_cache.shared_folder())):
        files = _objects(folder)
        size = sum(path.stat().st_size for path in files)
        print(f"{folder}: {len(files)} kernels, {size / 1e6:.1f} MB")
    if fault := object_cache.fault():
        print(f"what is compiled is not kept: {fault}", file=sys.stderr)
    if fault := object_cache.shared_fault():
        print(f"the shared folder is not read: {fault}", file=sys.stderr)
    return 0


def _clear() -> int:
    """Delete cached objects, and folders that are empty then; nothing else."""
    files = _objects(object_cache.folder())
    for path in files:
        path.unlink(missing_ok=True)
    for place in {path.parent for path in files}:
        if not any(place.iterdir()):
            place.rmdir()
    print(f"{object_cache.folder()}: {len(files)} kernels deleted")
    return 0


def _objects(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/fastnn.*.o"))


def main(argv: list[str]) -> int:
    """Run a command; the exit status."""
    options = _arguments(argv)
    try:
        if options.command == "warmup":
            return _warmup(list(dict.fromkeys(options.dtype or _DTYPES)))
        return _clear() if options.clear else _show()
    except RuntimeError as error:  # there is no home folder, or no compiler
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
