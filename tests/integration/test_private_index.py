"""An index that wants a password gets it, and nobody else does."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from support import handmade, projects
from support.doors import unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.doors import Yard
    from support.index import Index

USER, PASSWORD = "somebody", "s3cr%3At-t0ken"
SECRETS = ("s3cr%3At-t0ken", "s3cr:t-t0ken", "c29tZWJvZHk6")


@pytest.mark.parametrize("resolver", ["uv", "pip"])
@pytest.mark.parametrize("where", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"])
def test_the_password_opens_the_index_and_goes_nowhere_else(
    yard: Yard, tmp_path: Path, open_index: Callable[..., Index], resolver: str, where: str
) -> None:
    handmade.wheel(tmp_path / "private", "secretive")
    index = open_index(tmp_path / "private", user=USER, password=PASSWORD.replace("%3A", ":"))
    url = index.url.replace("s3cr:t", "s3cr%3At")
    setup = (
        "from setuptools import setup\n\nsetup(name='hello', version='1.0', install_requires=['secretive', 'sour'])\n"
    )
    project = projects.hello(
        tmp_path / "project", {"setup.py": setup, "more.txt": f"--extra-index-url {url}\nbranch\n"}
    )
    environ = {
        "PIP_CONFIG_FILE": "/dev/null",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "PLATTER_BUILD_WHEEL_CACHE": str(tmp_path / "wheels"),
        where: url,
    }
    done = yard.platter(
        "build", "-v", "--format=dir", "--resolver", resolver, "-r", "more.txt", cwd=project, code=0, **environ
    )
    assert "secretive-1.0-py3-none-any.whl" in index.fetched
    bundle = unpack(project / "dist" / done.stdout.strip().rpartition("/")[2], tmp_path / "out")
    assert (bundle / "data" / "requirements.txt").read_text().startswith("--extra-index-url http://127.0.0.1:")
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr
        for path in [*bundle.rglob("*"), *(tmp_path / "wheels").rglob("*")]:
            if path.suffix == ".whl":
                with zipfile.ZipFile(path) as wheel:
                    assert not [name for name in wheel.namelist() if secret.encode() in wheel.read(name)]
            elif path.is_file():
                assert secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_a_wrong_password_is_not_told_either(
    yard: Yard, tmp_path: Path, open_index: Callable[..., Index], resolver: str
) -> None:
    index = open_index(user=USER, password="another")
    url = index.url.replace("another", PASSWORD)
    project = projects.hello(tmp_path / "project")
    said = yard.setup_py(
        project, "bdist_platter", f"--resolver={resolver}", code=1, UV_CACHE_DIR=str(tmp_path / "uv"), PIP_INDEX_URL=url
    )
    assert "leaf" in said.stderr
    assert "cannot be resolved" in said.stderr
    assert not any(secret in said.stdout + said.stderr for secret in SECRETS)
    assert not list(project.glob("dist/*.tar.gz"))
