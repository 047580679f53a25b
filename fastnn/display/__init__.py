"""What terminals and notebooks show."""
