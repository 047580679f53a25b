"""Sweeps over many cases, of which `make test` tries a sample and `make test-all` the rest."""

import pytest


def sampled(cases, every):
    """Mark all but each `every`-th case as `sweep`; for `pytest.mark.parametrize`.

    A case is the value of one argument, or a tuple of several. Where rows of a table follow one another in
    groups, let `every` be no divisor of a group's size, so that the sample moves on within the groups.
    """
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=[pytest.mark.sweep] if number % every else [],
        )
        for number, case in enumerate(cases)
    ]
