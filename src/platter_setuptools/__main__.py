"""`python -m platter_setuptools` is `platter`."""

import sys

from platter_setuptools.cli.command_line import program

if __name__ == "__main__":
    sys.exit(program())
