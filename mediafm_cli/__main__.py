"""``mediafm`` and ``python -m mediafm_cli``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from mediafm_cli.cli.app import app

    app(prog_name="mediafm")


if __name__ == "__main__":
    main()
