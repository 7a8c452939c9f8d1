"""Builds with an interpreter, and what the commands for finished bundles say of it."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from support import projects, relocated
from support.front_ends import info, unpack

if TYPE_CHECKING:
    from support.front_ends import Yard


DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def bundles(yard: Yard) -> tuple[Path, Path]:
    """One with an interpreter and one without."""
    project = projects.hello(yard.folder / "project")
    words = ("--with-python", relocated.poser(yard.folder / "python"))
    brings = yard.build(project, "-o", yard.folder / "with", *words)
    return brings, yard.build(project, "-o", yard.folder / "without")


def test_what_the_commands_say(bundles: tuple[Path, Path], yard: Yard) -> None:
    brings, lacks = bundles
    yard.platter("verify", brings, cwd=yard.folder)
    folder = unpack(brings, yard.folder / "server")
    about = info(folder)["interpreter"]
    assert hashlib.sha256((folder / "data" / about["file"]).read_bytes()).hexdigest() == about["sha256"]
    name = about["file"].removeprefix("python/").removesuffix(".tar.gz")

    found: dict[str, Any] = json.loads(yard.platter("inspect", "--json", brings, cwd=yard.folder).stdout)
    jsonschema.validate(found, json.loads((DOCS / "inspect.schema.json").read_text()))
    assert found["interpreter"] == about
    assert f"brings     cpython {about['version']}, " in yard.platter("inspect", brings, cwd=yard.folder).stdout

    bill = yard.platter("inspect", "--sbom", brings, cwd=yard.folder).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    (component,) = [one for one in json.loads(bill)["components"] if one["type"] == "platform"]
    assert (component["name"], component["version"]) == ("cpython", about["version"])
    assert component["properties"] == [{"name": "platter:licence-file", "value": f"lib/{relocated.MINOR}/LICENSE.txt"}]

    words = ("audit", "--allow-licence=MIT", "--licence=hello=MIT", "--licence=leaf=MIT")
    unseen = f"warning: not looked at: the interpreter that the bundle brings, CPython {about['version']}\n"
    assert yard.platter(*words, lacks, cwd=yard.folder).stderr.startswith("hello 1.0: licences as wanted in ")
    assert yard.platter(*words, brings, cwd=yard.folder).stderr.startswith(unseen)

    done = yard.platter("diff", "--json", lacks, brings, cwd=yard.folder, code=1)
    found = json.loads(done.stdout)
    jsonschema.validate(found, json.loads((DOCS / "diff.schema.json").read_text()))
    assert found["facts"] == {"interpreter": {"old": "", "new": name}}
    assert not found["files"]


def test_an_interpreter_that_was_exchanged(bundles: tuple[Path, Path], yard: Yard) -> None:
    folder = unpack(bundles[0], yard.folder / "server")
    path = folder / "data" / info(folder)["interpreter"]["file"]
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("python/SHA256SUMS"))
    said = yard.platter("verify", folder, cwd=yard.folder, code=5).stderr
    assert "has another hash or size" in said
