"""CSV and TSV: rows of cells under a header."""
