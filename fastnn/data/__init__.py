"""Samples, targets and weights: checked and converted."""
