"""Bytes to records: a format is a file."""
