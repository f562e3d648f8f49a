"""A local Kafka."""
