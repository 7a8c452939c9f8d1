"""Says hello."""

import six

__version__ = "1.0"


def main():
    six.print_("hello from flit-core")
