"""The peers, each trained the way a skilled user would train with it.

`bench.peers.<package>_peer` holds a class ``Trainer`` (see `bench.peers.trainer`) for each package.
A peer whose package is not installed is left out by name; its module is never imported.
"""

from __future__ import annotations

import importlib
import importlib.util

from .trainer import Trainer

#: Name of each peer -> the package it needs. The first is the one the others are compared with.
PACKAGES = {"fastnn": "fastnn", "NumPy": "numpy", "PyTorch": "torch", "JAX": "jax", "scikit-learn": "sklearn"}


def installed() -> dict[str, type[Trainer]]:
    """Name and trainer of each peer whose package is installed."""
    return {
        name: importlib.import_module(f"bench.peers.{package}_peer").Trainer
        for name, package in PACKAGES.items()
        if importlib.util.find_spec(package) is not None
    }


def missing() -> list[str]:
    """Names of the peers whose package is not installed."""
    return [name for name, package in PACKAGES.items() if importlib.util.find_spec(package) is None]
