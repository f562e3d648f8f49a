"""Mutants: whether the unit tests notice when a place in importer/ is changed. `make mutants` runs it."""
