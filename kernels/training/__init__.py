"""Losses, metrics, penalties, optimizers and schedules."""
