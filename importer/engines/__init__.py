"""The importer inside engines: a file an engine. Many workers read and map; one to four senders are enough."""
