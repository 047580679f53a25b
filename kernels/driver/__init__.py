"""The walk over the tables."""
