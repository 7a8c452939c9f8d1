"""What `ROOT/platter have` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from platter_setuptools.payload.releases import releases_cli
from platter_setuptools.payload.wheels import kept
from support import handmade, roots, shelf

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_complete_releases_can_give(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = roots.make(tmp_path, "1.0", "1.1", "1.2")
    (tmp_path / "none").mkdir()
    dep = handmade.wheel(tmp_path, "dep")
    versions, none = ("1.0", "1.1", "1.2"), tmp_path / "none"
    made = {version: shelf.bundle(tmp_path, version, [dep], bootstrap=none) for version in versions}
    for version, bundle in made.items():
        one = shelf.install(bundle, tmp_path / "installed" / version)
        (one.path / kept.FOLDER).rename(f"{root.folder(version)}/{kept.FOLDER}")
    roots.release(root, "1.3", state="unfinished")
    (tmp_path / "root" / "versions" / "1.2" / ".platter-release.json").unlink()
    program = str(tmp_path / "root" / "platter")
    assert releases_cli.main(["have"], program) == 0
    said = capfd.readouterr().out.splitlines()
    wheels = [wheel for version in ("1.0", "1.1") for wheel in made[version].info["wheels"]]
    expected = {(one["sha256"], "wheel", one["file"]) for one in wheels}
    assert {tuple(line.split("  ")) for line in said if "  wheel  " in line} == expected
    assert len([line for line in said if "  bytecode  dep-1.0-py3-none-any." in line]) == 1
    assert len(said) == 2 * len(expected)
    assert releases_cli.main(["have", "--json"], program) == 0
    listed = json.loads(capfd.readouterr().out)
    assert [f"{one['sha256']}  {one['kind']}  {one['name']}" for one in listed] == said
    assert said == sorted(said, key=lambda line: line.split("  ")[1:])
