"""`python -m sandbox.bucket`."""

from sandbox.bucket.server import main

if __name__ == "__main__":
    main()
