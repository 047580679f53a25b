"""Machine code: compiled, cached, loaded."""
