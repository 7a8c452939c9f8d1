"""An interpreter that releases share is repaired, and the repair is ended by kill -9 between any two steps."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

FILES = {"bin/python3.12": "program", "lib/a.py": "a\n", "lib/deep/b.py": "b\n", "lib/c.py": "c\n"}
DAMAGED = ("lib/a.py", "lib/deep/b.py", "bin/python3.12")
# Repairs, and ends itself by SIGKILL when it would rename for the n-th time, or at the end.
REPAIR = """
import json, os, signal, sys
from platter_setuptools.payload.bundle_files import files
from platter_setuptools.payload.install import interpreter_repair
from platter_setuptools.payload.interpreter import Interpreter

place, bundle, about, last = sys.argv[1:]
real, done = os.replace, []

def replace(*paths):
    if len(done) == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)
    done.append(paths)

os.replace = replace
print(*interpreter_repair.repair(place, Interpreter(**json.loads(about)), files(bundle)))
"""


@dataclass
class Yard:
    """An interpreter in its place, of which some files are damaged, and the bundle that it came from."""

    place: Path
    bundle: Path
    about: str

    def repair(self, steps: int) -> subprocess.CompletedProcess[str]:
        words: list[str | Path] = [sys.executable, "-c", REPAIR, self.place, self.bundle, self.about, str(steps)]
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)

    def text(self, name: str) -> str | None:
        path = self.place / name
        return path.read_text() if path.exists() else None


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    source = tmp_path / "python"
    for name, text in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    (source / "bin" / "python3").symlink_to("python3.12")
    names = [*FILES, "bin/python3"]
    lines = [f"{hashlib.sha256((source / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (source / "SHA256SUMS").write_text("".join(lines))
    archive = tmp_path / "archive"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "python")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    name = f"3.12.1-{digest[:12]}"
    about = {
        "file": f"python/{name}.tar.gz",
        "machine": "x86_64",
        "loader": "",
        "version": "3.12.1",
        "sha256": digest,
        "record_sha256": hashlib.sha256((source / "SHA256SUMS").read_bytes()).hexdigest(),
        "size": 1,
        "installed_size": 1,
        "installed_files": 1,
    }
    (tmp_path / "bundle" / "data" / "python").mkdir(parents=True)
    archive.rename(tmp_path / "bundle" / "data" / f"python/{name}.tar.gz")
    (tmp_path / "pythons").mkdir()
    place = source.rename(tmp_path / "pythons" / name)
    (place / "lib" / "a.py").write_text("edited\n")
    (place / "lib" / "deep" / "b.py").unlink()
    (place / "lib" / "deep").rmdir()
    (place / "bin" / "python3.12").write_text("")
    return Yard(place, tmp_path / "bundle", json.dumps(about))


@pytest.mark.parametrize("steps", range(6))
def test_kill_between_any_two_steps(yard: Yard, steps: int) -> None:
    """Each file is the damaged one or the right one; whoever has one open keeps it; the next run ends the repair."""
    before = {name: yard.text(name) for name in DAMAGED}
    with (yard.place / "lib" / "a.py").open() as user:
        done = yard.repair(steps)
        killed = steps < len([*DAMAGED, "bin/python3"])
        assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr
        assert user.read() == "edited\n"
    found = {name: yard.text(name) for name in DAMAGED}
    assert all(found[name] in (before[name], FILES[name]) for name in DAMAGED)
    assert (yard.place / "lib" / "c.py").read_text() == "c\n"
    if killed:
        assert found != {name: FILES[name] for name in DAMAGED} or steps == len(DAMAGED)
        assert yard.repair(99).returncode == 0
    assert {name: yard.text(name) for name in FILES} == FILES
    assert (yard.place / "bin" / "python3").readlink() == Path("python3.12")
    assert [path.name for path in yard.place.parent.iterdir()] == [yard.place.name]
    assert yard.repair(99).stdout == "\n"  # nothing is left to do


def test_an_archive_that_is_altered(yard: Yard) -> None:
    (archive,) = (yard.bundle / "data" / "python").iterdir()
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    done = yard.repair(99)
    assert "altered" in done.stderr
    assert done.returncode != 0
    assert yard.text("lib/a.py") == "edited\n"
