"""Two builds of one source are the same bytes, in every format: whoever builds, wherever, and whenever."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.config.options import FORMATS
from support import clock, handmade, projects
from support.front_ends import PLATTER, listing, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faults.ledger import Trials
    from support.front_ends import Yard
    from support.handmade import Bundle

FILES = {
    **projects.c_extension("fast"),
    "bin/run": "#!/usr/bin/env python\nprint('run')\n",
    "setup.py": projects.MIXED_SETUP,
    "post": 'mkdir "$DATA_DIR/x"; umask 0; echo >"$DATA_DIR/x/y"; echo echo >"$INSTALL_SCRIPT"\n',
}


DERIVED = ("info.json", "data/pylock.toml", "data/sbom.cdx.json")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Who builds, where and when."""

    folder: str
    umask: int
    changed: int  # seconds since 1970
    environ: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()  # in front of the build


@functools.cache
def another_user() -> tuple[str, ...]:
    """A command prefix: somebody with another number, where the system lets us."""
    words = ("unshare", "--user", "--map-user=1234", "--map-group=1234")
    try:
        return words if subprocess.run([*words, "true"], check=False, capture_output=True).returncode == 0 else ()
    except OSError:
        return ()


def two_surroundings(folder: Path) -> list[Surroundings]:
    here = {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "USER": "one", "LOGNAME": "one"}
    there = {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "USER": "other", "LOGNAME": "other"}
    there |= clock.moved(folder, days=401)
    away = "or/there,maybe"  # debug information tells of folders with spaces: their names cannot be told to compilers
    return [
        Surroundings(folder="here", umask=0o022, changed=10**9, environ=here),
        Surroundings(folder=away, umask=0o077, changed=10**9 + 10**8, environ=there, command=another_user()),
    ]


def build(yard: Yard, folder: Path, around: Surroundings, front_end: str, kind: str) -> Path:
    """Write the project anew, and build it with caches that nobody has used before; gives the artifact."""
    before = os.umask(around.umask)
    try:
        project = projects.hello(folder / around.folder / "project", FILES)
    finally:
        os.umask(before)
    for path in project.rglob("*"):
        os.utime(path, (around.changed, around.changed))
    front_end_words = (
        [str(PLATTER), "build"] if front_end == "platter" else [sys.executable, "setup.py", "bdist_platter"]
    )
    caches = {"PLATTER_BUILD_WHEEL_CACHE": str(folder / around.folder / "wheels")}
    done = subprocess.run(
        [*around.command, *front_end_words, f"--format={kind}", "--postbuild-script=post", projects.FROM_SOURCE],
        cwd=project,
        env={**yard.environ, **around.environ, **caches},
        check=False,
        capture_output=True,
        text=True,
        umask=around.umask,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (artifact,) = (path for path in (project / "dist").iterdir() if path.suffix != ".whl")
    return artifact


def members(path: Path, scratch: Path) -> Iterator[tuple[str, object]]:
    """What a bundle consists of, name by name, and what the archives in it consist of."""
    found = listing(unpack(path, scratch))
    # Those that differ wherever another one does come last.
    for name in sorted(found, key=lambda name: (name == "SHA256SUMS", name in DERIVED, name)):
        mode, _time, content = found[name]
        yield name, mode
        if name.endswith((".whl", ".zip")):
            with zipfile.ZipFile(BytesIO(content)) as archive:
                for one in archive.infolist():
                    about = (one.date_time, one.external_attr, one.compress_type, one.extra, archive.read(one))
                    yield f"{name}: {one.filename}", about
        yield name, content
    if path.is_file() and ".tar" in path.suffixes and path.suffix != ".zst":
        with tarfile.open(path) as archive_of_all:
            for member in archive_of_all:
                yield member.name, member.get_info()


def first_difference(one: Path, other: Path, scratch: Path) -> str:
    """The name of the first member in which two bundles differ."""
    found = [list(members(path, scratch / str(number))) for number, path in enumerate((one, other))]
    for mine, theirs in zip(*found, strict=False):
        if mine != theirs:
            return f"{mine[0]} and {theirs[0]}: {str(mine[1])[:200]} and {str(theirs[1])[:200]}"
    return "the number of members, or what holds them together"


def same(one: Path, other: Path) -> bool:
    if one.is_dir():  # times are those of the files
        return listing(one) == listing(other)
    return one.read_bytes() == other.read_bytes()


def test_two_builds(trials: Trials, yard: Yard, tmp_path: Path) -> None:
    cases = list(itertools.product(FORMATS, ["command", "platter"]))
    trials.random.shuffle(cases)
    surroundings = two_surroundings(tmp_path)
    for trial in trials("two builds somewhere else, in every format", full=len(cases), few=1):
        with trial:
            kind, front_end = cases[trial.number]
            folder = tmp_path / f"{front_end}-{kind}"
            one, other = (build(yard, folder, around, front_end, kind) for around in surroundings)
            assert same(one, other), f"{front_end} {kind}: {first_difference(one, other, folder / 'unpacked')}"
            shutil.rmtree(folder)


def test_the_first_difference_is_named(bundle: Bundle, tmp_path: Path) -> None:
    one, other = (Path(shutil.copytree(bundle.path, tmp_path / name)) for name in ("one", "other"))
    assert same(one, other)
    handmade.wheel(other / "data", "engine", files={"engine/__init__.py": "changed"})
    assert not same(one, other)
    named = first_difference(one, other, tmp_path / "unpacked")
    assert named.startswith("data/engine-1.0-py3-none-any.whl: engine/__init__.py and ")
