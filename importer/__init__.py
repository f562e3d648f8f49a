"""Brings event data into Mixpanel: complete, once, fast, with nobody watching.

A source (`gcs`, `pubsub`) turns what its trigger delivers into records; the core (`importing`) checks each record,
puts the events in batches, sends them, and accounts for every one. The core knows no source and no cloud.
"""
