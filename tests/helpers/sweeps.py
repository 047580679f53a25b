"""Sweeps over many cases, of which `make test` tries a sample and `make test-all` the rest."""

import pytest


def sampled(cases, every):
    """Mark all but each `every`-th case as `sweep`; for `pytest.mark.parametrize` of one argument."""
    return [
        case if number % every == 0 else pytest.param(case, marks=pytest.mark.sweep)
        for number, case in enumerate(cases)
    ]
