"""What a release keeps of its bundle for its scripts: of a folder and of a bundle that is one file."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.install import activation_scripts

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "pre-activate.sh": "true\n",
    "install.sh": "#!/bin/sh\n# Installs this bundle\n# Installs this bundle\n",
    "VERSION": "1.0\n",
    "data/leaf-1.0-py3-none-any.whl": "",
    "data/bytecode/leaf.zip": "",
    "data/bootstrap/virtualenv/a.py": "",
    "data/bootstrap/platter_payload/a.py": "",
    "data/pylock.toml": "x",
    "data/etc/a b": "y",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle as build scripts may make it: with links, an empty folder, a program."""
    made = tmp_path / "app-1.0"
    for name, text in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    (made / "data" / "empty").mkdir()
    (made / "data" / "tool").write_text("#!/bin/sh\n")
    (made / "data" / "tool").chmod(0o700)  # as tar unpacks it with a umask of 077
    (made / "data" / "etc" / "tool").symlink_to("../tool")
    (made / "data" / "folder").symlink_to("etc")
    (made / "data" / "version").symlink_to("../VERSION")
    return made


def sums_of(bundle: Path) -> dict[str, str]:
    files = (path for path in bundle.rglob("*") if path.is_file())
    return {str(path.relative_to(bundle)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def kept(release: Path) -> dict[str, str]:
    """What is there: the content of files with their modes, or where links lead."""
    found = {}
    for path in sorted((release / ".platter-scripts").rglob("*")):
        mode = f"{path.lstat().st_mode & 0o777:o}"
        text = f"-> {path.readlink()}" if path.is_symlink() else "" if path.is_dir() else path.read_text()
        found[str(path.relative_to(release / ".platter-scripts"))] = text if path.is_symlink() else f"{mode} {text}"
    return found


EXPECTED = {
    "data": "755 ",
    "data/empty": "755 ",
    "data/etc": "755 ",
    "data/etc/a b": "644 y",
    "data/etc/tool": "-> ../tool",
    "data/folder": "-> etc",
    "data/pylock.toml": "644 x",
    "data/tool": "755 #!/bin/sh\n",
    "data/version": "644 1.0\n",  # it would lead nowhere
}


def test_of_a_folder(bundle: Path, tmp_path: Path) -> None:
    (bundle / "pre-activate.sh").chmod(0o755)
    activation_scripts.keep(str(bundle), sums_of(bundle), str(tmp_path / "release"))
    assert kept(tmp_path / "release") == {**EXPECTED, "pre-activate.sh": "755 true\n"}


def test_nothing_without_a_script(bundle: Path, tmp_path: Path) -> None:
    (bundle / "pre-activate.sh").unlink()
    activation_scripts.keep(str(bundle), sums_of(bundle), str(tmp_path / "release"))
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize("name", ["pre-activate.sh", "data/etc/a b"])
def test_what_was_altered(bundle: Path, tmp_path: Path, name: str) -> None:
    sums = sums_of(bundle)
    (bundle / name).write_text("other")
    with pytest.raises(BundleError, match="altered"):
        activation_scripts.keep(str(bundle), sums, str(tmp_path / "release"))


def test_nothing_is_written_through_a_link(bundle: Path, tmp_path: Path) -> None:
    """Of a folder that somebody made there before."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / ".platter-scripts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        activation_scripts.keep(str(bundle), sums_of(bundle), str(tmp_path / "release"))
    assert os.listdir(tmp_path / "elsewhere") == []  # noqa: PTH208
