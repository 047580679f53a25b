"""Flat buffers."""
