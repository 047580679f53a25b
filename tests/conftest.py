"""What all tests need."""

import signal

import pytest

from fastnn import activations, losses, schedules

# A shell that runs a command in the background lets it ignore Ctrl-C, and so would the processes that
# the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_pieces_are_forgotten():
    """Activations, losses and schedules that a test, or a page's code, makes are not seen by the next."""
    tables = [(room.TABLE, dict(room.TABLE)) for room in (activations, losses, schedules)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)
