"""What would be tracked: facts of events, what Mixpanel's limits and advice say of them, and what mends it."""
