"""Training by other processes, on this machine and on others."""
