"""`python -m sandbox.aws`: see `sandbox.aws.server`."""

from sandbox.aws.server import main

if __name__ == "__main__":
    main()
