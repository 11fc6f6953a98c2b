"""``python -m pocketface``, and the console script of the same name."""

from __future__ import annotations


def main() -> None:
    """Run the command line; its exit status is 0 if all went well, 1 on an error, 2 on a wrong call."""
    from .cli import cli

    cli()


if __name__ == "__main__":
    main()
