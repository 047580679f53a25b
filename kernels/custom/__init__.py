"""User-defined functions in the compiled loop."""
