"""The commands of ``python -m fastnn``.

``warmup`` compiles ahead, ``cache`` shows and clears what is kept, ``export-c`` writes a saved model as a C
file, ``info`` says what runs, ``playground`` opens a page on which networks are trained.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import NoReturn

from . import warmup
from .c import compiler
from .checks.hints import nearest
from .compiler import loader, notice, object_cache
from .display import info
from .io.load import load

_DTYPES = ["float32", "float64"]


class _Parser(argparse.ArgumentParser):
    """A parser that says which command or value may have been meant."""

    def error(self, message: str) -> NoReturn:
        found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)$", message)
        near = nearest(found[1], re.findall(r"[\w-]+", found[2])) if found else ""
        super().error(message + near)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="python -m fastnn", description="Compiled kernels, models as C, a playground.")
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
    export = commands.add_parser(
        "export-c", help="write a saved model as a C file, and check that if it can be"
    )
    export.add_argument("model", help="a file that Model.save wrote")
    export.add_argument("path", help="the C file: net.h")
    export.add_argument("--prefix", help="of all names in it (default: the file's name)")
    export.add_argument("--weights", choices=["static", "separate"], default="static", help="where they are")
    export.add_argument("--probabilities", action="store_true", help="give probabilities of classes")
    commands.add_parser("info", help="versions, CPU, cache and prebuilt kernels, for reports of faults")
    page = commands.add_parser("playground", help="open a page in the browser on which networks are trained")
    page.add_argument("--port", type=_port, default=0, help="of 127.0.0.1 (default: a free one)")
    page.add_argument("--no-browser", action="store_true", help="only print the address of the page")
    return parser.parse_args(argv)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 1 << 16:
        raise argparse.ArgumentTypeError(f"must be from 0 to {(1 << 16) - 1}, got {port}")
    return port


def _warmup(dtypes: list[str]) -> int:
    compiled = loader.prepare((entry for dtype in dtypes for entry in warmup.common(dtype)), for_host=True)
    print(f"{compiled} kernels compiled for {' and '.join(dtypes)}")
    if compiled and (fault := object_cache.fault()):
        print(f"none could be kept: {notice.with_remedy(fault)}", file=sys.stderr)
        return 1
    return _show()


def _show() -> int:
    for folder in filter(None, (object_cache.folder(), object_cache.shared_folder())):
        print(f"{folder}: {info.kernels(folder)}")
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


def _export_c(options: argparse.Namespace) -> int:
    try:
        compiler.command()
        check = True
    except RuntimeError as error:
        print(f"the file will not be checked: {error}", file=sys.stderr)
        check = False
    settings = {"prefix": options.prefix, "weights": options.weights, "probabilities": options.probabilities}
    print(load(options.model).to_c(options.path, check=check, **settings))
    return 0


def _playground(options: argparse.Namespace) -> int:
    try:
        from .playground import server

        server.run(options.port, not options.no_browser)
    except (ImportError, OSError) as error:  # no tornado, or the port is taken
        print(error, file=sys.stderr)
        return 1
    return 0


def _objects(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/fastnn.*.o"))


def main(argv: list[str]) -> int:
    """Run a command; the exit status."""
    options = _arguments(argv)
    try:
        if options.command == "warmup":
            return _warmup(list(dict.fromkeys(options.dtype or _DTYPES)))
        if options.command == "export-c":
            return _export_c(options)
        if options.command == "playground":
            return _playground(options)
        if options.command == "info":
            print("\n".join(info.lines()))
            return 0
        return _clear() if options.clear else _show()
    except RuntimeError as error:  # there is no home folder, or no compiler
        print(error, file=sys.stderr)
        return 1
    except (OSError, TypeError, ValueError) as error:  # of a model that cannot be read or written
        if options.command != "export-c":
            raise
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
