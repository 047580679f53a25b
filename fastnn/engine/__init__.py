"""A network as tables and memory, and the calls of compiled code with it."""
