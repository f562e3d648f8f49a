"""Amazon on this machine: S3, SQS and Lambda's way of running a handler."""
