"""The command line."""

from superpose.cli.program import main

__all__ = ["main"]
