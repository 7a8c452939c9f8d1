import six


def main():
    six.print_("hello from poetry-core")
