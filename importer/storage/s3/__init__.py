"""Amazon S3, and services that speak as it does."""
