"""Records to events: a vendor is a file, and what users write themselves is a mapping file or a function."""
