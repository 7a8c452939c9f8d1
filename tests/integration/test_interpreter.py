"""install.sh of a bundle that brings its interpreter, on a server whose PATH has no Python."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.inspect.known_files import parse_list
from platter_setuptools.thinning import make_thin
from support import handmade, keys, linked, relocated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Done = subprocess.CompletedProcess[str]
POINTS = "[console_scripts]\ngreet = greet:main\n"
PROGRAMS = (
    "sh",
    "cat",
    "cut",
    "gzip",
    "head",
    "id",
    "ln",
    "ls",
    "mkdir",
    "rm",
    "rmdir",
    "sha256sum",
    "tail",
    "tar",
    "uname",
    "wc",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, handmade.Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    found = {}
    for version in ("1.0", "1.1"):
        text = f"def main():\n    import sys\n    print('{version} from', sys.base_prefix)\n"
        wheel = handmade.wheel(folder / "wheels", "greet", version, files={"greet.py": text}, entry_points=POINTS)
        found[version] = handmade.bundle(folder, [wheel], interpreter=True)
    return found


class Server:
    """A folder to install into, with the few programs that PATH has."""

    def __init__(self, folder: Path, bundles: Mapping[str, handmade.Bundle]) -> None:
        self.folder, self.bundles = folder, bundles
        self.root, self.pythons = folder / "root", folder / "root" / "pythons"
        self.name = relocated.info()["file"][len("python/") : -len(".tar.gz")]
        self.interpreter = self.pythons / self.name
        self.programs, self.temporary = folder / "programs", folder / "tmp"
        for one in (self.programs, self.temporary):
            one.mkdir()
        for name in PROGRAMS:
            (self.programs / name).symlink_to(shutil.which(name) or "")
        self.environ = {"PATH": str(self.programs), "TMPDIR": str(self.temporary)}

    def copy(self, version: str = "1.0") -> handmade.Bundle:
        """Return a bundle that may be damaged."""
        original = self.bundles[version].path
        path = linked.copy(original, self.folder / "copy" / original.name)
        return handmade.Bundle(path=path, info=json.loads((path / "info.json").read_text()))

    def install(self, *words: str | Path, bundle: handmade.Bundle | None = None, version: str = "1.0") -> Done:
        made = bundle or self.bundles[version]
        return handmade.run(made, *words, python=False, env=self.environ, cwd=self.folder)

    def deploy(self, version: str, *words: str) -> None:
        done = self.install("--root", self.root, *words, version=version)
        assert done.returncode == 0, done.stderr

    def platter(self, *words: str) -> Done:
        command = [str(self.root / "platter"), *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=self.environ, timeout=60)

    def says(self, folder: Path) -> str:
        return subprocess.run([folder / "bin" / "greet"], check=True, capture_output=True, text=True).stdout.strip()

    @property
    def left(self) -> list[str]:
        """What install.sh should have removed."""
        kept = {"release.json", "contents.json", "commands.json", "python.json", "wheels"}
        found = self.folder.rglob(".*platter-*")
        return [str(path) for path in found if path.name not in {f".platter-{name}" for name in kept}]


def contents(folder: Path) -> dict[str, object]:
    """What is in a folder: links, and of files the content, the mode and the time."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if path.is_symlink():
            found[str(path)] = path.readlink()
        elif path.is_file():
            when = 0 if path.name == ".platter-python.json" else int(status.st_mtime)
            found[str(path)] = path.read_bytes(), status.st_mode, when
    return found


@pytest.fixture
def server(tmp_path: Path, made: dict[str, handmade.Bundle]) -> Iterator[Server]:
    """In memory where programs run there: installations wait for the disk."""
    memory = Path("/dev/shm")
    runs = os.access(memory, os.W_OK) and not os.statvfs(memory).f_flag & os.ST_NOEXEC
    folder = Path(tempfile.mkdtemp(prefix="platter-test-", dir=memory if runs else tmp_path))
    try:
        yield Server(folder, made)
    finally:
        shutil.rmtree(folder)


def refused(done: Done, status: int) -> str:
    assert done.returncode == status, done.stdout + done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


class TestDestination:
    def test_it_is_in_there(self, server: Server) -> None:
        dst = server.folder / "deep" / "app"
        done = server.install("--check", dst)
        assert (done.returncode, done.stderr) == (0, "")
        assert not dst.parent.exists()
        done = server.install(dst)
        assert (done.returncode, done.stderr) == (0, "")
        assert server.says(dst) == f"1.0 from {dst}/.python"
        note = json.loads((dst / ".platter-release.json").read_text())
        assert note["interpreter"] == f"{dst}/.python/bin/{relocated.MINOR}"
        assert note["bundled_interpreter"] == server.name
        again = server.install(dst)
        assert again.stdout == f"greet 1.0 is installed in {dst} already.\n"
        assert not server.left

    def test_an_edited_one_is_noticed(self, server: Server) -> None:
        dst = server.folder / "app"
        assert server.install(dst).returncode == 0
        with (dst / ".python" / "lib" / relocated.MINOR / "csv.py").open("a") as file:
            file.write("# edited\n")
        said = refused(server.install("--check", dst), 6)
        assert "csv.py is altered" in said
        assert server.install("--force", dst).returncode == 0

    def test_a_failure_leaves_nothing(self, server: Server) -> None:
        bundle = server.copy()
        (bundle.path / "post-install.sh").write_text("exit 1\n")
        bundle.seal()
        refused(server.install(server.folder / "app", bundle=bundle), 7)
        refused(server.install("--root", server.root, bundle=bundle), 7)
        assert not (server.folder / "app").exists()
        assert not server.root.exists()
        assert not server.left

    def test_the_servers_own(self, server: Server) -> None:
        done = server.install("-p", sys.executable, "--root", server.root)
        assert done.returncode == 0, done.stderr
        assert not server.pythons.exists()
        note = json.loads((server.root / "versions" / "1.0" / ".platter-release.json").read_text())
        assert note["bundled_interpreter"] == ""

    def test_another_filesystem(self, server: Server, tmp_path: Path) -> None:
        """DST is on another filesystem than its parent: its interpreter is copied."""
        if tmp_path.stat().st_dev == server.folder.stat().st_dev:
            pytest.skip("needs two filesystems")
        (server.folder / "app").symlink_to(tmp_path)
        done = server.install(server.folder / "app")
        assert (done.returncode, done.stderr) == (0, "")
        assert server.says(tmp_path) == f"1.0 from {tmp_path}/.python"


class TestRoot:
    def test_releases_share_it(self, server: Server) -> None:
        server.deploy("1.0")
        before = (server.interpreter).stat().st_ino
        server.deploy("1.1")
        assert [path.name for path in server.pythons.iterdir()] == [server.name]
        assert (server.interpreter).stat().st_ino == before
        current = server.root / "versions" / "current"
        assert server.says(current) == f"1.1 from {server.interpreter}"
        assert server.platter("rollback").returncode == 0
        assert server.says(current) == f"1.0 from {server.interpreter}"
        rows = json.loads(server.platter("list", "--json").stdout)
        assert [row["interpreter"] for row in rows] == [server.name, server.name]
        done = server.platter("doctor")
        assert (done.returncode, done.stderr) == (0, "")
        have = server.platter("have").stdout
        assert f"{relocated.info()['sha256']}  interpreter  {server.name}.tar.gz\n" in have
        assert not server.left

    def test_it_goes_with_the_last_release(self, server: Server) -> None:
        server.deploy("1.0")
        done = server.install("-p", sys.executable, "--root", server.root, version="1.1")
        assert done.returncode == 0, done.stderr
        assert server.platter("prune", "--keep", "1").returncode == 0  # 1.0 is the one to go back to
        assert (server.interpreter).is_dir()
        shutil.rmtree(server.root / "versions" / "1.0")
        left = server.root / f".platter-python.{os.uname().nodename}.4194305"  # no process has such a number
        (left / "python").mkdir(parents=True)
        done = subprocess.run(
            [sys.executable, server.root / "platter", "prune", "--keep", "1"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"Removed the interpreter {server.name}.\n"
        assert not server.pythons.exists()
        assert not left.exists()

    @pytest.mark.parametrize("damage", ["edit", "unstartable", "no module of the installer's", "much"])
    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    def test_what_is_in_its_place_is_repaired(self, server: Server, damage: str, version: str) -> None:
        """By an installation of the same release, and of another one; who runs from it is not disturbed."""
        server.deploy("1.0")
        place = server.interpreter
        library = place / "lib" / relocated.MINOR
        before = contents(place)
        if damage == "edit":
            with (library / "csv.py").open("a") as file:
                file.write("# edited\n")
        elif damage == "unstartable":
            (place / "bin" / relocated.MINOR).unlink()
        elif damage == "no module of the installer's":
            (library / "json" / "decoder.py").write_text("what is this")
            shutil.rmtree(library / "json" / "__pycache__", ignore_errors=True)
        else:
            for path in (library, place / "bin"):
                shutil.rmtree(path)
            (place / "SHA256SUMS").write_text("")
            (place / ".platter-python.json").unlink()
        (place / "added").touch()
        gone = version == "1.0" and damage != "edit"  # the release's own Python
        said = refused(server.install("--check", "--root", server.root, version=version), 5 if gone else 6)
        assert "install again with the full bundle, which repairs it" in said
        if damage == "edit":
            said = refused(server.platter("doctor"), 4)
            assert f"pythons/{server.name}: lib/{relocated.MINOR}/csv.py is altered\n" in said
            assert "hint: install a full bundle with that interpreter again, which repairs it\n" in said
        assert contents(place) != before
        done = server.install("--root", server.root, version=version)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(f"warning: the interpreter in {place} was damaged, and is repaired: ")
        assert {"edit": "csv.py\n", "unstartable": f"bin/{relocated.MINOR}"}.get(damage, "") in done.stderr
        (place / "added").unlink()  # what is not its own stays
        assert contents(place) == before
        for one in {"1.0", version}:
            assert server.says(server.root / "versions" / one) == f"{one} from {place}"
        assert server.platter("doctor").returncode == 0
        assert server.install("--root", server.root, version=version).stderr == ""
        assert not server.left

    @pytest.mark.parametrize("instead", ["folder", "link"])
    def test_what_is_not_repaired(self, server: Server, instead: str) -> None:
        """A folder in a file's place, and a link that leads elsewhere: nothing is deleted, or written there."""
        server.deploy("1.0")
        library, aside = server.interpreter / "lib" / relocated.MINOR, server.folder / "aside"
        if instead == "folder":
            (library / "csv.py").unlink()
            (library / "csv.py").mkdir()
        else:
            shutil.move(library / "json", aside)
            (library / "json").symlink_to(aside)
            (aside / "decoder.py").write_text("precious = 1\n")
        said = refused(server.install("--root", server.root, version="1.1"), 6)
        assert {"folder": "csv.py cannot be read", "link": "json/decoder.py is altered"}[instead] in said
        assert "move that folder away first" in said
        assert not (server.root / "versions" / "1.1").exists()
        assert (library / "csv.py").is_dir() or (aside / "decoder.py").read_text() == "precious = 1\n"
        shutil.move(server.interpreter, server.folder / "moved")
        server.deploy("1.1")
        assert server.says(server.root / "versions" / "1.0") == f"1.0 from {server.interpreter}"

    def test_a_thin_bundle_does_not_repair(self, server: Server, made: dict[str, handmade.Bundle]) -> None:
        server.deploy("1.0")
        have = parse_list(server.platter("have").stdout.encode(), "have")
        thin = make_thin(made["1.1"].path, [], have, output=server.folder / "thin", kind="dir", mtime=315532800)
        with (server.interpreter / "lib" / relocated.MINOR / "csv.py").open("a") as file:
            file.write("# edited\n")
        said = refused(server.install("--root", server.root, bundle=handmade.Bundle(path=thin.path, info={})), 6)
        assert "install again with the full bundle, which repairs it" in said

    def test_the_current_folder_has_no_modules_of_ours(self, server: Server) -> None:
        for name in ("csv", "json", "tarfile"):
            (server.folder / f"{name}.py").write_text(f"open({str(server.folder / 'ran')!r}, 'w')\n")
        server.deploy("1.0")
        server.deploy("1.1")
        assert not (server.folder / "ran").exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
    @pytest.mark.parametrize(("owned", "status"), [("root", 5), ("program", 0)])
    def test_the_superuser_does_not_run_somebody_elses(self, server: Server, owned: str, status: int) -> None:
        server.deploy("1.0")
        program = server.interpreter / "bin" / relocated.MINOR
        program.unlink()
        program.write_text(f"#!/bin/sh\n: >'{server.folder}/ran'\n")
        program.chmod(0o755)
        os.chown(server.root if owned == "root" else program, 65534, -1)
        done = server.install("--root", server.root, version="1.1")
        assert done.returncode == status, done.stderr
        assert not (server.folder / "ran").exists()
        if status == 0:
            assert "was damaged, and is repaired" in done.stderr
            assert server.says(server.root / "versions" / "1.0") == f"1.0 from {server.interpreter}"
        assert not server.left

    def test_thin(self, server: Server, made: dict[str, handmade.Bundle]) -> None:
        server.deploy("1.0")
        have = parse_list(server.platter("have").stdout.encode(), "have")
        thin = make_thin(made["1.1"].path, [], have, output=server.folder / "thin", kind="dir", mtime=315532800)
        bundle = handmade.Bundle(path=thin.path, info={})
        assert not list(thin.path.glob("data/python/*"))
        refused(server.install("--root", server.folder / "other", bundle=bundle), 4)
        said = refused(server.install(server.folder / "app", bundle=bundle), 4)
        assert "is missing" in said
        assert "send the full bundle" in said
        done = server.install("--root", server.root, bundle=bundle)
        assert (done.returncode, done.stderr) == (0, "")
        assert server.says(server.root / "versions" / "current") == f"1.1 from {server.interpreter}"


class TestRefused:
    @pytest.mark.parametrize("hashed", [True, False])
    @pytest.mark.parametrize("damage", ["cut off", "altered", "missing"])
    def test_a_damaged_archive(self, server: Server, damage: str, *, hashed: bool) -> None:
        bundle = server.copy()
        path = bundle.data / relocated.info()["file"]
        content = path.read_bytes()
        path.unlink()
        if damage != "missing":
            middle = len(content) // 2
            changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
            path.write_bytes(content[:-1000] if damage == "cut off" else changed)
        if not hashed:
            (server.programs / "sha256sum").unlink()
        for words in ([server.folder / "app"], ["--root", server.root], ["--check", server.folder / "app"]):
            assert relocated.info()["file"] in refused(server.install(*words, bundle=bundle), 4)
        assert not (server.folder / "app").exists()
        assert not server.root.exists()
        assert not server.left

    def test_another_interpreter_of_that_hash_in_its_name(self, server: Server) -> None:
        """SHA256SUMS has the hash of the archive, and nobody has signed it."""
        bundle = server.copy()
        bundle.info["interpreter"]["record_sha256"] = "0" * 64
        bundle.seal()
        assert "SHA256SUMS is altered" in refused(server.install(server.folder / "app", bundle=bundle), 4)
        assert not (server.folder / "app").exists()

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("machine", "riscv64", "is for riscv64, and this machine is"),
            (
                "loader",
                "/lib/ld-musl-riscv64.so.1",
                "is for systems with musl, and this one lacks /lib/ld-musl-riscv64.so.1",
            ),
            ("loader", "/lib64/ld-none.so.2", "is for systems with glibc, and this one lacks /lib64/ld-none.so.2"),
        ],
    )
    def test_another_host(self, server: Server, key: str, value: str, message: str) -> None:
        bundle = server.copy()
        bundle.info["interpreter"][key] = value
        bundle.seal()
        said = refused(server.install("--root", server.root, bundle=bundle), 5)
        assert message in said
        assert "-p" in said
        assert not server.root.exists()

    def test_a_name_that_leads_elsewhere(self, server: Server) -> None:
        bundle = server.copy()
        bundle.info["interpreter"]["file"] = "python/../../../etc/passwd.tar.gz"
        bundle.seal()
        refused(server.install("--root", server.root, bundle=bundle), 4)

    def test_keys_that_a_shell_would_read_otherwise(self, server: Server) -> None:
        bundle = server.copy()
        bundle.seal()
        text = (bundle.path / "info.json").read_text()
        (bundle.path / "info.json").write_text(
            text.replace('  "interpreter": {\n    "file"', '  "interpreter": {"file"')
        )
        refused(server.install("-p", sys.executable, server.folder / "app", bundle=bundle), 4)

    def test_it_cannot_run_there(self, server: Server) -> None:
        """On a filesystem that is mounted noexec a program cannot be started either."""
        (server.programs / "tar").unlink()
        (server.programs / "tar").write_text(
            "#!/bin/sh\nmkdir -p python/bin && : >python/bin/python3 && cat >/dev/null\n"
        )
        (server.programs / "tar").chmod(0o755)
        said = refused(server.install(server.folder / "app"), 5)
        assert "cannot be unpacked and run" in said
        assert "Permission denied" in said
        assert not server.left

    @keys.needs_openssh
    def test_signed_without_a_program_that_hashes(self, server: Server) -> None:
        """What is signed is compared before it runs."""
        bundle, key = server.copy(), keys.make(server.folder)
        subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "platter", bundle.path / "SHA256SUMS"], check=True
        )
        (server.programs / "ssh-keygen").symlink_to(shutil.which("ssh-keygen") or "")
        signers = keys.allow(server.folder / "signers", key)
        words = ("--allowed-signers", signers, "--root", server.root)
        done = server.install(*words, bundle=bundle)
        assert done.returncode == 0, done.stderr
        shutil.rmtree(server.root)
        (server.programs / "sha256sum").unlink()
        assert "sha256sum, which compares the interpreter" in refused(server.install(*words, bundle=bundle), 5)
        assert not server.left


def test_ended_at_any_moment(server: Server) -> None:
    """kill -9 leaves a release whole or unfinished; the next run repairs, and leaves nothing of the killed one."""
    for number in range(8):
        process = subprocess.Popen(
            ["sh", server.bundles["1.0"].script, "--root", server.root],
            env=server.environ,
            cwd=server.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(0.15 * number)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    server.deploy("1.0")
    assert server.platter("prune", "--keep", "1").returncode == 0
    assert server.says(server.root / "versions" / "1.0") == f"1.0 from {server.interpreter}"
    assert [path.name for path in server.pythons.iterdir()] == [server.name]
    assert not server.left


def test_two_at_once(server: Server) -> None:
    """One of them installs it; the other finds that, or the lock."""
    running = [
        subprocess.Popen(
            ["sh", server.bundles["1.0"].script, "--root", server.root], env=server.environ, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    codes = sorted((one.communicate(timeout=120), one.returncode)[1] for one in running)
    assert codes in ([0, 0], [0, 6])
    assert server.says(server.root / "versions" / "1.0") == f"1.0 from {server.interpreter}"
    assert not server.left
