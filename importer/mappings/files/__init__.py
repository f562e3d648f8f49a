"""Mapping files: what users declare, read, checked and compiled once into a mapping."""
