"""What `ROOT/platter have` prints."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from platter_setuptools.payload.install import install_state
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


def test_the_targets_of_complete_releases(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = roots.make(tmp_path, "1.0", "1.1", "1.2")
    targets = {"1.0": "cp310-linux_x86_64", "1.1": "cp311-linux_x86_64", "1.2": "cp311-linux_x86_64"}
    roots.release(root, "1.3", state="unfinished")
    for version, target in {**targets, "1.3": "cp312-linux_x86_64"}.items():
        marker = install_state.read(root.folder(version))
        assert marker
        install_state.write(root.folder(version), marker._replace(target=target))
    assert releases_cli.main(["have"], str(tmp_path / "root" / "platter")) == 0
    expected = [f"{hashlib.sha256(one.encode()).hexdigest()}  target  {one}" for one in sorted(set(targets.values()))]
    assert capfd.readouterr().out.splitlines() == expected
