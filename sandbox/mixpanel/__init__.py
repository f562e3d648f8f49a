"""A stand-in for Mixpanel, and the live view of what it is sent."""
