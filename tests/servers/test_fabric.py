"""Fabric's tasks, run by `fab` against real ssh servers: five hosts, of which some are broken."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import projects
from support.front_ends import PLATTER
from support.ssh import fleet

from .desk import Desk, archive

if TYPE_CHECKING:
    from support.index import Index

pytestmark = pytest.mark.servers


class TestMigrations:
    """A database that all hosts share, which is a folder outside of their disks."""

    MIGRATE = """
        [ -n "${{PLATTER_RUN_ONCE-}}" ] || [ ! -e {folder}/once ] || exit 0
        hosts=$(ls {folder}/migrated | wc -l)
        [ "$hosts" -lt {most} ] || {{ echo "no such table" >&2; exit 1; }}
        mktemp -d {folder}/migrated/XXXXXX
    """

    def bundle(self, folder: Path, *, most: int) -> Path:
        (folder / "migrated").mkdir()
        return archive(folder / "dist", "1.10", pre_activate=self.MIGRATE.format(folder=folder, most=most))

    @pytest.mark.parametrize("hosts", [4], indirect=True)
    def test_once(self, desk: Desk, tmp_path: Path, bundles: dict[str, Path]) -> None:
        """The canary does it, and the others do not; not even if they have the variable from elsewhere."""
        (tmp_path / "once").touch()
        desk.install(bundles["1.9"])
        desk.take(self.bundle(tmp_path, most=1))
        desk.configure(run_once=True, batch=3)
        said, _told = desk.fab("deploy")
        assert said.count("1.10 is active now, 1.9 was before.") == 4
        assert len(list((tmp_path / "migrated").iterdir())) == 1
        desk.fab("rollback")
        assert set(desk.greetings()) == {"greet 1.9"}
        assert len(list((tmp_path / "migrated").iterdir())) == 1

    @pytest.mark.parametrize("hosts", [3], indirect=True)
    def test_that_fails_on_the_canary(self, desk: Desk, tmp_path: Path, bundles: dict[str, Path]) -> None:
        (tmp_path / "once").touch()
        desk.install(bundles["1.9"])
        desk.take(self.bundle(tmp_path, most=0))
        desk.configure(run_once=True)
        said, told = desk.fab("deploy", code=7)
        assert "pre-activate.sh exited with status 1; 1.9 is still active" in said
        assert told.endswith("1 failed, 2 not tried\n")
        assert "no such table" in told
        assert set(desk.greetings()) == {"greet 1.9"}

    @pytest.mark.parametrize("hosts", [4], indirect=True)
    def test_that_fails_on_the_second_host(self, desk: Desk, tmp_path: Path, bundles: dict[str, Path]) -> None:
        """Without run_once each host migrates. Which one has which release is told, and `fab deploy` goes on."""
        desk.install(bundles["1.9"])
        desk.take(self.bundle(tmp_path, most=1))
        desk.configure(batch=1)
        said, told = desk.fab("deploy", code=7)
        assert [line.split()[1] for line in said.splitlines()] == ["done", "failed", "not", "not"]
        assert told.endswith("1 done, 1 failed, 2 not tried\n")
        assert desk.greetings() == ["greet 1.10", "greet 1.9", "greet 1.9", "greet 1.9"]
        (tmp_path / "once").touch()  # repaired: there is nothing left to do
        desk.fab("deploy")
        assert set(desk.greetings()) == {"greet 1.10"}

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    def test_from_host_to_host(self, desk: Desk) -> None:
        desk.configure(run_once=True)
        _said, told = desk.fab("-H", desk.hosts.names[0], "rollback", code=2)
        assert 'which "run_once" is about' in told
        assert "hint: name hosts with --only" in told


class TestDeploy:
    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_twice_and_back(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.take(bundles["1.9"])
        said, told = desk.fab("deploy")
        assert said.count("done") == 2
        assert all(f"{name}: uploading" in told for name in desk.hosts.names)
        desk.take(bundles["1.10"])
        said, _told = desk.fab("deploy")
        assert said.count("1.10 is active now, 1.9 was before.") == 2
        assert set(desk.greetings()) == {"greet 1.10"}
        said, _told = desk.fab("releases")
        assert (said.count("1.10  complete"), said.count("active"), said.count("before")) == (2, 2, 2)
        said, _told = desk.fab("rollback")
        assert said.count("1.9 is active now, 1.10 was before.") == 2
        assert set(desk.greetings()) == {"greet 1.9"}
        assert desk.hosts.run(0, "sh", "-c", "ls -d /var/tmp/platter.* 2>/dev/null || echo none") == "none"

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    def test_a_start_up_file_that_prints_and_no_sftp(
        self, desk: Desk, bundles: dict[str, Path], tmp_path: Path
    ) -> None:
        """A start-up file breaks sftp-server, too, if the server runs it in a login shell: so nothing goes by SFTP."""
        start_up = Path.home() / ".bashrc"
        if not start_up.exists() or not pwd.getpwuid(os.getuid()).pw_shell.endswith("bash"):
            pytest.skip("this user has no bash that reads a .bashrc")
        (noisy := tmp_path / "noisy").write_text("echo Welcome\necho to this host >&2\n")
        desk.hosts.run(0, "mount", "--bind", noisy, start_up)
        conf = desk.hosts.identity.parent / "host0" / "conf"
        conf.write_text(conf.read_text().replace("internal-sftp", "/bin/false"))
        desk.hosts.servers[0].send_signal(signal.SIGHUP)  # sshd starts itself anew
        desk.configure(retries=3)
        desk.take(bundles["1.9"])
        desk.fab("deploy", "--only", desk.hosts.names[0])
        assert desk.greet(0) == "greet 1.9"

    def test_one_of_five_is_broken(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.install(bundles["1.9"])
        desk.hosts.run(2, "chown", "nobody", f"{desk.root}")  # a root that someone else owns
        desk.take(bundles["1.10"])
        said, told = desk.fab("deploy", code=5)
        assert f"{desk.root} belongs to nobody, and this runs as root" in said
        assert "hint: do this as the owner" in told
        assert told.endswith("4 done, 1 failed\n")
        assert desk.greetings() == [f"greet {'1.9' if n == 2 else '1.10'}" for n in range(5)]

    def test_a_canary_that_fails_keeps_the_others_from_harm(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.install(bundles["1.9"])
        desk.configure(health_check=f"test ! -e {desk.hosts.disk}/ill", max_failures=3)
        desk.hosts.run(0, "touch", f"{desk.hosts.disk}/ill")
        desk.take(bundles["1.10"])
        said, told = desk.fab("deploy", code=8)
        assert said.count("not tried") == 4
        assert "the health check exited with status 1" in said
        assert told.endswith("1 failed, 4 not tried\n")
        assert set(desk.greetings()) == {"greet 1.9"}

    def test_batches_end_after_so_many_failures(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.configure(batch=2, max_failures=2, health_check=f"test ! -e {desk.hosts.disk}/ill")
        for number in (1, 2):
            desk.hosts.run(number, "touch", f"{desk.hosts.disk}/ill")
        desk.take(bundles["1.9"])
        said, _told = desk.fab("deploy", code=8)
        states = [line.split()[1] for line in said.splitlines()]
        assert states == ["done", "failed", "failed", "not", "not"]

    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_only_looking(self, desk: Desk, bundles: dict[str, Path]) -> None:
        """Every host is looked at, whatever the others say, and nothing is installed."""
        desk.hosts.run(0, "install", "-d", "-o", "nobody", desk.root)
        desk.take(bundles["1.9"])
        said, told = desk.fab("deploy", "--dry-run", code=5)
        assert f"{desk.root} belongs to nobody" in said
        assert f"greet 1.9 can be installed into {desk.root}/versions/1.9." in said
        assert told.startswith("Checking greet-1.9")
        assert not desk.hosts.run(1, "sh", "-c", f"ls -A {desk.root} 2>/dev/null || :")
        assert desk.hosts.run(1, "sh", "-c", "ls -d /var/tmp/platter.* 2>/dev/null || echo none") == "none"

    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_nothing_is_uploaded_twice(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.take(bundles["1.9"])
        desk.fab("deploy", "--only", desk.hosts.names[1])
        _said, told = desk.fab("deploy")
        assert told.count("uploading") == 1
        assert f"{desk.hosts.names[1]}: has {bundles['1.9'].name} already" in told

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    def test_what_lies_there_under_the_name_may_be_something_else(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.take(bundles["1.9"])
        desk.hosts.run(0, "mkdir", f"{desk.hosts.disk}/uploads")
        desk.hosts.run(0, "sh", "-c", f"echo half > {desk.hosts.disk}/uploads/{bundles['1.9'].name}")
        _said, told = desk.fab("deploy")
        assert told.count("uploading") == 1
        assert desk.greet(0) == "greet 1.9"

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    def test_what_is_not_needed_any_more_goes_and_nothing_else(self, desk: Desk, bundles: dict[str, Path]) -> None:
        uploads = f"{desk.hosts.disk}/uploads"
        kept = ["letter", "tree/greet-1.8-linux-x86_64.tar.gz", "greet-1.7-linux-x86_64.tar.gz"]
        old = ["greet-1.8-linux-x86_64.tar.gz", "letter", "tree/greet-1.8-linux-x86_64.tar.gz"]
        younger = ["greet-1.8-linux-x86_64.tar.gz.0123.part", "greet-1.7-linux-x86_64.tar.gz"]
        desk.hosts.run(0, "mkdir", "-p", f"{uploads}/tree")
        desk.hosts.run(0, "touch", "-d", "9 days ago", *(f"{uploads}/{name}" for name in old))
        desk.hosts.run(0, "touch", "-d", "3 days ago", *(f"{uploads}/{name}" for name in younger))
        desk.take(bundles["1.9"])
        desk.fab("deploy")
        left = desk.hosts.run(0, "find", uploads, "-type", "f", "-printf", "%P\n").splitlines()
        assert sorted(left) == sorted([*kept, bundles["1.9"].name])

    @pytest.mark.parametrize("hosts", [3], indirect=True)
    def test_only_what_a_host_does_not_have(self, desk: Desk, bundles: dict[str, Path]) -> None:
        """Of three hosts one has nothing, and one had its files edited: it says that it has them, and is refused."""
        desk.install(bundles["1.9"])
        desk.hosts.run(0, "rm", "-r", desk.root)
        (leaf,) = desk.hosts.run(2, "find", f"{desk.root}/versions/1.9", "-name", "leaf.py").splitlines()
        desk.hosts.run(2, "sh", "-c", f"echo edited > {leaf}")
        desk.take(bundles["1.10"])
        said, told = desk.fab("deploy")
        assert said.count("1.10 is active now") == 3
        assert set(desk.greetings()) == {"greet 1.10"}
        new, had, edited = (re.findall(f"{name}: (.*)", told) for name in desk.hosts.names)
        assert re.fullmatch(r"uploading [\d.]+ MB", new[-2])
        assert re.fullmatch(r"uploading 1 of 2 wheels, [\d.]+ kB of [\d.]+ MB", had[0])
        assert edited[0] == had[0]
        assert edited[1] == "does not have all that it listed"
        assert edited[2] == new[-2]
        (leaf,) = desk.hosts.run(2, "find", f"{desk.root}/versions/1.10", "-name", "leaf.py").splitlines()
        assert "hello" in desk.hosts.run(2, "cat", leaf)

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    def test_a_host_that_answers_without_end(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.hosts.run(0, "mkdir", desk.root)
        program = f"{desk.root}/platter"
        desk.hosts.run(0, "sh", "-c", f"printf '#!/bin/sh\nexec yes\n' > {program}; chmod +x {program}")
        desk.take(bundles["1.9"])
        _said, told = desk.fab("deploy")
        assert "it gets the full bundle: platter have: the answer is longer than 1048576 characters" in told
        assert desk.greet(0) == "greet 1.9"

    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_hosts_of_the_command_line(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.take(bundles["1.9"])
        said, _told = desk.fab("-H", desk.hosts.names[1], "deploy")
        assert [line.split()[0] for line in said.splitlines()] == [desk.hosts.names[1]]
        assert desk.greet(1) == "greet 1.9"


class TestBuild:
    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_a_revision(self, desk: Desk, index: Index, caches: dict[str, str]) -> None:
        """What is built is what git has, not what lies in the folder."""
        projects.hello(desk.folder)
        projects.commit(desk.folder)
        (desk.folder / "vendor").mkdir()
        lost = f"160000,{'1' * 40},vendor"  # a submodule
        subprocess.run(["git", "-C", desk.folder, "update-index", "--add", "--cacheinfo", lost], check=True)
        projects.commit(desk.folder)
        (desk.folder / "hello.py").write_text("not committed\n")
        environment = {**caches, "PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull}
        noted = f"{desk.hosts.disk}/where"
        command = shlex.join(["sh", "-c", f'pwd >{noted}; exec "$0" "$@"', str(PLATTER)])
        desk.configure(build_host=desk.hosts.names[1], build_command=command, build_env=environment)
        said, told = desk.fab("build")
        (bundle,) = (desk.folder / "dist").iterdir()
        assert said.strip() == str(bundle)
        assert "Resolving hello 1.0" in told
        assert "warning: the submodule vendor is left out" in told
        folder = Path(desk.hosts.run(1, "cat", noted)).parent  # in /tmp, where other tests build, too
        assert folder.name.startswith("platter-build.")
        desk.hosts.run(1, "test", "-e", folder, code=1)
        desk.fab("deploy", "--only", desk.hosts.names[0])
        assert desk.hosts.run(0, f"{desk.root}/versions/current/bin/hello") == "hello from leaf 2.0"

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    def test_a_build_that_fails(self, desk: Desk) -> None:
        projects.write(desk.folder, {"README": "no project"})
        projects.commit(desk.folder)
        desk.configure(build_host=desk.hosts.names[0], build_command=str(PLATTER))
        said, told = desk.fab("build", code=2)
        assert said == ""
        assert "has neither pyproject.toml nor setup.py" in told
        assert list((desk.folder / "dist").iterdir()) == []

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    def test_no_such_revision(self, desk: Desk) -> None:
        projects.commit(projects.hello(desk.folder))
        desk.configure(build_host=desk.hosts.names[0])
        _said, told = desk.fab("build", "--rev=--output=x", code=2)
        assert "error: git cannot make an archive of '--output=x' in" in told


class TestBadInput:
    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_a_broken_bundle(self, desk: Desk, bundles: dict[str, Path]) -> None:
        content = bundles["1.9"].read_bytes()
        broken = desk.folder / "dist" / bundles["1.9"].name
        broken.write_bytes(content[: len(content) // 2])
        said, _told = desk.fab("deploy", code=4)
        assert "unpacking" in said
        assert said.count("not tried") == 1

    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_a_host_without_python(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.configure(python=f"{desk.hosts.disk}/python")
        desk.hosts.run(0, "ln", "-s", sys.executable, f"{desk.hosts.disk}/python")
        desk.take(bundles["1.9"])
        said, told = desk.fab("deploy", code=3)
        assert "could not be run" in said
        assert told.endswith("1 done, 1 failed\n")

    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_a_host_that_does_not_answer(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.hosts.stop(1)
        desk.take(bundles["1.9"])
        said, told = desk.fab("deploy", code=1)
        assert "cannot be reached: " in said
        user_and_host, _, port = desk.hosts.names[1].rpartition(":")
        assert f"hint: does `ssh -p {port} {user_and_host} true` work?" in told

    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_a_host_with_another_key(self, desk: Desk, bundles: dict[str, Path]) -> None:
        """Whoever answers there is not who answered before."""
        (desk.folder / ".ssh").mkdir()
        key = desk.hosts.identity.with_suffix(".pub").read_text()
        (desk.folder / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{desk.hosts.ports[0]} {key}")
        desk.take(bundles["1.9"])
        said, told = desk.fab("deploy", code=1)
        assert "its host key is not the one in known_hosts" in said
        assert told.endswith("1 failed, 1 not tried\n")

    @pytest.mark.parametrize("hosts", [3], indirect=True)
    def test_a_second_operator(self, desk: Desk, bundles: dict[str, Path]) -> None:
        desk.take(bundles["1.9"])
        desk.fab("deploy")
        desk.take(bundles["1.10"])
        with desk.hosts.start(1, "flock", f"{desk.root}/.platter-lock", "cat") as other:
            said, told = desk.fab("deploy", code=6)
            other.communicate()
        assert "another process is changing the releases" in said
        assert "hint: wait until that has ended, then try again" in told
        assert desk.greetings() == [f"greet {'1.9' if n == 1 else '1.10'}" for n in range(3)]

    @pytest.mark.parametrize("hosts", [2], indirect=True)
    def test_nothing_to_go_back_to(self, desk: Desk, bundles: dict[str, Path]) -> None:
        said, _told = desk.fab("rollback", code=6)
        assert said.count(f"platter: {desk.root}/platter does not exist") == 2
        desk.take(bundles["1.9"])
        desk.fab("deploy")
        said, told = desk.fab("rollback", code=6)
        assert said.count("there is no release to go back to from 1.9") == 2
        assert told.count("hint: install another release first") == 2
        assert desk.greet(0) == "greet 1.9"

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"hots": []}, 'error: "hots" is not a setting\n  hint: did you mean "hosts"?'),
            ({"hosts": []}, "error: there are no hosts"),
        ],
    )
    def test_settings(self, desk: Desk, settings: dict[str, Any], message: str) -> None:
        desk.configure(**settings)
        said, told = desk.fab("rollback", code=2)
        assert said == ""
        assert message in told

    @pytest.mark.parametrize("hosts", [1], indirect=True)
    def test_no_bundle(self, desk: Desk) -> None:
        said, told = desk.fab("deploy", code=2)
        assert "error: there is no bundle in" in told
        assert said == ""


def test_a_full_disk(tmp_path: Path, bundles: dict[str, Path]) -> None:
    """One has no room for the upload, one for nothing but that, one none for unpacking; one may not be written to."""
    size = bundles["1.9"].stat().st_size // 1024
    with fleet(tmp_path / "hosts", 5, sizes=["200m", f"{size // 2}k", f"{size + 200}k"]) as hosts:
        desk = Desk(tmp_path / "desk", hosts, uploads=f"{hosts.disk}/up/loads")
        for number in range(5):
            hosts.run(number, "mkdir", f"{hosts.disk}/up")
        hosts.run(3, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/var/tmp")
        hosts.run(4, "mount", "-t", "tmpfs", "-o", "ro", "tmpfs", f"{hosts.disk}/up")
        desk.take(bundles["1.9"])
        said, told = desk.fab("deploy", code=5)
    assert f"{hosts.disk}/up/loads has no space for" in said
    assert 'hint: free space, or set "uploads" to a folder on another disk' in told
    assert "/var/tmp has no space for" in said
    assert "hint: free space there and let this user write there, or set TMPDIR for this user on the host" in told
    assert "Read-only file system" in said
    assert 'hint: set "uploads" to a folder that this user may write to' in told
    assert told.endswith("1 done, 4 failed\n")


def test_a_lost_connection(tmp_path: Path) -> None:
    """The server goes away, with all its sessions, in the middle of an upload."""
    with fleet(tmp_path / "hosts", 2) as hosts:
        desk = Desk(tmp_path / "desk", hosts, canary=0)
        big = archive(tmp_path / "made", "3.0", size=50_000_000)
        desk.take(big)
        command = [sys.executable, "-m", "fabric", "-i", str(hosts.identity), "deploy"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(desk.folder)}
        fab = subprocess.Popen(
            command, cwd=desk.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with fab:
            assert fab.stderr
            assert fab.stdout
            while not hosts.run(1, "find", f"{hosts.disk}/uploads", "-name", "*.part", "-size", "+100k", code=None):
                assert fab.poll() is None
            _end_sessions(hosts.servers[1].pid)
            told, said = fab.stderr.read(), fab.stdout.read()
        assert fab.returncode == 1, told
        assert "uploading greet-3.0" in said
        assert "hint: check the host and its free space" in told
        assert "Traceback" not in told
        listing = hosts.run(1, "ls", f"{hosts.disk}/uploads")
        assert listing.endswith(".part")
        _said, told = desk.fab("deploy")
        assert re.search(rf"{hosts.names[1]}: uploading 5\d\.\d MB; it has [\d.]+ [kM]B\n", told)
        assert set(desk.greetings()) == {"greet 3.0"}


def _end_sessions(server: int) -> None:
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    assert children
    subprocess.run(["kill", "-9", *children], check=True)


@pytest.mark.skipif(not Path("/usr/bin/sudo").exists(), reason="there is no sudo")
@pytest.mark.skipif(
    not Path(f"/usr/bin/python3.{sys.version_info[1]}").exists(), reason="other users cannot run our Python"
)
def test_another_user(tmp_path: Path, bundles: dict[str, Path]) -> None:
    """Who logs in is not who owns the root."""
    with fleet(tmp_path / "hosts", 1) as hosts:
        desk = Desk(tmp_path / "desk", hosts, sudo_user="nobody", python=f"/usr/bin/python3.{sys.version_info[1]}")
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_uid == os.getuid() and folder.is_relative_to(Path("/tmp")) and folder != Path("/tmp"):
                folder.chmod(0o755)
        hosts.run(0, "install", "-d", "-o", "nobody", f"{hosts.disk}/app")
        desk.take(bundles["1.9"])
        desk.fab("deploy")
        assert desk.greet(0) == "greet 1.9"
        assert hosts.run(0, "stat", "-c", "%U", f"{hosts.disk}/app/versions/1.9") == "nobody"
        said, _told = desk.fab("releases")
        assert "1.9  complete" in said
