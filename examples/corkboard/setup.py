"""What pyproject.toml cannot say: the C extension and the script. The rest of the metadata stands there."""

from setuptools import Extension, setup

setup(
    ext_modules=[Extension("corkboard._trigrams", ["src/corkboard/_trigrams.c"])],
    scripts=["bin/corkboard-backup"],
)
