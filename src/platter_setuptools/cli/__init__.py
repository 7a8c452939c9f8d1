"""The command line."""

from platter_setuptools.cli.command_line import main

__all__ = ["main"]
