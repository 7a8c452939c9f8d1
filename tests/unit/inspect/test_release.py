"""The distributions of an installed release, found without running its Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import BundleError
from platter_setuptools.inspect.release import distributions, is_release, read_release, uses_system_packages
from platter_setuptools.payload.install import install_state
from support import handmade

if TYPE_CHECKING:
    from pathlib import Path

ASK = (
    "import importlib.metadata, json;"
    "print(json.dumps(sorted((one.metadata['Name'], one.version) for one in importlib.metadata.distributions())))"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    wheels = [handmade.wheel(folder, "app"), handmade.wheel(folder, "Big.Leaf"), handmade.pip_wheel(folder)]
    done = handmade.run(handmade.bundle(folder, wheels), "--quiet", folder / "1.0")
    assert done.returncode == 0, done.stderr
    return folder / "1.0"


def site(release: Path) -> Path:
    (found,) = release.glob("lib/python*/site-packages")
    return found


def test_it_finds_what_importlib_finds(installed: Path) -> None:
    """Also what came there in other ways than by install.sh."""
    egg = site(installed) / "old_egg-2.0.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: old-egg\nVersion: 2.0\n\nText\n")
    (site(installed) / "flat.egg-info").write_text("Metadata-Version: 1.0\nName: flat\nVersion: 0.1\n")
    left = site(installed) / "~eft-1.dist-info"
    left.mkdir()
    (left / "METADATA").write_text("Metadata-Version: 2.1\nName: left\nVersion: 1\n")
    said = subprocess.run([installed / "bin" / "python", "-Ic", ASK], check=True, capture_output=True, text=True).stdout
    found = sorted([one["name"], one["version"]] for one in distributions(installed))
    assert found == json.loads(said)
    assert {"app", "Big.Leaf", "pip", "old-egg", "flat", "left"} == {name for name, _ in found}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Name: bad\n",
        "Name: b@d\nVersion: 1.0\n",
        "Name: b\n  ad\nVersion: 1.0\n",
        "Version: 1.0\n",
        "Name: bad\nVersion: one\n",
        "x" * (1 << 20),
        None,
    ],
)
def test_a_distribution_that_does_not_say_what_it_is(tmp_path: Path, text: str | None) -> None:
    info = tmp_path / "lib" / "python3.12" / "site-packages" / "bad-1.0.dist-info"
    info.mkdir(parents=True)
    if text is not None:
        (info / "METADATA").write_text(text)
    with pytest.raises(BundleError, match=r"bad-1\.0\.dist-info has no metadata that can be read"):
        list(distributions(tmp_path))


def test_links_and_pipes_are_not_read(tmp_path: Path) -> None:
    info = tmp_path / "lib" / "python3.12" / "site-packages" / "bad-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "secret").write_text("Name: secret\nVersion: 1.0\n")
    (info / "METADATA").symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError, match="has no metadata"):
        list(distributions(tmp_path))
    (info / "METADATA").unlink()
    os.mkfifo(info / "METADATA")
    with pytest.raises(BundleError, match="has no metadata"):
        list(distributions(tmp_path))


def test_lib64_counts_once(tmp_path: Path) -> None:
    info = tmp_path / "lib" / "python3.12" / "site-packages" / "good-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: good\nVersion: 1.0\n")
    (tmp_path / "lib64").symlink_to("lib")
    assert [one["name"] for one in distributions(tmp_path)] == ["good"]


def test_whether_it_is_one(installed: Path, tmp_path: Path) -> None:
    assert is_release(installed)
    assert read_release(installed).version == "1.0"
    assert not is_release(tmp_path)
    assert not is_release(installed / install_state.FILE)
    marker = json.loads((installed / install_state.FILE).read_text())
    (tmp_path / install_state.FILE).write_text(json.dumps({**marker, "state": "unfinished"}))
    assert is_release(tmp_path)
    with pytest.raises(BundleError, match="not a complete release"):
        read_release(tmp_path)
    (tmp_path / install_state.FILE).write_text("{")
    with pytest.raises(BundleError, match="not a complete release"):
        read_release(tmp_path)


def test_packages_of_the_system(installed: Path, tmp_path: Path) -> None:
    assert not uses_system_packages(installed)
    assert not uses_system_packages(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", tmp_path / "v"], check=True
    )
    assert uses_system_packages(tmp_path / "v")
