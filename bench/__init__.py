"""Benchmarks, and the generator of the events they use."""
