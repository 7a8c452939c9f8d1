"""The kept bootstrap: it gives back what it was made from, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from platter_setuptools.payload.wheels import bootstrap

RUN, EMPTY = "data/bootstrap/virtualenv/run.py", "data/bootstrap/virtualenv/__init__.py"
FILES = {RUN: b"run = 1\n" * 99, EMPTY: b"", "data/bootstrap/distlib/\u00e4.pyc": b"\0\n\xff"}
PAYLOAD = "data/bootstrap/platter_payload/__main__.py"


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Path:
    for name, content in {**FILES, PAYLOAD: b"payload"}.items():
        path = tmp_path / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "bundle"


@pytest.fixture(name="kept")
def _kept(tmp_path: Path) -> str:
    bootstrap.keep(str(tmp_path / "kept"), FILES)
    return str(tmp_path / "kept")


def sums(**more: str) -> dict[str, str]:
    found = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    return {**found, PAYLOAD: "ab" * 32, "info.json": "cd" * 32, **more}


def test_from_the_bundle(bundle: Path) -> None:
    assert bootstrap.read(str(bundle), sums()) == FILES


def test_from_a_release(bundle: Path, kept: str, tmp_path: Path) -> None:
    assert bootstrap.have(kept) == {name: one for name, one in sums().items() if name in FILES}
    (bundle / RUN).unlink()
    assert bootstrap.read(str(bundle), sums(), [str(tmp_path / "nowhere"), kept]) == FILES
    (bundle / EMPTY).write_bytes(b"altered")
    assert bootstrap.read(str(bundle), sums(), [kept]) == FILES
    assert bootstrap.read(str(tmp_path), sums(), [kept]) == FILES


def test_what_is_nowhere(bundle: Path, kept: str) -> None:
    (bundle / RUN).unlink()
    found = {name: FILES[name] for name in FILES if name != RUN}
    assert bootstrap.read(str(bundle), sums()) == found
    assert bootstrap.names(sums()) - found.keys() == {RUN}
    assert bootstrap.read(str(bundle), {**sums(), "data/bootstrap/new.py": "ab" * 32}, [kept]) == FILES


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.replace(b"run = 1", b"run = 2"),
        lambda content: content[:-300],
        lambda _: b"",
        lambda _: b"\n",
        lambda _: b"[[" * 9999 + b"\n",
        lambda _: b"[[1, 2, 3]]\n",
        lambda _: b"[1]\n",
        lambda _: b"{}\n",
        lambda _: json.dumps([["../../escaped", -5], [RUN, "5"]]).encode() + b"\nxxxxx",
        None,
    ],
    ids=["altered", "cut off", "empty", "no index", "deep", "three", "number", "object", "sizes", "folder"],
)
def test_a_damaged_one_gives_nothing(bundle: Path, kept: str, damage: object) -> None:
    path = bundle.parent / "kept"
    content = path.read_bytes()
    path.unlink()
    if callable(damage):
        path.write_bytes(damage(content))
    else:
        path.mkdir()
    (bundle / RUN).unlink()
    assert RUN not in bootstrap.read(str(bundle), sums(), [kept])


def test_a_link_is_not_followed(bundle: Path, kept: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(kept)
    (bundle / RUN).unlink()
    assert RUN not in bootstrap.read(str(bundle), sums(), [str(tmp_path / "link")])


def test_one_that_is_the_same_is_shared(kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shared(name: str, wanted: dict[str, str]) -> bool:
        made = bootstrap.share(str(tmp_path / name), wanted, [str(tmp_path / "nowhere"), kept])
        assert os.path.lexists(tmp_path / name) == made
        return made

    assert Path(kept).stat().st_mode & 0o777 == 0o644
    assert shared("same", sums())
    assert (tmp_path / "same").samefile(kept)
    assert not shared("other", sums(**{RUN: "ab" * 32}))
    assert not shared("more", sums(**{"data/bootstrap/new.py": "ab" * 32}))
    content = Path(kept).read_bytes()
    Path(kept).write_bytes(content.replace(b"run = 1", b"run = 2"))
    assert not shared("altered", sums())
    Path(kept).write_bytes(content)

    def refused(*_: object, **__: object) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refused)
        assert not shared("no link", sums())
    monkeypatch.setattr(os, "geteuid", lambda: Path(kept).stat().st_uid + 1)
    assert not shared("of somebody else", sums())


def test_laid_out(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    assert bootstrap.lay_out(str(folder), FILES) == str(folder / "data" / "bootstrap")
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
