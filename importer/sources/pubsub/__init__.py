"""Messages of Pub/Sub."""
