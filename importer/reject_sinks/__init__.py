"""Where rejects are stored, beyond the log: a kind of place is a file."""
