"""Filters: what of an event may leave, whichever mapping made it."""
