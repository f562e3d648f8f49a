"""A trigger's records, to the core, and the answer to the trigger: a source is a file."""
