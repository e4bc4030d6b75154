"""``python -m kiro2api``: arguments and environment in, exit code out."""

import sys

from kiro2api.cli import run_command


def main() -> int:
    """Runs the command line; what it returns is the exit code."""
    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
