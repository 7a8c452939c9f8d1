from importlib.resources import files

import six

__version__ = "1.0"


def main():
    print(six.ensure_str(files("hello").joinpath("greeting.txt").read_bytes()), end="")
