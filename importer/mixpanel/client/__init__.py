"""The client of /import: what is sent, how fast, how often again, and what the answers say."""
