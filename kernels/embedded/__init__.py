"""A network in a user's own compiled code."""
