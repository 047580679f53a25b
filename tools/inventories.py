"""Bring the names of other projects in ``docs/inventories/`` up to date, which needs the network.

::

    python tools/inventories.py [python numpy ...]

Each file holds the lines of a Sphinx inventory for the names that the site links to. A new name is a line
with its name and role, such as ``numpy.dtype py:class``; the rest of each line is taken from the project's
inventory. A name that is no longer there is an error.
"""

import argparse
import sys
import urllib.request
import zlib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "inventories"


def names_and_roles(line):
    """Split ``NAME ROLE PRIORITY URI TITLE`` behind the role; a name may have spaces, a role has a colon."""
    words = line.split(" ")
    end = next(i for i, word in enumerate(words) if i and ":" in word) + 1
    return " ".join(words[:end])


def trimmed(inventory, lines):
    """The lines of an inventory, as it is downloaded, for the names and roles of `lines`."""
    *header, body = inventory.split(b"\n", 4)
    if header[0] != b"# Sphinx inventory version 2":
        raise ValueError(f"this is no inventory of Sphinx's version 2: {header[0]!r}")
    there = {names_and_roles(line): line for line in zlib.decompress(body).decode().splitlines()}
    wanted = [names_and_roles(line) for line in lines]
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ValueError(f"not in the inventory: {', '.join(missing)}")
    return sorted(there[name] for name in wanted)


def main():
    """Rewrite the files of the projects that are named, or of all."""
    sys.path.insert(0, str(ROOT / "docs"))
    from _site import PROJECTS

    parser = argparse.ArgumentParser(description="Update docs/inventories/.")
    parser.add_argument("projects", nargs="*", default=list(PROJECTS), metavar="project")
    for name in parser.parse_args().projects:
        file = FOLDER / f"{name}.txt"
        with urllib.request.urlopen(f"{PROJECTS[name]}objects.inv", timeout=60) as answer:
            lines = trimmed(answer.read(), file.read_text(encoding="utf-8").splitlines())
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{file.relative_to(ROOT)}: {len(lines)} names")


if __name__ == "__main__":
    main()
