"""Benchmarks: the table of workloads, one trainer per peer, and the comparison."""
