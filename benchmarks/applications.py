"""What is built and installed: small projects with real dependencies, and with many or huge synthetic ones."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A project with one module and one console script of its own name.

    The script imports `modules` and prints how many there are: who answers has them all, and they load.
    """

    name: str
    dependencies: tuple[str, ...]
    modules: tuple[str, ...]
    # What is to be compiled here although the index has wheels.
    from_source: tuple[str, ...] = ()
    version: str = "1.0"

    @property
    def answer(self) -> str:
        return f"{self.name} with {len(self.modules)} modules\n"

    def write(self, folder: Path, release: int) -> Path:
        """Write the project anew, with one line that is different in every release; gives its folder."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        setup = f"""\
            from setuptools import setup

            setup(
                name="{self.name}",
                version="{self.version}",
                py_modules=["{self.name}"],
                install_requires={list(self.dependencies)!r},
                entry_points={{"console_scripts": ["{self.name} = {self.name}:main"]}},
            )
            """
        module = f"""\
            import importlib

            RELEASE = {release}
            MODULES = {list(self.modules)!r}


            def main():
                found = [importlib.import_module(name) for name in MODULES]
                print("{self.name} with", len(found), "modules")
            """
        build_system = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        (folder / "setup.py").write_text(textwrap.dedent(setup), "utf-8")
        (folder / f"{self.name}.py").write_text(textwrap.dedent(module), "utf-8")
        (folder / "pyproject.toml").write_text(build_system, "utf-8")
        return folder


SMALL = Application(
    name="postcard",
    dependencies=("flask",),
    modules=("flask", "werkzeug", "jinja2", "markupsafe", "click", "itsdangerous", "blinker"),
)

LARGE = Application(
    name="depot",
    dependencies=(
        *("django", "djangorestframework", "celery[redis]", "psycopg[binary]", "gunicorn", "sentry-sdk", "boto3"),
        *("pillow", "requests", "cryptography", "pandas", "sqlalchemy", "pydantic", "rich", "lxml", "docopt"),
        *("python-json-logger", "uvicorn[standard]", "httpx", "jinja2", "markdown", "reportlab"),
    ),
    modules=(
        *("django", "rest_framework", "celery", "redis", "psycopg", "psycopg_binary", "gunicorn", "sentry_sdk"),
        *("boto3", "PIL.Image", "requests", "cryptography.fernet", "pandas", "sqlalchemy", "pydantic", "rich.console"),
        *("lxml.html", "docopt", "pythonjsonlogger", "uvicorn", "uvloop", "httpx", "jinja2", "markdown"),
        "reportlab.pdfgen.canvas",
    ),
)

# Small and large ones, in C and C++; all compile with a compiler and Python's headers alone.
COMPILED = Application(
    name="foundry",
    dependencies=("markupsafe", "psutil", "wrapt", "regex", "bitarray", "simplejson", "greenlet", "pyyaml"),
    modules=(
        *("markupsafe._speedups", "psutil", "wrapt", "regex", "bitarray", "simplejson._speedups", "greenlet"),
        "yaml._yaml",
    ),
    from_source=("markupsafe", "psutil", "wrapt", "regex", "bitarray", "simplejson", "greenlet", "pyyaml"),
)
COMPILED_QUICK = Application(
    name="foundry",
    dependencies=("markupsafe", "simplejson"),
    modules=("markupsafe._speedups", "simplejson._speedups"),
    from_source=("markupsafe", "simplejson"),
)


def swarm(names: Sequence[str]) -> Application:
    """One that needs this many tiny distributions, each with a package of its name."""
    modules = tuple(name.replace("-", "_") for name in names)
    return Application(name=f"swarm{len(names)}", dependencies=tuple(names), modules=modules)


HEAVY = Application(name="carrier", dependencies=("boulder",), modules=("boulder",))
