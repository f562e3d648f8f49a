"""The vendors whose records are known: a file each, and beside it what it alone needs."""
