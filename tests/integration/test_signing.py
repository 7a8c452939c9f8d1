"""Signed bundles: made by the builder, checked by install.sh, and by ssh-keygen alone."""

from __future__ import annotations

import json
import os
import pty
import py_compile
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.bundle.members import from_text
from platter_setuptools.bundle.signing import open_key
from platter_setuptools.errors import PlatterError, UsageError
from platter_setuptools.inspect.bundle_reader import read_contents
from platter_setuptools.inspect.verify import signer_of
from platter_setuptools.payload import untrusted
from platter_setuptools.runtime.processes import Runner
from support import handmade, keys, linked, projects
from support.fakes import Diary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.front_ends import Yard

pytestmark = keys.needs_openssh
SIGN = """
import sys
from pathlib import Path
from platter_setuptools.runtime.progress import Plain
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.bundle.members import from_text
from platter_setuptools.bundle.signing import open_key
key, work = map(Path, sys.argv[1:])
member = open_key(key, Runner()).sign(from_text("SHA256SUMS", "sums"), Plain(sys.stderr), work)
print(member.name, member.size)
"""


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert (done.returncode, done.stdout) == (code, "")
    return done.stderr


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys alice, mallory and locked, whose passphrase is `open sesame`; alice is allowed to sign."""
    folder = tmp_path_factory.mktemp("ring")
    for name, passphrase in (("alice", ""), ("mallory", ""), ("locked", "open sesame")):
        keys.make(folder, name=name, passphrase=passphrase)
    keys.allow(folder / "allowed", folder / "alice")
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> handmade.Bundle:
    folder = tmp_path_factory.mktemp("original")
    return handmade.bundle(folder, [handmade.wheel(folder)])


class TestInstalling:
    @pytest.fixture
    def made(self, original: handmade.Bundle, ring: Path, tmp_path: Path) -> handmade.Bundle:
        """A bundle that alice has signed."""
        path = linked.copy(original.path, tmp_path / "a bundle" / original.path.name)
        return handmade.Bundle(path=keys.sign(path, ring / "alice"), info=json.loads(json.dumps(original.info)))

    @pytest.fixture
    def dst(self, tmp_path: Path) -> Iterator[Path]:
        yield tmp_path / "releases" / "1.0"
        assert not (tmp_path / "releases" / ".1.0.platter-lock").exists()

    def test_what_is_signed_is_installed(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        for words in (["--allowed-signers", ring / "allowed"], [f"--allowed-signers={ring / 'allowed'}"], []):
            done = handmade.run(made, *words, dst)
            assert (done.returncode, done.stderr) == (0, "")
        subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=made.path, check=True)

    @pytest.mark.parametrize(
        "words", [["dash"], ["bash"], ["busybox", "sh"], ["mksh"], ["yash"], ["posh"]], ids=" ".join
    )
    def test_in_every_shell(self, made: handmade.Bundle, ring: Path, dst: Path, words: list[str]) -> None:
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not here")
        assert handmade.run(made, "--check", "--allowed-signers", ring / "allowed", dst, shell=words).returncode == 0
        keys.sign(made.path, ring / "mallory")
        refused(handmade.run(made, "--check", "--allowed-signers", ring / "allowed", dst, shell=words), 4)

    def test_unsigned(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        (made.path / "SHA256SUMS.sig").unlink()
        said = refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst), 4)
        assert f"{made.path} is not signed\nhint: " in said
        assert not dst.parent.exists()

    def test_signed_by_somebody_else(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        keys.sign(made.path, ring / "mallory")
        said = refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst), 4)
        assert f"is signed with ED25519 key {keys.fingerprint(ring / 'mallory')}, which" in said
        assert "alice" not in said
        assert not dst.parent.exists()

    def test_allowed_for_something_else(self, made: handmade.Bundle, ring: Path, dst: Path, tmp_path: Path) -> None:
        for number, options in enumerate(['namespaces="git"', 'valid-before="20200101"']):
            allowed = keys.allow(tmp_path / f"allowed{number}", ring / "alice", options=options)
            said = refused(handmade.run(made, "--allowed-signers", allowed, dst), 4)
            assert f"{keys.fingerprint(ring / 'alice')}, which {allowed} does not allow" in said

    def test_one_of_several_names(self, made: handmade.Bundle, ring: Path, dst: Path, tmp_path: Path) -> None:
        for number, who in enumerate(["*@example.com", "a@example.com,b@example.com", "*"]):
            allowed = keys.allow(tmp_path / f"several {number}", ring / "mallory", ring / "alice", who=who)
            assert handmade.run(made, "--check", "--allowed-signers", allowed, dst).returncode == 0

    def test_sums_that_were_changed_after_signing(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        (made.path / "PACKAGE").write_text("tampered\n")
        made.seal()
        assert handmade.run(made, "--check", dst).returncode == 0
        said = refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst), 4)
        assert "SHA256SUMS.sig is no signature of SHA256SUMS: " in said
        assert not dst.parent.exists()

    def test_a_signature_of_something_else(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        keys.sign(made.path, ring / "alice", namespace="git")
        refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst), 4)
        (made.path / "SHA256SUMS.sig").write_text("no signature at all\n")
        refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst), 4)

    def test_files_that_were_changed_after_signing(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        (made.data / "pylock.toml").write_text("tampered\n")
        done = handmade.run(made, "--allowed-signers", ring / "allowed", dst)
        assert done.returncode == 4
        assert "data/pylock.toml: altered" in done.stderr

    def test_nothing_of_the_bundle_runs_before(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        witness = made.path.parent / "it ran"
        payload = made.data / "bootstrap" / "platter_payload"
        for path in payload.rglob("*.py"):
            path.write_text(f"open({str(witness)!r}, 'w')\n")
        for path in payload.rglob("*.pyc"):
            path.unlink()
        said = refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst), 4)
        assert "platter_payload/__main__.py: altered" in said
        made.seal()
        refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst), 4)
        assert not witness.exists()
        handmade.run(made, dst)
        assert witness.exists()

    @pytest.mark.parametrize("first", [".", "", "tools", "../a bundle"])
    def test_no_program_of_the_bundle_runs_by_a_relative_path(
        self, made: handmade.Bundle, ring: Path, dst: Path, first: str
    ) -> None:
        """Neither before the signature was checked nor after, wherever in PATH the relative folder stands."""
        witness = made.path.parent / "it ran"
        pythons = ("python", "python3", f"python{made.info['python']}")
        for name in ("ssh-keygen", "sh", "env", "readlink", "printf", "command", "cat", "dirname", *pythons):
            for folder in (made.path, made.path / "tools", made.path.parent):
                folder.mkdir(exist_ok=True)
                (folder / name).write_text(f"#!/bin/sh\necho {name} >>'{witness}'\n")
                (folder / name).chmod(0o755)
        made.seal()
        right = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        words = ("--check", "--allowed-signers", ring / "allowed", dst)
        # With relative folders alone PATH is as if it was not set, and has a Python 3.11, say, or not.
        for path in (f"{first}:{right}", f"{right}:{first}", f"{first}:{first}"):
            for who, codes in (("mallory", {4}), ("alice", {0} if right in path else {0, 3, 5})):
                keys.sign(made.path, ring / who)
                done = handmade.run(made, *words, shell=["/bin/sh"], python=False, cwd=made.path, env={"PATH": path})
                assert not witness.exists()
                assert done.returncode in codes, done.stderr

    @pytest.mark.parametrize("name", ["json", "signal", "zipfile", "msvcrt", "virtualenv", "platter_payload"])
    def test_a_module_that_was_added_does_not_run(
        self, made: handmade.Bundle, ring: Path, dst: Path, name: str
    ) -> None:
        witness = made.path.parent / "it ran"
        (made.data / "bootstrap" / f"{name}.py").write_text(f"open({str(witness)!r}, 'w')\n")
        done = handmade.run(made, "--allowed-signers", ring / "allowed", dst)
        assert (done.returncode, f"data/bootstrap/{name}.py" in done.stderr) == (4, True)
        assert not witness.exists()

    def test_a_package_behind_a_link_does_not_run(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        witness = made.path.parent / "it ran"
        (made.path / "other").mkdir()
        (made.path / "other" / "__init__.py").write_text(f"open({str(witness)!r}, 'w')\n")
        (made.data / "bootstrap" / "platter_payload" / "other").symlink_to(made.path / "other")
        said = refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst), 4)
        assert "platter_payload/other: not what SHA256SUMS says" in said
        assert not witness.exists()

    @pytest.mark.parametrize("name", ["data", "data/bootstrap/platter_payload"])
    def test_another_bundle_behind_a_link_does_not_run(
        self, made: handmade.Bundle, ring: Path, dst: Path, name: str
    ) -> None:
        witness = made.path.parent / "it ran"
        other = handmade.Bundle(path=Path(shutil.copytree(made.path, made.path / "other")), info=made.info)
        module = other.data / "bootstrap" / "platter_payload" / "installation.py"
        module.write_text(f"open({str(witness)!r}, 'w')\n")
        py_compile.compile(str(module), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        other.seal()
        shutil.rmtree(made.path / name)
        (made.path / name).symlink_to(other.path / name)
        done = handmade.run(made, "--allowed-signers", ring / "allowed", dst)
        assert done.returncode == 4
        compiled = f"__pycache__/installation.{sys.implementation.cache_tag}.pyc"
        assert f"platter_payload/{compiled}: not what SHA256SUMS says" in done.stderr
        assert not witness.exists()

    def test_a_version_of_python_is_no_path(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        witness = made.path.parent / "it ran"
        (made.path / "python3.1").mkdir()
        trap = made.path / "trap"
        trap.write_text(f"#!/bin/sh\ntouch '{witness}'\n")
        trap.chmod(0o755)
        info = (made.path / "info.json").read_text()
        for version in ("3.1/../trap", "3.1 ./trap", "3.11.2", "3.", ".1"):
            (made.path / "info.json").write_text(
                info.replace(f'"python": "{made.info["python"]}"', f'"python": "{version}"')
            )
            done = handmade.run(made, "--allowed-signers", ring / "allowed", dst, python=False, cwd=made.path)
            assert "does not name a Python version" in refused(done, 4)
        assert not witness.exists()

    def test_without_ssh_keygen(self, made: handmade.Bundle, ring: Path, dst: Path, tmp_path: Path) -> None:
        (tmp_path / "bin").mkdir()
        environ = {"PATH": str(tmp_path / "bin")}
        shell = [str(shutil.which("sh"))]
        said = refused(handmade.run(made, "--allowed-signers", ring / "allowed", dst, env=environ, shell=shell), 5)
        assert "ssh-keygen, which checks signatures, is not on this machine\nhint: install OpenSSH's" in said

    def test_usage(self, made: handmade.Bundle, ring: Path, dst: Path) -> None:
        for words in (["--allowed-signers"], ["--allowed-signers", ""], ["--allowed-signers="]):
            assert "--allowed-signers needs a value" in refused(handmade.run(made, dst, *words), 2)
            assert "--allowed-signers needs a value" in refused(handmade.run(made, *words[:2], "", dst), 2)
        assert "none cannot be read as a file" in refused(
            handmade.run(made, "--allowed-signers", ring / "none", dst), 2
        )
        assert not dst.parent.exists()


@dataclass(frozen=True, kw_only=True)
class Case:
    """A bundle that alice has signed, and the file that allows her: what a row of the table spoils."""

    made: handmade.Bundle
    ring: Path
    allowed: Path

    @property
    def sums(self) -> Path:
        return self.made.path / "SHA256SUMS"

    @property
    def signature(self) -> Path:
        return self.made.path / "SHA256SUMS.sig"

    def allow(self, line: str, who: str = "alice") -> None:
        """Write one line: `KEY` in it stands for the public key."""
        public = " ".join((self.ring / f"{who}.pub").read_text().split()[:2])
        self.allowed.write_bytes(line.replace("KEY", public).encode())

    def sign_with(self, kind: str) -> None:
        key = keys.make(self.allowed.parent, kind)
        keys.sign(self.made.path, key)
        keys.allow(self.allowed, key)

    def certify(self, line: str) -> None:
        """Let mallory be an authority, whose certificate says that alice's key is `carol`'s."""
        shutil.copy(self.ring / "alice", key := self.allowed.parent / "carol")
        shutil.copy(self.ring / "alice.pub", key.with_name("carol.pub"))
        words: list[str | Path] = ["ssh-keygen", "-q", "-s", self.ring / "mallory", "-I", "x", "-n", "carol"]
        subprocess.run([*words, key.with_name("carol.pub")], check=True, capture_output=True)
        keys.sign(self.made.path, key.with_name("carol-cert.pub"))
        self.allow(line, "mallory")


def kinds(file: Path, kind: str) -> None:
    """Put something else in the place of a file."""
    content = file.read_bytes()
    file.unlink()
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "link":
            file.with_name("other").write_bytes(content)
            file.symlink_to("other")
        case "dangling":
            file.symlink_to("nowhere")
        case "device":
            if os.geteuid():
                pytest.skip("only the superuser makes devices")
            os.mknod(file, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
        case "huge":
            file.write_bytes(content)
            os.truncate(file, 100 << 20)
        case "empty":
            file.touch()
        case "copy":
            file.write_bytes(content)


YES, NO, SIGNERS, HOST = (0, None), (4, 6), (2, 2), (5, 2)  # exit codes of install.sh and platter verify
# What is done, what both sides say to it, and as whose the bundle passes.
ROWS: dict[str, tuple[Callable[[Case], object], tuple[int, int | None], str]] = {
    "nothing": (lambda _: None, YES, "team@example.com"),
    **{
        f"signature: {kind}": (lambda case, kind=kind: kinds(case.signature, kind), NO, "")  # type: ignore[misc]
        for kind in ("pipe", "folder", "link", "dangling", "device", "huge", "empty")
    },
    **{
        f"sums: {kind}": (lambda case, kind=kind: kinds(case.sums, kind), NO, "")  # type: ignore[misc]
        for kind in ("pipe", "folder", "link", "dangling", "device", "huge", "empty")
    },
    **{
        f"signers: {kind}": (lambda case, kind=kind: kinds(case.allowed, kind), SIGNERS, "")  # type: ignore[misc]
        for kind in ("pipe", "folder", "dangling", "device", "huge")
    },
    "signers: link": (lambda case: kinds(case.allowed, "link"), YES, "team@example.com"),
    "signers: empty": (lambda case: kinds(case.allowed, "empty"), NO, ""),
    "signers: missing": (lambda case: case.allowed.unlink(), SIGNERS, ""),
    "signers: comment": (lambda case: case.allow("# team@example.com KEY\n"), NO, ""),
    "signers: CRLF": (lambda case: case.allow("# x\r\nteam@example.com KEY\r\n"), YES, "team@example.com"),
    "signers: no line end": (lambda case: case.allow("team@example.com KEY"), YES, "team@example.com"),
    "signers: no key": (lambda case: case.allow("team@example.com ssh-ed25519 AAAA\n"), NO, ""),
    "signers: binary": (lambda case: case.allowed.write_bytes(bytes(range(256)) * 100), NO, ""),
    "garbage": (lambda case: case.signature.write_bytes(os.urandom(300)), NO, ""),
    "cut off": (lambda case: os.truncate(case.signature, 200), NO, ""),
    "data behind": (
        lambda case: case.signature.write_text(case.signature.read_text() + "more\n"),
        YES,
        "team@example.com",
    ),
    "data before": (lambda case: case.signature.write_text("more\n" + case.signature.read_text()), NO, ""),
    "two signatures": (lambda case: case.signature.write_text(case.signature.read_text() * 2), YES, "team@example.com"),
    "sums changed": (lambda case: case.sums.write_text(case.sums.read_text() + "\n"), NO, ""),
    "other namespace": (lambda case: keys.sign(case.made.path, case.ring / "alice", namespace="git"), NO, ""),
    "other signer": (lambda case: keys.sign(case.made.path, case.ring / "mallory"), NO, ""),
    "expired": (lambda case: case.allow('a@b valid-before="20200101" KEY\n'), NO, ""),
    "not yet": (lambda case: case.allow('a@b valid-after="20990101" KEY\n'), NO, ""),
    "in time": (lambda case: case.allow('a@b valid-after="20200101",valid-before="20990101" KEY\n'), YES, "a@b"),
    "for git": (lambda case: case.allow('a@b namespaces="git" KEY\n'), NO, ""),
    "for platter, too": (lambda case: case.allow('a@b namespaces="git,platter" KEY\n'), YES, "a@b"),
    "unknown option": (lambda case: case.allow("a@b surely KEY\n"), NO, ""),
    "authority": (lambda case: case.allow("a@b cert-authority KEY\n"), NO, ""),
    "certificate": (lambda case: case.certify("carol cert-authority KEY\n"), YES, "carol"),
    "certificate for others": (lambda case: case.certify("dave cert-authority KEY\n"), NO, ""),
    "certificate of no authority": (lambda case: case.certify("carol KEY\n"), NO, ""),
    "two names": (lambda case: case.allow("a@b,c@d KEY\n"), YES, "a@b"),
    "wildcards": (lambda case: case.allow("*@example.com KEY\n"), YES, "*@example.com"),
    "quoted name": (lambda case: case.allow('"a b" KEY\n'), YES, "a b"),
    "name with an option": (lambda case: case.allow("-f KEY\n"), YES, "-f"),
    "shell in a name": (lambda case: case.allow("$(touch${IFS}pwned)`id` KEY\n"), YES, "$(touch${IFS}pwned)`id`"),
    "escape in a name": (lambda case: case.allow("a\x1b[2Jb KEY\n"), YES, "a\x1b[2Jb"),
    "RSA": (lambda case: case.sign_with("rsa"), YES, "team@example.com"),
    "ECDSA": (lambda case: case.sign_with("ecdsa"), YES, "team@example.com"),
}


class TestBothSides:
    """install.sh and platter verify have the same opinion of every signature."""

    @pytest.fixture
    def case(self, original: handmade.Bundle, ring: Path, tmp_path: Path) -> Case:
        path = Path(shutil.copytree(original.path, tmp_path / original.path.name, copy_function=os.link))
        kinds(path / "SHA256SUMS", "copy")
        made = handmade.Bundle(path=keys.sign(path, ring / "alice"), info=original.info)
        (tmp_path / "etc").mkdir()
        return Case(made=made, ring=ring, allowed=keys.allow(tmp_path / "etc" / "allowed", ring / "alice"))

    def judge(self, case: Case, work: Path) -> tuple[tuple[int, int | None], str]:
        """What both sides say, and whom the second one names."""
        dst = work / "dst"
        words = ("--check", "--allowed-signers", case.allowed, dst)
        done = handmade.run(case.made, *words, shell=["/bin/sh"], stdin=subprocess.DEVNULL, cwd=work)
        assert "Traceback" not in done.stderr
        assert (done.returncode == 0) != ("\nhint: " in done.stderr), done.stderr
        try:
            contents = read_contents(case.made.path, work)
            signer = signer_of(case.made.path, contents, case.allowed, Runner(), Diary(), work)
        except PlatterError as error:
            return (done.returncode, error.exit_code), "" if error.hint else "no hint"
        return (done.returncode, None), signer or ""

    @pytest.mark.parametrize("row", ROWS)
    def test_table(self, case: Case, tmp_path: Path, row: str) -> None:
        spoil, codes, signer = ROWS[row]
        spoil(case)
        (work := tmp_path / "work").mkdir()
        assert self.judge(case, work) == (codes, signer)
        assert not list(tmp_path.rglob("pwned"))

    @pytest.mark.parametrize("kind", ["none", "before -Y", "without find-principals"])
    def test_programs(self, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        tools = tmp_path / "tools"
        tools.mkdir()
        (tools / "wc").symlink_to(str(shutil.which("wc")))
        said = {
            "before -Y": "unknown option -- Y",
            "without find-principals": 'Unsupported operation for -Y: "find-principals"',
        }
        if kind in said:
            text = f"#!/bin/sh\necho '{said[kind]}' >&2\necho 'usage: ssh-keygen [-q]' >&2\nexit 1\n"
            (tools / "ssh-keygen").write_text(text)
            (tools / "ssh-keygen").chmod(0o755)
        monkeypatch.setenv("PATH", str(tools))
        assert self.judge(case, tmp_path) == (HOST, "")

    def test_limits_are_those_of_the_page(self) -> None:
        numbers = set(map(int, re.findall(r'is_within "[^"]*" (\d+)', (handmade.PAYLOAD / "install.sh").read_text())))
        assert {untrusted.TEXT, untrusted.LIST, untrusted.SIGNATURE} <= numbers


class TestBuilding:
    @pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
    def test_from_either_door_to_a_checked_installation(
        self, yard: Yard, tmp_path: Path, ring: Path, kind: str
    ) -> None:
        key = keys.make(tmp_path, kind)
        project = projects.hello(tmp_path / "project")
        if kind == "ed25519":
            bundle = yard.command(project, f"--sign-with={key}", "--format=dir")
        else:
            bundle = yard.build(project, "--format=dir", PLATTER_BUILD_SIGN_WITH=os.fspath(key))
        assert "SHA256SUMS.sig" not in (bundle / "SHA256SUMS").read_text()
        allowed = keys.allow(tmp_path / "allowed", key)
        words: list[str | Path] = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            allowed,
            "-I",
            "team@example.com",
            "-n",
            "platter",
            "-s",
        ]
        with (bundle / "SHA256SUMS").open() as sums:
            subprocess.run([*words, bundle / "SHA256SUMS.sig"], check=True, stdin=sums, capture_output=True)
        subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=bundle, check=True)
        install: list[str | Path] = [bundle / "install.sh", "-p", sys.executable, "--allowed-signers"]
        subprocess.run([*install, allowed, tmp_path / "app"], check=True, capture_output=True)
        strangers = subprocess.run([*install, ring / "allowed", tmp_path / "x"], check=False, capture_output=True)
        assert strangers.returncode == 4
        secret = key.read_text().splitlines()[1]
        assert not [path for path in bundle.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]

    def test_the_signature_is_all_that_it_adds(self, yard: Yard, tmp_path: Path, ring: Path) -> None:
        project = projects.hello(tmp_path / "project")
        plain = yard.build(project, "--format=dir", "--output", tmp_path / "plain")
        done = yard.platter("build", "-v", "--format=dir", f"--sign-with={ring / 'alice'}", cwd=project)
        assert f"Signing with 256 {keys.fingerprint(ring / 'alice')} alice@test (ED25519)\n" in done.stderr
        secret = (ring / "alice").read_text().splitlines()[1]
        assert secret not in done.stdout + done.stderr
        signed = Path(done.stdout.strip())
        names = {path.relative_to(signed) for path in signed.rglob("*")}
        assert names - {path.relative_to(plain) for path in plain.rglob("*")} == {Path("SHA256SUMS.sig")}
        assert (signed / "SHA256SUMS").read_bytes() == (plain / "SHA256SUMS").read_bytes()

    def test_what_is_no_key_is_told_before_anything_is_built(self, yard: Yard, tmp_path: Path) -> None:
        project = projects.hello(tmp_path / "project", {"note": "no key\n"})
        said = yard.refuse(2, project, "--sign-with=note")
        assert "note is no key that ssh-keygen can read" in said
        assert "Building" not in said
        assert "nowhere does not exist" in yard.refuse(2, project, "--sign-with=nowhere")

    def test_a_script_cannot_sign(self, yard: Yard, tmp_path: Path) -> None:
        project = projects.hello(tmp_path / "project", {"post.sh": "echo forged >SHA256SUMS.sig\n"})
        assert "changed SHA256SUMS.sig" in yard.refuse(7, project, "--postbuild-script=post.sh")


class TestKeys:
    def test_without_ssh_keygen(self, ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(UsageError, match="sign-with needs ssh-keygen, which is not there"):
            open_key(ring / "alice", Runner())

    def test_a_passphrase_and_no_terminal(self, ring: Path, tmp_path: Path) -> None:
        words: list[str | Path] = [sys.executable, "-c", SIGN, ring / "locked", tmp_path]
        environ = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "SSH_AUTH_SOCK"}}
        reading, writing = os.pipe()  # which nobody will ever write to
        done = subprocess.run(
            words,
            check=False,
            stdin=reading,
            capture_output=True,
            text=True,
            start_new_session=True,
            env=environ,
            timeout=60,
        )
        os.close(reading)
        os.close(writing)
        assert done.returncode == 1
        assert f"PlatterError: the bundle is not signed: ssh-keygen cannot sign with {ring / 'locked'}" in done.stderr

    def test_a_passphrase_at_a_terminal(self, ring: Path, tmp_path: Path) -> None:
        child, terminal = pty.fork()
        if not child:
            environ = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
            os.execve(sys.executable, [sys.executable, "-c", SIGN, str(ring / "locked"), str(tmp_path)], environ)
        said = b""
        try:
            while b"passphrase" not in said:
                said += os.read(terminal, 1000)
            os.write(terminal, b"open sesame\n")
            while True:
                said += os.read(terminal, 1000)
        except OSError:  # the other side has ended
            _, status = os.waitpid(child, 0)
        os.close(terminal)
        assert status == 0, said.decode()
        assert b"sesame" not in said

    def test_an_agent_signs_with_the_public_key(
        self, ring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        socket = tmp_path / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
        try:
            while not socket.exists():
                assert agent.poll() is None
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", ring / "alice"], check=True)
            public = tmp_path / "key.pub"
            shutil.copy(ring / "alice.pub", public)
            signer = open_key(public, Runner())
            assert signer.sign(from_text("SHA256SUMS", "sums"), Diary(), tmp_path).name == "SHA256SUMS.sig"
            subprocess.run(["ssh-add", "-q", "-D"], check=True)
            with pytest.raises(PlatterError, match=r"cannot sign with .*key\.pub"):
                signer.sign(from_text("SHA256SUMS", "sums"), Diary(), tmp_path)
        finally:
            agent.terminate()
            agent.wait()
