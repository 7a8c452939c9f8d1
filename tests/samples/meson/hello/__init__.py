import six

from hello import _native


def main():
    six.print_("hello from", _native.which())
