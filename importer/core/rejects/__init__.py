"""Rejects: made, folded where they are too many, and stored."""
