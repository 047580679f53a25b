"""What users give as data: checked, split and weighed before anything changes."""
