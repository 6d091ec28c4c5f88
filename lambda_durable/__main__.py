"""`python -m lambda_durable`: the command line, for an editor that starts modules."""

from .cli import main

if __name__ == "__main__":
    main()
