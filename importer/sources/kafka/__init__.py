"""Kafka as a source: a member of a consumer group, which commits what is settled and nothing beyond it."""
