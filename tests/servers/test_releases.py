"""Two releases of an application on a bare Debian: deployed, rolled back and pruned by the server's own Python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .roots import NOBODY, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Bundle, NewServer

pytestmark = [pytest.mark.servers, pytest.mark.network]

HOME = "/srv/ferry"
PLATTER = f"{HOME}/platter"
FERRY = f"{HOME}/versions/current/bin/ferry"

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "ferry"
version = "{version}"

[project.scripts]
ferry = "ferry:main"

[tool.setuptools]
py-modules = ["ferry"]
"""


def project(folder: Path, version: str) -> Path:
    path = folder / f"ferry-{version}"
    path.mkdir()
    (path / "pyproject.toml").write_text(PYPROJECT.format(version=version), encoding="utf-8")
    (path / "ferry.py").write_text(f"def main():\n    print('ferry {version}')\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("user", [ROOT, NOBODY], ids=["root", "nobody"])
@pytest.mark.parametrize(("suite", "python"), [("bookworm", "3.11")])
def test_releases_on(suite: str, python: str, user: int, server: NewServer, bundle: Bundle, tmp_path: Path) -> None:
    debian = server(suite)
    for version in ("1.9", "1.10"):
        unpacked = debian.unpack(bundle(project(tmp_path, version), python), HOME, user=user)
        options = ["--root", HOME, "--health-check", "ferry", "--reload", f"{FERRY} >{HOME}/reloaded"]
        said = debian.check_run("./install.sh", *options, user=user, cwd=unpacked)
        assert f"ferry {version}\n" in said
    assert debian.check_run("cat", f"{HOME}/reloaded") == "ferry 1.10\n"
    assert "  reloading\n1.9 is active now, 1.10 was before.\n" in debian.check_run(PLATTER, "rollback", user=user)
    assert debian.check_run(FERRY, user=user) == "ferry 1.9\n"
    assert "1.10: as it was installed" in debian.check_run(PLATTER, "doctor", user=user)
    debian.check_run(PLATTER, "prune", "--keep", "1", user=user)
    listed = json.loads(debian.check_run(PLATTER, "list", "--json", user=user))
    assert [(one["version"], one["active"], one["previous"]) for one in listed] == [
        ("1.9", True, False),
        ("1.10", False, True),
    ]
    # The Python that they were installed with goes away; the program finds another one, and says what is wrong.
    debian.check_run("mv", "/usr/bin/python3.11", "/usr/bin/python3.99")
    debian.check_run("ln", "-sf", "python3.99", "/usr/bin/python3")
    run = debian.run(PLATTER, "doctor", user=user)
    assert (run.returncode, "expected 3.11 at /usr/bin/python3.11" in run.stderr) == (4, True), run.stderr
