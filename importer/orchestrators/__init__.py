"""The importer in tools that schedule: a file a tool, each around `commands.process`. None knows of events."""
