"""Progress of a long fit: a bar of tqdm's."""

from __future__ import annotations

import sys
from typing import Any


def wanted(verbose: Any) -> bool:
    """Whether to show progress: "auto" is a bar in a terminal or notebook and silence elsewhere."""
    if isinstance(verbose, str):
        if verbose != "auto":
            raise ValueError(f"verbose must be 'auto', 0 or 1, got {verbose!r}")
        return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    if verbose not in (0, 1):
        raise ValueError(f"verbose must be 'auto', 0 or 1, got {verbose!r}")
    return bool(verbose)


class Progress:
    """A bar that counts epochs and shows the latest figures.

    Parameters
    ----------
    epochs : int
        In all.
    """

    def __init__(self, epochs: int) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(total=epochs, unit="epoch")

    def update(self, epochs: int, figures: dict[str, float]) -> None:
        """Show that so many epochs are done, and their last figures."""
        self._bar.set_postfix({name: f"{value:.4g}" for name, value in figures.items()}, refresh=False)
        self._bar.update(epochs - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
