"""Avro: its container files, read without a library, block by block."""
