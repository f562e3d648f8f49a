"""One event: checked, repaired, completed."""
