"""Source trees: unpacked, cloned, copied, hashed."""

from __future__ import annotations

import io
import os
import random
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.ground.errors import DependencyError
from platter_setuptools.ground.run import Processes
from platter_setuptools.steps.resolving.credentials import Login, Place, places
from platter_setuptools.steps.resolving.indexes import IndexSettings
from platter_setuptools.steps.wheelhouse.sources import check_out, unpack
from support import projects
from support.fakes import FakeRunner, failing

if TYPE_CHECKING:
    from pathlib import Path


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
            check_out("git", "https://host/a", "12ab", tmp_path / "a", Processes())
        assert "cannot start git" in caught.value.output[0]

    def test_a_commit_that_no_branch_leads_to(self, tmp_path: Path) -> None:
        repository = projects.write(tmp_path / "repository", {"a": "1"})
        projects.commit(repository)

        def git(*words: str) -> str:
            return Processes()(["git", "-C", repository, *words]).strip()

        about = ("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "b")
        git("checkout", "--quiet", "--detach")
        git(*about)
        commit = git("rev-parse", "HEAD")
        git("update-ref", "refs/pull/7/head", commit)
        git("checkout", "--quiet", "-")
        found = check_out("git", repository.as_uri(), commit, tmp_path / "a", Processes())
        assert Processes()(["git", "-C", found, "rev-parse", "HEAD"]).strip() == commit
