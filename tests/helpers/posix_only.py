"""Tests that need signals, pipes, terminals and permissions as POSIX has them."""

import os

import pytest

needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
