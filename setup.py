"""Lets this project be shipped by its own command: `python setup.py bdist_platter`. Metadata: pyproject.toml."""

from setuptools import setup

setup()
