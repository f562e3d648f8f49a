"""One source with an order, such as a file: it is imported, counted and marked in that order."""
