"""Objects by address: a cloud is a file."""
