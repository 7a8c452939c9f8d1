from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import DestinationError
from platter_setuptools.payload.install.final_check import Answer, Distribution
from platter_setuptools.payload.wheels import contents, record

if TYPE_CHECKING:
    from pathlib import Path

SITE = "lib/python3.11/site-packages"
HASH = record.row("", b"abc")[1].partition("=")[2]


def write(folder: Path, name: str, files: dict[str, bytes]) -> Distribution:
    """A distribution as it is installed."""
    place = folder / SITE / f"{name}-1.0.dist-info"
    place.mkdir(parents=True)
    rows = [(f"{place.name}/RECORD", "", "")]
    for path, content in files.items():
        file = folder / SITE / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        rows.append(record.row(path, content))
    (place / "RECORD").write_bytes(record.dump(rows))
    return Distribution(name, "1.0", str(place.relative_to(folder)))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    a = write(folder, "a", {"a.py": b"abc", "../../../bin/a": b"#!", "both": b"1"})
    b = write(folder, "b", {"b.py": b"abc", "both": b"22", "empty.py": b""})
    answer = Answer(str(folder), os.__file__, {"_ssl": "", "_sqlite3": "libsqlite3.so"}, [b, a])
    contents.write(str(folder), contents.of(str(folder), answer))
    return folder


def changes(folder: Path) -> list[str]:
    return list(contents.changes(str(folder)))


def test_what_was_written_is_read(release: Path) -> None:
    known = contents.read(str(release))
    assert known is not None
    assert (known.path, known.library, known.modules) == (str(release), os.__file__, ["_ssl"])
    assert [one.name for one in known.distributions] == ["a", "b"]
    assert (release / contents.FILE).stat().st_mode & 0o777 == 0o644


def test_as_it_was_installed(release: Path) -> None:
    assert changes(release) == []


def test_bytecode_may_have_any_size(tmp_path: Path) -> None:
    """Python replaces it when its module is newer. But what post-install.sh did to it is known."""
    found = write(tmp_path, "a", {"a.py": b"abc", "__pycache__/a.pyc": b"abc"})
    recorded = tmp_path / found.place / "RECORD"
    recorded.write_text(recorded.read_text().replace("pyc,sha256=" + HASH + ",3", "pyc,sha256=" + HASH + ","))
    answer = Answer(str(tmp_path), os.__file__, {}, [found])
    since = contents.write(str(tmp_path), contents.of(str(tmp_path), answer))
    (tmp_path / SITE / "__pycache__/a.pyc").write_bytes(b"longer")
    assert changes(tmp_path) == []
    altered = contents.after(str(tmp_path), answer, since).altered
    assert altered == {f"{SITE}/__pycache__/a.pyc": record.row("", b"longer")[1]}


def test_a_release_of_an_earlier_installer(tmp_path: Path) -> None:
    write(tmp_path, "a", {"a.py": b"abc"})
    assert contents.read(str(tmp_path)) is None
    assert changes(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "\0" * 100, '{"path": 1}', "[" * 100_000])
def test_a_file_of_ours_that_is_not_whole(release: Path, text: str) -> None:
    (release / contents.FILE).write_text(text)
    assert changes(release) == [".platter-contents.json is not whole"]


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        (
            "lib/python3.11/site-packages/a.py",
            b"",
            "lib/python3.11/site-packages/a.py is not what was installed: it has 0",
        ),
        ("bin/a", b"#!x", "bin/a is not what was installed: it has 3"),
        ("bin/a", None, "bin/a is missing"),
        (f"{SITE}/a-1.0.dist-info/RECORD", b"", f"{SITE}/a-1.0.dist-info/RECORD is not what was installed"),
        (f"{SITE}/a-1.0.dist-info/RECORD", None, f"a 1.0 is missing: there is no {SITE}/a-1.0.dist-info/RECORD"),
        (f"{SITE}/c-1.0.dist-info/METADATA", b"", f"{SITE}/c-1.0.dist-info was not installed from the bundle"),
    ],
)
def test_what_changed(release: Path, file: str, content: bytes | None, text: str) -> None:
    if content is None:
        (release / file).unlink()
    else:
        (release / file).parent.mkdir(exist_ok=True)
        (release / file).write_bytes(content)
    (found,) = changes(release)
    assert found.startswith(text)
    (finding,) = contents.examine(str(release))
    assert finding.kind is DestinationError
    assert "--force" in finding.hint


def test_a_link_in_place_of_a_file(release: Path) -> None:
    (release / "bin" / "a").unlink()
    (release / "bin" / "a").symlink_to(release / SITE / "both")
    assert "bin/a is not what was installed" in changes(release)[0]


def test_moved(release: Path) -> None:
    link = release.parent / "link"
    link.symlink_to(release)
    assert changes(link) == []
    moved = release.rename(release.parent / "moved")
    assert f"it was installed as {release}, and moved: its scripts start nothing" in changes(moved)[0]
    release.mkdir()
    assert "its scripts start what is there" in changes(moved)[0]
    release.rmdir()
    release.symlink_to(moved)  # as the scripts' first lines want it
    assert changes(moved) == []


def test_few_of_many_are_shown(tmp_path: Path) -> None:
    one = write(tmp_path, "a", {f"{number}.py": b"x" for number in range(30)})
    contents.write(str(tmp_path), contents.of(str(tmp_path), Answer(str(tmp_path), "", {}, [one])))
    for path in (tmp_path / SITE).glob("*.py"):
        path.unlink()
    texts = [one.text for one in contents.examine(str(tmp_path))]
    assert (len(texts), texts[-1]) == (11, "and 20 more")


def test_what_post_install_altered_is_as_it_was_installed(release: Path) -> None:
    known = contents.read(str(release))
    assert known is not None
    answer = Answer(known.path, "", {}, [Distribution(one.name, one.version, one.place) for one in known.distributions])
    (release / SITE / "b.py").write_bytes(b"changed before: not by it")
    time.sleep(0.02)  # the clock of filesystems ticks every 4 ms, or 10
    since = contents.write(str(release), known)
    (release / SITE / "a.py").write_bytes(b"edited")
    (release / "bin" / "a").unlink()
    contents.write(str(release), contents.after(str(release), answer, since))
    after = contents.read(str(release))
    assert after is not None
    assert after.altered == {f"{SITE}/a.py": record.row("", b"edited")[1], "bin/a": ""}
    assert [text.partition(" ")[0] for text in changes(release)] == [f"{SITE}/b.py"]
