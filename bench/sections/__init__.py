"""What is measured: a section is a file."""
