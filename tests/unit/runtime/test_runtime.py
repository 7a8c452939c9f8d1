"""The small pieces: times, URLs without secrets, files, errors."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import io
import pkgutil
import zipfile
from typing import TYPE_CHECKING

import pytest

import platter_setuptools
from platter_setuptools import errors
from platter_setuptools.bundle.members import from_text
from platter_setuptools.errors import PlatterError, UsageError
from platter_setuptools.payload.errors import InstallError, Interrupted
from platter_setuptools.runtime.files import link_or_copy, sha256_of, sha256_of_file
from platter_setuptools.runtime.reproducible import EARLIEST, LATEST, source_date_epoch
from platter_setuptools.runtime.signals import Stopped
from platter_setuptools.urls import redact, without_userinfo
from support.archives import write_archive

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("", 315532800),
            ("0", 315532800),
            ("1700000000", 1700000000),
            ("315532801", 315532801),
            ("99999999999999999999", LATEST),
        ],
    )
    def test_seconds(self, text: str, seconds: int) -> None:
        assert source_date_epoch({"SOURCE_DATE_EPOCH": text}) == seconds

    def test_unset(self) -> None:
        assert source_date_epoch({}) == EARLIEST

    @pytest.mark.parametrize("text", ["-1", "1.5", "now", " 1", "1e3", "²"])
    def test_not_a_number(self, text: str) -> None:
        with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is "):
            source_date_epoch({"SOURCE_DATE_EPOCH": text})

    @pytest.mark.parametrize(("mtime", "year"), [(EARLIEST, 1980), (LATEST, 2107)])
    def test_a_zip_file_can_hold_them(self, mtime: int, year: int, tmp_path: Path) -> None:
        path = write_archive([from_text("a", "")], "b", "zip", tmp_path, mtime)[0]
        with zipfile.ZipFile(path) as archive:
            assert {one.date_time[0] for one in archive.infolist()} == {year}


class TestUrls:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("https://user:secret@host/x", "https://host/x"),
            ("https://token@host", "https://host"),
            ("Looking at https://a:b@h/x, then http://c:d@i:80/.", "Looking at https://h/x, then http://i:80/."),
            ("'https://user:pa'ss@host/'", "'https://host/'"),
            ('"https://user:p"w@host/"', '"https://host/"'),
            ("https://user:p@ss@host/", "https://host/"),
            ("git+ssh://git@host/a.git@main", "git+ssh://host/a.git@main"),
            ("https://host/@scope/x?mail=a@b", "https://host/@scope/x?mail=a@b"),
            ("mail me@host or https://host/", "mail me@host or https://host/"),
            ("https://h,https://user:pw@i/", "https://h,https://i/"),
            ("", ""),
        ],
    )
    def test_redact(self, text: str, expected: str) -> None:
        assert redact(text) == expected

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://user:p@ss@host:8080/x?y#z", "https://host:8080/x?y#z"),
            ("https://host/a@b", "https://host/a@b"),
            ("ssh://git@host/a.git", "ssh://git@host/a.git"),
            ("git+ssh://git@host/a.git", "git+ssh://git@host/a.git"),
            ("ssh://git:secret@host/a.git", "ssh://host/a.git"),
            ("file:///srv/a@b", "file:///srv/a@b"),
            ("/srv/a", "/srv/a"),
        ],
    )
    def test_without_userinfo(self, url: str, expected: str) -> None:
        assert without_userinfo(url) == expected


class TestFiles:
    @pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
    def test_hashing(self, size: int, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"x" * size)
        expected = (hashlib.sha256(b"x" * size).hexdigest(), size)
        assert sha256_of_file(tmp_path / "a") == sha256_of(io.BytesIO(b"x" * size)) == expected

    def test_placing_links_where_it_can(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("content")
        link_or_copy(tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "a").samefile(tmp_path / "b")

    def test_placing_copies_where_it_cannot(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        (tmp_path / "a").write_text("content")
        monkeypatch.setattr("os.link", refuse)
        link_or_copy(tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "b").read_text() == "content"
        assert not (tmp_path / "a").samefile(tmp_path / "b")


def modules() -> list[ModuleType]:
    """Every module of the package; __main__ would run it."""
    found = pkgutil.walk_packages(platter_setuptools.__path__, "platter_setuptools.")
    return [importlib.import_module(one.name) for one in found if not one.name.endswith("__main__")]


class TestErrors:
    def test_every_exception_class_has_one_of_the_two_roots(self) -> None:
        found = {
            one
            for module in modules()
            for one in vars(module).values()
            if inspect.isclass(one) and issubclass(one, BaseException) and one.__module__ == module.__name__
        }
        assert {"PlatterError", "BuildError", "InstallError", "BundleError"} <= {one.__name__ for one in found}
        for one in found:
            root = InstallError if ".payload." in one.__module__ else PlatterError
            assert issubclass(one, root) or one in (Interrupted, Stopped), one

    def test_exit_codes_are_the_contracts(self) -> None:
        kinds: list[type[PlatterError]] = [
            one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, PlatterError)
        ]
        assert {one.__name__: one.exit_code for one in kinds} == {
            "PlatterError": 1,
            "UsageError": 2,
            "ProjectBuildError": 3,
            "DependencyError": 4,
            "WheelError": 5,
            "BundleError": 5,
            "ArchiveError": 6,
            "ScriptError": 7,
            "CommandError": 1,
            "InterruptedBuildError": 1,
        }

    def test_the_payloads_exit_codes_are_the_contracts(self) -> None:
        kinds: list[type[InstallError]] = [InstallError, *all_subclasses(InstallError)]
        assert {one.__name__: one.exit_code for one in kinds} == {
            "InstallError": 1,
            "UsageError": 2,
            "PythonError": 3,
            "BundleError": 4,
            "HostError": 5,
            "DestinationError": 6,
            "HookError": 7,
            "CommandError": 8,
        }

    def test_what_an_error_carries(self) -> None:
        error = UsageError("what", hint="do this", output=["a", "b"])
        assert (str(error), error.message, error.hint, error.output) == ("what", "what", "do this", ("a", "b"))
        assert (PlatterError("x").hint, PlatterError("x").output) == (None, ())


def all_subclasses(kind: type[InstallError]) -> list[type[InstallError]]:
    return [one for child in kind.__subclasses__() for one in (child, *all_subclasses(child))]
