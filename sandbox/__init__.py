"""Stand-ins for local work and tests: Mixpanel's /import, a bucket that fires events, and the demo that joins them."""
