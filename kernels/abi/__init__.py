"""The tables that Python and compiled code share."""
