"""Settings, attributes and paths: checked before anything changes."""
