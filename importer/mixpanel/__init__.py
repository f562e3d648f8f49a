"""The destination: all that knows Mixpanel."""
