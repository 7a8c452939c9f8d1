"""The installer, which runs on the server: the standard library only, Python 3.8 and newer.

A bundle contains these files unchanged, under the name `platter_payload`, so imports between them are relative.
`install.sh` finds a fitting Python and starts `__main__.py`; read `installation.py` first.
"""
