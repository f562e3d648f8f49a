"""Parquet: columns, read by ranges and made rows."""
