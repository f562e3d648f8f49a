"""What is measured against what: a contender is a file."""
