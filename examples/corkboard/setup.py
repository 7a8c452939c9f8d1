"""What pyproject.toml cannot say: the C extension and the script. The rest of the metadata stands there."""

from setuptools import Extension, setup

setup(
    # -g0: debugging information would name the folder it was compiled in, and make every folder's wheel another one.
    ext_modules=[Extension("corkboard._trigrams", ["src/corkboard/_trigrams.c"], extra_compile_args=["-g0"])],
    scripts=["bin/corkboard-backup"],
)
