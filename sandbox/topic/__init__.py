"""A local topic that pushes to a function."""
