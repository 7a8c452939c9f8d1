"""Source trees: unpacked, cloned, copied, hashed."""

from __future__ import annotations

import io
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from platter_setuptools.errors import CommandError, DependencyError
from platter_setuptools.resolve.credentials import Login, Place, places
from platter_setuptools.resolve.indexes import IndexSettings
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.wheels.sources import Checkout, check_out, unpack
from support import projects
from support.fakes import Call, Diary, FakeRunner, failing


def tar(path: Path, *members: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(member[0])
                header.size = len(member[1])
                archive.addfile(header, io.BytesIO(member[1]))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = tarfile.SYMTYPE, target
    return header


class TestUnpack:
    @pytest.mark.parametrize(
        ("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tar.bz2", "w:bz2"), ("a.tar.xz", "w:xz"), ("a.tar", "w")]
    )
    def test_tar(self, name: str, mode: str, tmp_path: Path) -> None:
        path = tar(tmp_path / name, ("a-1.0/setup.py", b"x"), mode=mode)
        tree = unpack(path, tmp_path / "out")
        assert tree == tmp_path / "out" / "a-1.0"
        assert (tree / "setup.py").read_bytes() == b"x"

    def test_zip(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a-1.0/setup.py", "x")
        assert (unpack(tmp_path / "a.zip", tmp_path / "out") / "setup.py").read_text() == "x"

    def test_without_a_top_folder(self, tmp_path: Path) -> None:
        path = tar(tmp_path / "a.tar.gz", ("setup.py", b""), ("src/a.py", b""))
        assert unpack(path, tmp_path / "out") == tmp_path / "out"
        path = tar(tmp_path / "b.tar.gz", ("setup.py", b""))
        assert unpack(path, tmp_path / "other") == tmp_path / "other"

    @pytest.mark.parametrize(
        "member", [("../evil", b""), ("a/../../evil", b""), link("a/l", "../../evil"), link("a/l", "/etc/passwd")]
    )
    def test_members_that_leave(self, member: tarfile.TarInfo | tuple[str, bytes], tmp_path: Path) -> None:
        path = tar(tmp_path / "a.tar.gz", ("a/setup.py", b""), member)
        with pytest.raises(DependencyError, match=r"a\.tar\.gz cannot be unpacked"):
            unpack(path, tmp_path / "in" / "out")
        assert not list(tmp_path.rglob("evil"))

    def test_members_of_a_zip_stay_inside(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a/../../evil", "x")
        unpack(tmp_path / "a.zip", tmp_path / "in" / "out")
        assert all(path.is_relative_to(tmp_path / "in" / "out") for path in tmp_path.rglob("evil"))

    @pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip"])
    def test_all_ways_of_being_damaged(self, name: str, tmp_path: Path) -> None:
        noise = random.Random(3).randbytes(2000).hex().encode()  # compressible, a little
        path = tmp_path / name
        if name.endswith("zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a/b", noise)
        else:
            tar(path, ("a/b", noise), mode=f"w:{name.rpartition('.')[2]}")
        whole = path.read_bytes()
        for number, at in enumerate(range(0, len(whole), 199)):
            for damaged in (whole[:at], whole[:at] + bytes(20) + whole[at + 20 :]):
                path.write_bytes(damaged)
                try:
                    unpack(path, tmp_path / f"{number}-{len(damaged)}")
                except DependencyError as error:
                    assert name in error.message  # noqa: PT017 - some damage goes unnoticed, all other is told

    def test_rubbish(self, tmp_path: Path) -> None:
        (tmp_path / "a.tar.gz").write_bytes(b"rubbish")
        with pytest.raises(DependencyError, match="cannot be unpacked") as caught:
            unpack(tmp_path / "a.tar.gz", tmp_path / "out")
        assert "sdist" in str(caught.value.hint)


def test_a_zip_file_s_programs_stay_programs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, mode in (("a/tool", 0o100755), ("a/text", 0o100644)):
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, "x")
    tree = unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [os.access(tree / name, os.X_OK) for name in ("tool", "text")] == [True, False]


class TestCheckOut:
    def test_the_commands(self, tmp_path: Path) -> None:
        run = FakeRunner()
        assert check_out("git", "https://host/a.git", "12ab", tmp_path / "a", run) == tmp_path / "a"
        assert run.calls[0].command[:2] == ("git", "clone")
        assert run.calls[0].command[-3:] == ("--", "https://host/a.git", str(tmp_path / "a"))
        assert run.calls[2].command[-1] == "12ab"
        assert "submodule" in run.calls[3].command
        assert all(call.env["GIT_TERMINAL_PROMPT"] == "0" for call in run.calls)

    def test_other_systems(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError, match="https://host/a is a hg repository, and only git is supported"):
            check_out("hg", "https://user:secret@host/a", "1", tmp_path, FakeRunner())

    def test_failure(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError, match="commit 12ab of https://host/a cannot be checked out") as caught:
            check_out("git", "https://user:secret@host/a", "12ab", tmp_path, failing("fatal: no"))
        assert caught.value.output == ("fatal: no",)

    def test_a_login_is_on_no_command_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        known = [Place("https://host/", Login("me", "s3cr3t")), Place("https://other/", Login("x", "y"))]
        for url in ("https://host/a.git", "https://me:s3cr3t@host/a.git"):
            run = FakeRunner()
            check_out("git", url, "12ab", tmp_path / "a", run, known)
            assert run.calls[0].command[-2] == "https://host/a.git"
            for call in run.calls:
                assert "s3cr3t" not in " ".join(call.command)
                assert call.env["GIT_CONFIG_COUNT"] == "2"
                assert call.env["GIT_CONFIG_KEY_1"] == "http.https://host/.extraHeader"
                assert call.env["GIT_CONFIG_VALUE_1"] == "Authorization: Basic bWU6czNjcjN0"

    def test_each_repository_of_a_host_has_its_own_login(self, tmp_path: Path) -> None:
        settings = IndexSettings(more_urls=("git+https://t0ken1@host/a/x.git@v1", "git+https://t0ken2@host/a/y.git"))
        for name, value in (("x", "dDBrZW4xOg=="), ("y", "dDBrZW4yOg==")):
            run = FakeRunner()
            check_out("git", f"https://host/a/{name}.git", "12ab", tmp_path / "a", run, places(settings))
            assert run.calls[0].env["GIT_CONFIG_VALUE_0"] == f"Authorization: Basic {value}"

    def test_without_git(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(DependencyError, match="cannot be checked out") as caught:
            check_out("git", "https://host/a", "12ab", tmp_path / "a", Runner())
        assert "cannot start git" in caught.value.output[0]

    def test_a_commit_that_no_branch_leads_to(self, tmp_path: Path) -> None:
        repository = projects.write(tmp_path / "repository", {"a": "1"})
        projects.commit(repository)

        def git(*words: str) -> str:
            return Runner()(["git", "-C", repository, *words]).strip()

        about = ("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "b")
        git("checkout", "--quiet", "--detach")
        git(*about)
        commit = git("rev-parse", "HEAD")
        git("update-ref", "refs/pull/7/head", commit)
        git("checkout", "--quiet", "-")
        found = check_out("git", repository.as_uri(), commit, tmp_path / "a", Runner())
        assert Runner()(["git", "-C", found, "rev-parse", "HEAD"]).strip() == commit


COMMIT = "0123456789" * 4
TREE = Path("/src/app")


def repository(revision: str, *files: str) -> FakeRunner:
    def answer(call: Call) -> str:
        assert call.command[:3] == ("git", "-C", str(TREE))
        assert call.env["GIT_OPTIONAL_LOCKS"] == "0"
        if "ls-files" in call.command:
            return "".join(f"{file}\n" for file in files)
        return f"{revision}\n"

    return FakeRunner(answer)


def recorded(runner: FakeRunner, tree: Path | None = TREE) -> tuple[str | None, list[str]]:
    diary = Diary()
    checkout = Checkout(tree, runner, record=True)
    checkout.read_revision(diary)
    return checkout.revision, diary.said("warn")


@pytest.mark.parametrize("revision", [COMMIT, f"{COMMIT}-dirty", "a1" * 32])
def test_the_commit_is_recorded(revision: str) -> None:
    assert recorded(repository(revision, "pyproject.toml", "app.py")) == (revision, [])


def test_nothing_is_recorded_unasked() -> None:
    runner = repository(COMMIT, "setup.py")
    checkout = Checkout(TREE, runner)
    checkout.read_revision(Diary())
    assert (checkout.revision, checkout.tracked) == (None, ("setup.py",))
    assert [call.command[-1] for call in runner.calls] == ["ls-files"]


@pytest.mark.parametrize(
    ("runner", "tree"),
    [
        (failing("fatal: not a git repository"), TREE),
        (failing("cannot start git: No such file or directory", returncode=127), TREE),
        (repository(COMMIT, "docs/index.md"), TREE),  # another project's repository, with ours in it
        (repository(COMMIT), TREE),
        (repository("v1.0", "setup.py"), TREE),
    ],
)
def test_where_git_does_not_know(runner: FakeRunner, tree: Path) -> None:
    revision, warnings = recorded(runner, tree)
    assert (revision, warnings) == (
        None,
        ["record-git-state: git knows no commit of /src/app; the bundle records none"],
    )


def test_a_finished_wheel_tells_nothing() -> None:
    revision, warnings = recorded(FakeRunner(lambda _call: pytest.fail("git was asked")), None)
    assert revision is None
    assert warnings == ["record-git-state: what commit a finished wheel is of is unknown; the bundle records none"]


def test_a_repository_that_cannot_be_read_any_more() -> None:
    def answer(call: Call) -> str:
        if "describe" in call.command:
            raise CommandError("git ended", returncode=128, output=())
        return "setup.py\n"

    assert recorded(FakeRunner(answer))[0] is None


@pytest.mark.parametrize(
    ("revision", "time", "files", "expected"),
    [
        (COMMIT, f"1700000000 {COMMIT}", ("setup.py",), 1700000000),
        (f"{COMMIT}-dirty", f"1700000000 {COMMIT}", ("setup.py",), None),
        (COMMIT, f"1700000000 {COMMIT}", ("docs/index.md",), None),
        ("", "", ("setup.py",), None),  # no commit yet
    ],
)
def test_the_time_of_the_commit(revision: str, time: str, files: tuple[str, ...], expected: int | None) -> None:
    known = repository(revision, *files)

    def answer(call: Call) -> str:
        return time if "rev-list" in call.command else known.answer(call)

    assert Checkout(TREE, FakeRunner(answer)).commit_time == expected
