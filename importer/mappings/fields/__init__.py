"""The fields of an event as Mixpanel wants them, for all mappings alike."""
