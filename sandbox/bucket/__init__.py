"""A local bucket that tells a function of each object written to it."""
