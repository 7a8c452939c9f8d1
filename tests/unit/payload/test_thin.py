"""thin.json: what it may say."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload import checksums, manifest, thin, untrusted
from platter_setuptools.payload.errors import BundleError
from support import handmade

if TYPE_CHECKING:
    from pathlib import Path

BAD: tuple[Any, ...] = ("", "../x", None, 1, [])
BASE = {"name": "tiny", "version": "0.9", "sha256": "ab" * 32}
WHEEL, BYTECODE = "data/tiny-1.0-py3-none-any.whl", "data/bytecode/tiny-1.0-py3-none-any.{}.zip"


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> tuple[dict[str, str], manifest.Manifest]:
    """The checksums and the manifest of a bundle, which also has a wheel and an archive that a build script added."""
    tmp_path = tmp_path / "made"
    bootstrap = tmp_path / "bootstrap"
    (bootstrap / "virtualenv").mkdir(parents=True)
    (bootstrap / "virtualenv" / "__init__.py").touch()
    bundle = handmade.bundle(tmp_path, [handmade.wheel(tmp_path)], bytecode=True, bootstrap=bootstrap)
    (bundle.data / "script-1.0-py3-none-any.whl").touch()
    (bundle.data / "bytecode" / "script.zip").touch()
    bundle.seal()
    return checksums.read(str(bundle.path)), manifest.read(str(bundle.path))


def text(**changes: Any) -> bytes:
    return json.dumps({"format": 1, "base": [BASE], "left_out": [WHEEL], **changes}).encode()


def test_what_it_says(made: tuple[dict[str, str], manifest.Manifest]) -> None:
    found = thin.parse(text(later="key"), *made)
    assert found == thin.Thin((thin.Base("tiny", "0.9", "ab" * 32),), frozenset({WHEEL}))
    assert thin.parse(text(base=[], left_out=[]), *made) == thin.Thin((), frozenset())


def test_a_file_of_that_name_that_the_checksums_list_is_a_scripts(
    made: tuple[dict[str, str], manifest.Manifest],
) -> None:
    sums, plan = made
    assert thin.find(text(), sums, plan) == thin.parse(text(), sums, plan)
    assert thin.find(None, sums, plan) is None
    assert thin.find(b"anything", {**sums, thin.FILE: "ab" * 32}, plan) is None


def test_what_a_folder_lacks(made: tuple[dict[str, str], manifest.Manifest], tmp_path: Path) -> None:
    assert thin.absent(str(tmp_path), *made) is None
    (tmp_path / thin.FILE).write_bytes(text(left_out=[WHEEL, "data/bootstrap/virtualenv/__init__.py"]))
    assert thin.absent(str(tmp_path), *made) == frozenset({WHEEL, "data/bootstrap/virtualenv/__init__.py"})
    (tmp_path / "data").mkdir()
    (tmp_path / WHEEL).touch()  # unpacked into the folder of the full bundle
    assert thin.absent(str(tmp_path), *made) == frozenset({"data/bootstrap/virtualenv/__init__.py"})
    (tmp_path / thin.FILE).unlink()
    (tmp_path / thin.FILE).mkdir()
    with pytest.raises(BundleError, match=r"thin\.json cannot be read"):
        thin.absent(str(tmp_path), *made)


def test_the_bootstrap_is_known_by_its_lines_without_the_payload(
    made: tuple[dict[str, str], manifest.Manifest],
) -> None:
    sums, _ = made
    name = "data/bootstrap/virtualenv/__init__.py"
    expected = hashlib.sha256(f"{sums[name]}  {name}\n".encode()).hexdigest()
    assert thin.bootstrap_sha256(sums) == expected
    assert thin.bootstrap_sha256({**sums, "install.sh": "ab" * 32}) == expected
    assert thin.bootstrap_sha256({**sums, name: "ab" * 32}) != expected


def test_what_may_be_left_out(made: tuple[dict[str, str], manifest.Manifest]) -> None:
    tag = handmade.running_target()["cache_tag"]
    assert thin.removable_files(*made) == {
        WHEEL: thin.WHEEL,
        BYTECODE.format(tag): thin.BYTECODE,
        "data/bootstrap/virtualenv/__init__.py": thin.BOOTSTRAP,
    }


@pytest.mark.parametrize(
    "name",
    [
        *("install.sh", "info.json", "SHA256SUMS", "SHA256SUMS.sig", "thin.json", "data/pylock.toml", "", "data"),
        *("data/bootstrap/platter_payload/__main__.py", "data/bootstrap/platter_payload/nowhere.py"),
        *("data/script-1.0-py3-none-any.whl", "data/bytecode/script.zip", "data/missing-1.0-py3-none-any.whl"),
        *("../tiny-1.0-py3-none-any.whl", "/etc/passwd", "data/bootstrap/../../install.sh", f"./{WHEEL}"),
        *("data/bootstrap/./platter_payload/__main__.py", "data/bootstrap//platter_payload/__main__.py"),
    ],
)
def test_what_may_not(made: tuple[dict[str, str], manifest.Manifest], name: str) -> None:
    with pytest.raises(BundleError, match=r"cannot be left out|not listed|could leave its folder"):
        thin.parse(text(left_out=[WHEEL, name]), *made)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"{}", b"\xff", b"[" * 9999, text()[:-1], text(format=2), text(format="1"), text(base={})),
        *(text(base=[{**BASE, key: value}]) for key in BASE for value in BAD),
        *(text(left_out=value) for value in (None, WHEEL, {WHEEL: 1}, [1], [[WHEEL]], [None])),
        text(left_out=[WHEEL] * (untrusted.FILES + 1)),
        text(base=[BASE] * (untrusted.WHEELS + 1)),
        text() + b" " * untrusted.LIST,
    ],
    ids=lambda content: content[:40].decode("latin-1"),
)
def test_what_is_not_understood(made: tuple[dict[str, str], manifest.Manifest], content: bytes) -> None:
    with pytest.raises(BundleError, match=r"thin\.json"):
        thin.parse(content, *made)
