"""A web application in releases that bring a real gunicorn: an index is needed to build them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from support.front_ends import PLATTER, unpack
from support.projects import write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OLD, NEW, BROKEN = "1.0", "1.1", "1.2"
_PYPROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "yourapp"
    version = "{version}"
    dependencies = ["gunicorn{gunicorn}"]

    [tool.platter]
    no-pip = true
"""
_APP = """
    import gunicorn

    VERSION = "{version}"


    def app(environ, start_response):
        text = f"{{VERSION}} with gunicorn {{gunicorn.__version__}}"
        if environ["PATH_INFO"] == "/late":
            from yourapp import late  # as code does that seldom needs a module

            text += f", late {{late.VERSION}}"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]
"""


def root(folder: Path) -> Path:
    """Install all three releases, and activate the old one. Gives the root."""
    for version, other in ((OLD, "<24"), (NEW, ">=24"), (BROKEN, ">=24")):
        app = "raise SystemError('it does not start')\n" if version == BROKEN else _APP.format(version=version)
        files = {
            "pyproject.toml": _PYPROJECT.format(version=version, gunicorn=other),
            "yourapp/__init__.py": app,
            "yourapp/late.py": f'VERSION = "{version}"\n',
        }
        project = write(folder / version, files)
        built = _run(PLATTER, "build", "--quiet", project).removesuffix("\n")
        bundle = unpack(project / built, folder / "bundles")
        words: list[str | Path] = ["-p", sys.executable, "--root", folder / "root", "--no-activate"]
        _run(bundle / "install.sh", *words)
    _run(folder / "root" / "platter", "activate", OLD)
    return folder / "root"


def command(root: Path, program: Sequence[str], *, activated: bool) -> list[str | Path]:
    """The words that start it; without a socket unit it listens at `{port}`."""
    bind = [] if activated else ["--bind=127.0.0.1:{port}"]
    return [root / "versions/current/bin" / program[0], *program[1:], "--workers=2", *bind, "yourapp:app"]


def _run(*words: str | Path) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout
