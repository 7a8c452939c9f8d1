"""What no bundle may carry is refused when it is built: wheels that lie, and secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support import handmade, projects
from support.front_ends import info, output

if TYPE_CHECKING:
    from pathlib import Path

    from support.front_ends import Yard

NEEDS = """
    from setuptools import setup

    setup(name="hello", version="1.0", py_modules=["hello"], install_requires={})
"""


def requiring(folder: Path, *requires: str) -> Path:
    return projects.hello(folder, {"setup.py": NEEDS.format(list(requires))})


def test_a_wheel_whose_record_lies(yard: Yard, tmp_path: Path) -> None:
    handmade.wheel(tmp_path / "links", "liar", drop=["liar.py"])
    project = requiring(tmp_path / "project", "leaf", "liar")
    said = yard.refuse(5, project, f"--pip-option=--find-links={tmp_path / 'links'}")
    assert "liar-1.0-py3-none-any.whl: liar.py is in its RECORD, but not in the wheel" in said
    assert "  hint: do not ship it" in said


def test_a_project_wheel_that_is_hostile(yard: Yard, tmp_path: Path) -> None:
    path = handmade.wheel(tmp_path, "evil", extra=[handmade.Member(name="../../evil.py")])
    assert "'../../evil.py' could leave its folder" in yard.refuse(5, tmp_path, path)


def test_two_distributions_with_one_file(yard: Yard, tmp_path: Path) -> None:
    for name in ("aaa", "zzz"):
        files = {"shared/__init__.py": f"WHO = {name!r}\n", f"shared/{name}.py": ""}
        handmade.wheel(tmp_path / "links", name, files=files)
    project = requiring(tmp_path / "project", "zzz", "aaa", "leaf")
    done = yard.platter("build", f"--pip-option=--find-links={tmp_path / 'links'}", cwd=project)
    warning = "warning: aaa and zzz both have site-packages/shared/__init__.py: zzz's will be installed\n"
    assert done.stderr.count("warning:") == done.stderr.count(warning) == 1
    (artifact,) = (project / "dist").glob("*.tar.gz")
    names = [wheel["name"] for wheel in info(artifact)["wheels"]]
    assert names.index("aaa") < names.index("zzz")
    for number in range(3):
        python = yard.install(artifact, name=f"server{number}") / "bin" / "python"
        assert output(python, "-c", "import shared, shared.aaa, shared.zzz; print(shared.WHO)") == "zzz"


def test_a_requirement_with_a_password(yard: Yard, tmp_path: Path) -> None:
    project = requiring(tmp_path / "project", "leaf @ https://me:s3cr3t@127.0.0.1:1/leaf-2.0-py3-none-any.whl")
    said = yard.refuse(5, project)
    assert "hello-1.0-py3-none-any.whl requires leaf from a URL with a user or password in it" in said
    assert "s3cr3t" not in said


def test_a_wheel_that_tells_where_it_came_from_with_the_password(yard: Yard, tmp_path: Path) -> None:
    origin = json.dumps({"url": "https://me:s3cr3t@host/app", "vcs_info": {}}).encode()
    member = handmade.Member(name="app-1.0.dist-info/direct_url.json", content=origin)
    said = yard.refuse(5, tmp_path, handmade.wheel(tmp_path, "app", extra=[member]))
    assert "app-1.0.dist-info/direct_url.json holds a URL with a user or password in it" in said
    assert "s3cr3t" not in said
