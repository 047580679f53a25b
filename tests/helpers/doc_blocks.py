"""The pages of the documentation and their code blocks.

A comment in the line before a code block says what tests do with it:

- ``<!-- not run -->``: nothing;
- ``<!-- prints the next block -->``: it is run, and prints what the block after it shows;
- ``<!-- add to FILE -->``: it is added to the end of a file in a copy of the sources;
- ``<!-- add to FILE, and NAME to its TABLE -->``: there above the statement ``TABLE = ...``;
- ``<!-- replace in FILE: LINE -->``: it takes the place of that line there;
- ``<!-- check: NAME -->``: it is run there, after all of those.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# Pages for users: their code is run from top to bottom.
GUIDES = [
    "docs/scikit_learn.md",
    "docs/streams.md",
    "docs/data_and_pictures.md",
    "docs/files_and_formats.md",
    "docs/deploy.md",
    "docs/losses_of_rows.md",
    "docs/uncertainty.md",
    "docs/what_a_network_sees.md",
    "docs/derivatives.md",
    "docs/compiled_code.md",
    "docs/many_networks.md",
    "docs/callbacks.md",
    "docs/beyond_one_machine.md",
]
# The guide by task: the code of each section runs on its own.
TASKS = "docs/tasks.md"
# Pages of the site's folders that have code.
SITE = [
    "docs/index.md",
    "docs/start/first_network.md",
    "docs/start/which_interface.md",
    "docs/fields/tables.md",
    "docs/fields/images.md",
    "docs/fields/sequences.md",
    "docs/fields/control.md",
    "docs/fields/reinforcement_learning.md",
    "docs/fields/many_models.md",
    "docs/fields/embedded.md",
    "docs/fields/teaching.md",
]
DOCS = ["README.md", "docs/architecture.md", TASKS, *GUIDES, *SITE, "docs/what_you_can_rely_on.md"]
COMMENT = r"^<!-- (not run|prints the next block|(?:add to|replace in|check:) [^\n]+) -->$"
BLOCK = re.compile(rf"(?:{COMMENT}\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    path: str
    line: int
    comment: str
    language: str
    code: str

    def run(self, namespace):
        """Run as a part of its page, so that an error shows its line there."""
        source = "\n" * (self.line - 1) + self.code
        exec(compile(source, self.path, "exec"), namespace)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(path):
    text = read(path)
    return [
        Block(path, text.count("\n", 0, found.start(3)) + 1, found[1] or "", found[2], found[3])
        for found in BLOCK.finditer(text)
    ]


README, ARCHITECTURE = (blocks(path) for path in DOCS[:2])


def commented(instruction):
    """Blocks of the architecture by the rest of a comment that begins so."""
    found = [block for block in ARCHITECTURE if block.comment.startswith(instruction)]
    return [(block.comment.removeprefix(instruction).strip(), block) for block in found]
