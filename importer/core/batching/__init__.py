"""Many small sources, such as messages: their events travel together."""
