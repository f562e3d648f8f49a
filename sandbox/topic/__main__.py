"""`python -m sandbox.topic`."""

from sandbox.topic.server import main

if __name__ == "__main__":
    main()
