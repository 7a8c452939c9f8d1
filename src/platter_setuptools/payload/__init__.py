"""What runs on the server: the standard library only, Python 3.8 and newer.

A bundle carries these files as they are, under the name ``platter_payload``, so imports between them are relative.
``install.sh`` finds a fitting Python and starts ``__main__.py``; ``install.py`` is the page to read first.
"""
