"""`python -m sandbox.mixpanel`."""

from sandbox.mixpanel.app import main

if __name__ == "__main__":
    main()
