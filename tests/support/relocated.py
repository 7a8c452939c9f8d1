"""An interpreter for bundles that works on this machine: a copy of the running one's program and standard library."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

MINOR = f"python{sys.version_info[0]}.{sys.version_info[1]}"
_LEFT_OUT = shutil.ignore_patterns(
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "config-*",
    "*.opt-?.pyc",
    "ensurepip",
    "lib2to3",
    "unittest",
    "pydoc_data",
    "distutils",
    "sqlite3",
    "curses",
    "turtle*",
    "_codecs_*",
    "_curses*",
    "_sqlite3*",
    "_test*",
    "_tkinter*",
    "*.a",
)


# Answers as an interpreter would that finds its parts below PREFIX, and is sys.executable for everything else.
_POSER = """\
#!/bin/sh
home=$(cd "$(dirname "$0")/.." && pwd)
case $* in
*relocation.py*) echo '{{"prefix": "'{prefix}'", "folders": [], "build": {build}, "missing": {missing}}}' ;;
*) exec {python} "$@" ;;
esac
"""


def posing(prefix: str = '"$home"', build: str = "{}", missing: str = "{}") -> str:
    """Return a script that poses as a relocatable interpreter when a build asks it."""
    return _POSER.format(prefix=prefix, build=build, missing=missing, python=sys.executable)


def poser(folder: Path) -> Path:
    """Write a tiny interpreter that a build takes, as uv installs them: its sysconfig and pip name the folder."""
    files = {
        f"bin/{MINOR}": posing(),
        "bin/pip": f"#!{folder}/bin/python3\n",
        "bin/pydoc": "#!/bin/sh\n",
        f"lib/{MINOR}/os.py": "import sys\n",
        f"lib/{MINOR}/LICENSE.txt": "PSF\n",
        f"lib/{MINOR}/_sysconfigdata__linux.py": (
            f"build_time_vars = {{'BINDIR': '{folder}/bin',\n 'LIBDIR': '/opt/built/lib',\n 'prefix': '/opt/built'}}\n"
        ),
        f"lib/{MINOR}/__pycache__/os.cpython.pyc": "stale",
    }
    for name, text in files.items():
        write(folder / name, text)
    (folder / "bin" / "python3").symlink_to(MINOR)
    (folder / "bin" / "pip3").symlink_to("pip")
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755 if path.parent.name == "bin" else 0o600)


@functools.cache
def archive() -> Path:
    """Return an archive as platter makes it, of our own interpreter, which goes on using libraries of its own place."""
    work = Path(tempfile.mkdtemp(prefix="relocated-"))
    atexit.register(shutil.rmtree, work)
    folder = work / "python"
    (folder / "bin").mkdir(parents=True)
    shutil.copyfile(os.path.realpath(sys.executable), folder / "bin" / MINOR)
    (folder / "bin" / MINOR).chmod(0o755)
    (folder / "bin" / "python3").symlink_to(MINOR)
    (folder / "bin" / "python").symlink_to(MINOR)
    shutil.copytree(Path(os.__file__).parent, folder / "lib" / MINOR, ignore=_LEFT_OUT)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))
    with tarfile.open(work / "python.tar.gz", "w:gz", compresslevel=1) as tar:
        tar.add(folder, "python", filter=_plain)
    return work / "python.tar.gz"


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def info() -> dict[str, Any]:
    """Return what info.json says of it."""
    path, folder = archive(), archive().with_name("python")
    files = [one for one in folder.rglob("*") if one.is_file()]
    version, sha256 = ".".join(map(str, sys.version_info[:3])), _sha256(path)
    return {
        "file": f"python/{version}-{sha256[:12]}.tar.gz",
        "machine": os.uname().machine,
        "loader": "",
        "version": version,
        "libc": None,
        "libraries": [],
        "sha256": sha256,
        "record_sha256": _sha256(folder / "SHA256SUMS"),
        "size": path.stat().st_size,
        "installed_size": sum(one.stat().st_size for one in files),
        "installed_files": len(files),
    }
