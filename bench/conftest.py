"""What both benchmark files need."""

from __future__ import annotations

import os
import sys

from bench import peers
from bench.compare import HANDICAPS

# Holds no tests, and looking for doctests would import peers that are not installed.
collect_ignore = ["peers"]


def pytest_report_header() -> list[str]:
    """Say which peers are missing and which settings slow one down."""
    lines = [f"benchmarks without {name}: it is not installed" for name in peers.missing()]
    # Unlike bench.compare, a running pytest cannot undo what its libraries have read while loading.
    lines += [
        f"benchmarks with {name}={os.environ[name]}: not a peer at its best"
        for name in HANDICAPS
        if name in os.environ
    ]
    return lines


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the tables that benchmarks have made, behind pytest-benchmark's own."""
    for module in [module for name, module in sorted(sys.modules.items()) if name.startswith("bench.test_")]:
        for line in getattr(module, "LINES", ()):
            terminalreporter.write_line(line)
