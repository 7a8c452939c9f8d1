"""Servers where the surroundings of install.sh are not what one expects."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from faults.mounts import with_mounts
from faults.server import expected_tree, run_bare
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.ledger import Trials
    from faults.server import Server

    NewServer = Callable[..., Server]

ENVIRONMENTS, FOLDERS, MOUNTS = "environments", "names and kinds of DST", "mounts"
MINOR = f"python{sys.version_info[0]}.{sys.version_info[1]}"
# What must not be imported, wherever it is found.
SHADOWED = ("json", "zipfile", "virtualenv", "sitecustomize", "usercustomize", "platter_payload", "os", "greet")
POISON = {
    "PYTHONPATH": "{poison}",
    "PYTHONHOME": "/nonexistent",
    "PYTHONSTARTUP": "{poison}/os.py",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONPLATLIBDIR": "nowhere",
    "PYTHONUSERBASE": "{poison}",
    "PYTHONSAFEPATH": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "PYTHONEXECUTABLE": "/nonexistent",
    "PYTHONPYCACHEPREFIX": "{poison}/cache",
    "__PYVENV_LAUNCHER__": "/nonexistent",
    "PIP_INDEX_URL": "http://127.0.0.1:9",
    "PIP_TARGET": "/nonexistent",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_CONFIG_FILE": "/nonexistent",
    "PIP_PREFIX": "/nonexistent",
    "VIRTUALENV_PYTHON": "/nonexistent",
    "VIRTUALENV_SYSTEM_SITE_PACKAGES": "1",
    "VIRTUALENV_CONFIG_FILE": "{poison}/virtualenv.ini",
    "VIRTUALENV_OVERRIDE_APP_DATA": "/nonexistent",
    "VIRTUALENV_CREATOR": "venv",
    "VIRTUALENV_ALWAYS_COPY": "1",
    "VIRTUALENV_PROMPT": "$(touch pwned)",
    "VIRTUAL_ENV": "/nonexistent",
    "XDG_CONFIG_HOME": "{poison}",
    "XDG_DATA_HOME": "{poison}",
    "SOURCE_DATE_EPOCH": "1",
    "CDPATH": "{poison}",
    "ENV": "{poison}/profile",
    "BASH_ENV": "{poison}/profile",
    "IFS": "/",
    "LC_ALL": "C",
    "LANG": "xx_XX.nonsense",
    "HOME": "{poison}",
    "TMPDIR": "/nonexistent",
    "LD_LIBRARY_PATH": "{poison}",
    "UMASK": "0777",
}


@pytest.fixture
def poison(tmp_path: Path) -> Path:
    """A folder of modules and configurations that spoil whoever reads them."""
    folder = tmp_path / "poison"
    for place in (folder, folder / "lib" / MINOR / "site-packages", folder / ".local/lib" / MINOR / "site-packages"):
        place.mkdir(parents=True)
        for name in SHADOWED:
            (place / f"{name}.py").write_text("raise SystemExit('poisoned')\n")
        (place / "first.pth").write_text("import os; os.abort()\n")
    (folder / "virtualenv.ini").write_text("[virtualenv]\nsystem-site-packages = true\nactivators = none\n")
    (folder / "profile").write_text("touch pwned; exit 9\n")
    (folder / "pyproject.toml").touch()
    return folder


def check_isolated(server: Server) -> None:
    """As everywhere, and with what virtualenv gives when nobody tells it anything."""
    server.check_installed()
    assert "include-system-site-packages = false" in (server.dst / "pyvenv.cfg").read_text()
    assert (server.dst / "bin" / "activate").exists()
    assert not (server.folder / "pwned").exists()


def test_poisoned_variables(trials: Trials, new_server: NewServer, poison: Path) -> None:
    values = {key: value.format(poison=poison) for key, value in POISON.items()}
    # All together, where one may hide another; then one by one.
    chosen = [values, *({key: value} for key, value in values.items())]
    for trial in trials(ENVIRONMENTS, full=len(chosen), few=1):
        with trial:
            server = new_server()
            server.install(env={"PATH": os.environ["PATH"], **chosen[trial.number]}, cwd=server.folder)
            check_isolated(server)


@pytest.mark.parametrize("home", ["unset", "missing", "read-only", "a file"])
def test_home(trials: Trials, new_server: NewServer, home: str) -> None:
    with trials.one(ENVIRONMENTS):
        server = new_server()
        folder = server.folder / "home"
        if home == "a file":
            folder.touch()
        elif home == "read-only":
            folder.mkdir(0o555)
        environ = {} if home == "unset" else {"HOME": str(folder)}
        server.install(env={"PATH": os.environ["PATH"], **environ})
        server.check_installed()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_umask(trials: Trials, new_server: NewServer, mask: int) -> None:
    with trials.one(ENVIRONMENTS):
        server = new_server("new/1.0")
        server.install(umask=mask)
        server.check_installed()
        modes = {line.split()[0] for line in expected_tree(server.bundle)}
        assert modes <= {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"}
        assert stat.S_IMODE(server.dst.stat().st_mode) == stat.S_IMODE(server.dst.parent.stat().st_mode) == 0o755


def test_bundle_unpacked_by_somebody_careful(
    trials: Trials, new_server: NewServer, tmp_path: Path, bundle: handmade.Bundle
) -> None:
    """Nothing of the bundle's modes comes into DST."""
    with trials.one(ENVIRONMENTS):
        server = new_server()
        copy = handmade.Bundle(path=tmp_path / "copy", info=bundle.info)
        shutil.copytree(bundle.path, copy.path)
        for path in [copy.path, *copy.path.rglob("*")]:
            path.chmod(0o500 if path.is_dir() else 0o400)
        mine = dataclasses.replace(server, bundle=copy)
        mine.install()
        server.check_installed()


def test_empty_environment(trials: Trials, new_server: NewServer) -> None:
    with trials.one(ENVIRONMENTS):
        new_server().install(env={}, shell=[shutil.which("sh") or "sh"])


def test_active_virtualenv(trials: Trials, new_server: NewServer) -> None:
    """Its Python is found first; what is installed must not need it."""
    with trials.one(ENVIRONMENTS):
        first, second = new_server(), new_server()
        first.install()
        active = {"PATH": f"{first.dst}/bin:{os.defpath}", "VIRTUAL_ENV": str(first.dst)}
        second.install(env=active, python="")
        shutil.rmtree(first.dst)
        second.check_installed()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_ordinary_user(trials: Trials, new_server: NewServer) -> None:
    common = shutil.which(MINOR, path="/usr/local/bin:/usr/bin:/bin")
    if common is None:
        pytest.skip("there is no interpreter of this version that everybody may use")
    nobody = pwd.getpwnam("nobody")
    someone: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "env": {}}
    someone |= {"python": common, "shell": ["/bin/sh"]}
    server = new_server()
    for folder in [server.bundle.path, server.folder, *server.bundle.path.parents, *server.folder.parents]:
        if not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(folder.stat().st_mode | 0o055)
    with trials.one(ENVIRONMENTS):
        assert server.start(**someone).wait(60) == 5
        assert "not writable" in server.said
        server.check_untouched()
        os.chown(server.releases, nobody.pw_uid, nobody.pw_gid)
        server.install(**someone)
        assert server.dst.stat().st_uid == nobody.pw_uid


# Mounts


@pytest.mark.parametrize(
    "script",
    [
        'mount -t tmpfs -o noexec none "$1"; TMPDIR=$1',
        'mount -t tmpfs -o size=4k none "$1"; TMPDIR=$1; ! head -c 8192 /dev/zero >"$1/full" 2>&-',
        'mount -t tmpfs -o ro none "$1"; TMPDIR=$1 HOME=$1',
        "mount -t tmpfs -o ro none /dev/shm",
        "umount -l /dev/shm; rmdir /dev/shm || :",
        "umount -l /proc",
        "umount -l /dev/shm; umount -l /proc",
        'mount --bind "$2" "$2"; mount -o remount,bind,ro "$2"',
        'mount --bind "$2" "$2"; mount -o remount,bind,ro,noexec "$2"',
        'mount --bind "$3" "$3"',
    ],
    ids=[
        "TMPDIR noexec",
        "TMPDIR full",
        "TMPDIR and HOME read-only",
        "/dev/shm read-only",
        "no /dev/shm",
        "no /proc",
        "no /proc and no /dev/shm",
        "bundle read-only",
        "bundle read-only and noexec",
        "DST below a mount",
    ],
)
def test_mounts(trials: Trials, new_server: NewServer, tmp_path: Path, script: str) -> None:
    (tmp_path / "mount").mkdir()
    server = new_server()
    script += '; export TMPDIR HOME; shift 3; exec "$@"'
    command = with_mounts(
        f": ${{TMPDIR=/tmp}}; {script}", tmp_path / "mount", server.bundle.path, server.releases, "sh"
    )
    with trials.one(MOUNTS):
        server.install(shell=command)


# DST


NAMES = [
    "with space",
    "quote's",
    'double"quote',
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "back\\slash",
    "percent %s %(x)s",
    "{brace}",
    "~",
    "*?[a]",
    "&|<>!",
    "ünïcödé",
    "日本語",
    "e\u0301 combining",
    "-dash",
    "--force",
    "l" * 200,
    "/".join(["m" * 99] * 3),
    "/".join(["ö" * 60, "with space", "q'" * 60]),
]


def test_names(trials: Trials, new_server: NewServer) -> None:
    activated = '. "$1/bin/activate" && python -c "import sys; print(sys.prefix)"'
    names = trials.random.sample(NAMES, len(NAMES))
    for trial in trials(FOLDERS, full=len(NAMES), few=3):
        with trial:
            server = new_server(names[trial.number])
            server.install(cwd=server.folder)
            prefix = run_bare("/bin/bash", "-c", f"PATH={os.defpath}; {activated}", "-", server.dst)
            assert prefix == f"{server.dst}\n"
            assert not list(server.folder.rglob("pwned"))


@pytest.mark.parametrize("name", ["co:lon", "new\nline", "tab\t", "es\x1bcape", "bell\x07"])
def test_names_that_cannot_work(trials: Trials, new_server: NewServer, name: str) -> None:
    with trials.one(FOLDERS):
        server = new_server(name)
        assert server.start().wait(60) == 6
        server.check_untouched()


@pytest.mark.parametrize("dst", ["releases/1.0", "./releases//1.0/", "releases/1.0///", "releases/0.9/../1.0"])
def test_relative(trials: Trials, new_server: NewServer, dst: str) -> None:
    with trials.one(FOLDERS):
        server = new_server()
        server.install(dst=dst, cwd=server.folder, env={"PATH": os.environ["PATH"], "CDPATH": "/"})


def test_a_link_to_a_folder(trials: Trials, new_server: NewServer) -> None:
    """It stands for the folder, and stays."""
    with trials.one(FOLDERS):
        server = new_server()
        server.dst.mkdir()
        link = server.folder / "link"
        link.symlink_to(server.dst)
        server.install(dst=str(link))
        assert link.is_symlink()


def test_a_link_in_the_way_to_it(trials: Trials, new_server: NewServer) -> None:
    with trials.one(FOLDERS):
        server = new_server()
        (server.folder / "link").symlink_to("releases")
        server.install(dst=f"{server.folder}/link/1.0")


def test_working_directory_that_is_gone(trials: Trials, new_server: NewServer) -> None:
    with trials.one(ENVIRONMENTS):
        server = new_server()
        gone = server.folder / "gone"
        gone.mkdir()
        server.install(shell=["sh", "-c", 'rmdir "$PWD"; exec sh "$@"', "-"], cwd=gone)
