"""What `fit` does between compiled calls."""
