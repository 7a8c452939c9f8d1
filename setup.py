"""Lets this project be shipped by its own command: `python setup.py bdist_platter`. The metadata is in pyproject.toml."""

from setuptools import setup

setup()
