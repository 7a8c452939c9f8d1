"""Of several indexes the highest version wins, and who has a private index is told where that matters."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from support import handmade, projects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.front_ends import Yard
    from support.index import Index

SETUP = "from setuptools import setup\n\nsetup(name='hello', version='1.0', install_requires=['ours', 'theirs'])\n"


@pytest.fixture
def indexes(tmp_path: Path, open_index: Callable[..., Index]) -> tuple[Index, Index]:
    """A private index, and another one where somebody has published a higher version of a private name."""
    private, public = tmp_path / "private", tmp_path / "public"
    handmade.wheel(private, "ours")
    for version, folders in (("1.0", [private, public]), ("2.0", [public])):
        for folder in folders:
            handmade.wheel(folder, "theirs" if version == "1.0" else "ours", version)
    return open_index(private, user="me", password="s3cret"), open_index(public)


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_a_private_name_from_elsewhere(yard: Yard, tmp_path: Path, resolver: str, indexes: tuple[Index, Index]) -> None:
    project = projects.hello(tmp_path / "project", {"setup.py": SETUP})
    private, public = indexes
    words = ("build", "--format=dir", "--no-bytecode", "--resolver", resolver)
    said = yard.platter(*words, cwd=project, PIP_INDEX_URL=public.url, PIP_EXTRA_INDEX_URL=private.url).stderr
    address = private.url.replace("me:s3cret@", "").rstrip("/")
    assert said.count(f"ours 2.0: not from {address}, which has that name, too.") == 1
    # What is the same file on both, as the build's tools and this one are, is no rival.
    assert "theirs" not in said
    assert said.count("highest version wins") == 1
    assert "s3cret" not in said


def test_a_lock_is_told_as_well(yard: Yard, tmp_path: Path, indexes: tuple[Index, Index]) -> None:
    project = projects.hello(tmp_path / "project", {"setup.py": SETUP})
    private, public = indexes
    done = yard.platter("lock", cwd=project, PIP_INDEX_URL=public.url, PIP_EXTRA_INDEX_URL=private.url)
    assert "ours 2.0: not from" in done.stderr


def test_a_name_that_is_pinned(yard: Yard, tmp_path: Path, indexes: tuple[Index, Index]) -> None:
    private, public = indexes
    settings = f"""
        [tool.uv]
        index-strategy = "unsafe-best-match"
        [[tool.uv.index]]
        name = "private"
        url = "{private.url.replace("me:s3cret@", "")}"
        [[tool.uv.index]]
        name = "public"
        url = "{public.url}"
        default = true
        [tool.uv.sources]
        ours = {{ index = "private" }}
    """
    project = projects.declared(tmp_path / "project", "ours", more=textwrap.dedent(settings))
    words = ("build", "--format=dir", "--no-bytecode")
    login = {"UV_INDEX_PRIVATE_USERNAME": "me", "UV_INDEX_PRIVATE_PASSWORD": "s3cret"}
    done = yard.platter(*words, cwd=project, code=0, **login, PIP_INDEX_URL="")
    assert "highest version" not in done.stderr
    assert "ours-1.0-py3-none-any.whl" in private.fetched
