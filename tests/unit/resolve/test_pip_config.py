"""pip's configuration, read by pip's rules."""

from __future__ import annotations

import dataclasses
import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import UsageError
from platter_setuptools.resolve.pip_config import pip_config_files, read_settings

if TYPE_CHECKING:
    from platter_setuptools.resolve.indexes import IndexSettings

TOP = Path(os.sep)


def read(*pip_options: str, **environ: str) -> IndexSettings:
    return read_settings(pip_options, environ=environ, config_files=(), base=TOP / "base")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class TestFiles:
    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS has other folders")
    def test_the_places_pip_documents(self, tmp_path: Path) -> None:
        environ = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": "/a:/b"}
        assert pip_config_files(environ, tmp_path / "venv") == (
            Path("/a/pip/pip.conf"),
            Path("/b/pip/pip.conf"),
            Path("/etc/pip.conf"),
            tmp_path / "home/.pip/pip.conf",
            tmp_path / "home/.config/pip/pip.conf",
            tmp_path / "venv/pip.conf",
        )

    def test_xdg_config_home(self, tmp_path: Path) -> None:
        environ = {"HOME": "/h", "XDG_CONFIG_HOME": str(tmp_path)}
        if sys.platform != "darwin":
            assert tmp_path / "pip/pip.conf" in pip_config_files(environ, TOP)

    def test_macos(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        support = tmp_path / "Library/Application Support/pip"
        assert tmp_path / ".config/pip/pip.conf" in pip_config_files({"HOME": str(tmp_path)}, TOP)
        support.mkdir(parents=True)
        files = pip_config_files({"HOME": str(tmp_path)}, TOP)
        assert files[0] == Path("/Library/Application Support/pip/pip.conf")
        assert support / "pip.conf" in files

    def test_a_named_file_replaces_the_users(self, tmp_path: Path) -> None:
        named = write(tmp_path / "named.conf", "")
        files = pip_config_files({"HOME": "/h", "PIP_CONFIG_FILE": str(named)}, TOP)
        assert files[-1] == named
        assert not [file for file in files if file.is_relative_to("/h")]

    def test_a_user_without_a_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(uid: int) -> None:
            raise KeyError(uid)

        monkeypatch.setattr(pwd, "getpwuid", unknown)
        monkeypatch.delenv("HOME")
        assert TOP / "pip.conf" in pip_config_files({}, TOP)

    def test_devnull_turns_files_off(self) -> None:
        assert pip_config_files({"HOME": "/h", "PIP_CONFIG_FILE": os.devnull}, TOP) == ()

    def test_later_files_and_narrower_sections_win(self, tmp_path: Path) -> None:
        weak = write(
            tmp_path / "weak.conf",
            "[global]\nindex-url = http://weak/\nretries = 1\ntimeout = 7\n[wheel]\nretries = 3\n[list]\npre = yes\n",
        )
        strong = write(
            tmp_path / "strong.conf",
            "[global]\nindex_url = http://strong/\nretries = 9\nextra-index-url =\n    http://one/\n    http://two/\n",
        )
        settings = read_settings([], environ={}, config_files=[weak, strong, tmp_path / "absent.conf"])
        assert settings.index_url == "http://strong/"
        assert settings.retries == 3
        assert settings.timeout == 7.0
        assert settings.extra_index_urls == ("http://one/", "http://two/")
        assert not settings.pre

    def test_percent_signs_are_themselves(self, tmp_path: Path) -> None:
        file = write(tmp_path / "pip.conf", "[global]\nindex-url = http://u:p%40ss@host/\n")
        assert read_settings([], environ={}, config_files=[file]).index_url == "http://u:p%40ss@host/"

    def test_a_broken_file_is_named_and_its_secrets_are_not(self, tmp_path: Path) -> None:
        file = write(tmp_path / "pip.conf", "index-url = http://user:secret@host/\n")
        with pytest.raises(UsageError, match=r"pip\.conf cannot be read") as caught:
            read_settings([], environ={}, config_files=[file])
        assert "secret" not in str(caught.value)
        file.write_bytes(b"[global]\nindex-url = \xff\n")
        with pytest.raises(UsageError, match=r"pip\.conf cannot be read"):
            read_settings([], environ={}, config_files=[file])


class TestVariables:
    def test_a_variable_replaces_a_file(self, tmp_path: Path) -> None:
        file = write(tmp_path / "pip.conf", "[wheel]\nextra-index-url = http://file/\nfind-links = /links\n")
        settings = read_settings([], environ={"PIP_EXTRA_INDEX_URL": "http://a/ http://b/"}, config_files=[file])
        assert settings.extra_index_urls == ("http://a/", "http://b/")
        assert settings.find_links == ("/links",)

    def test_an_empty_variable_says_nothing(self) -> None:
        assert read(PIP_INDEX_URL="", PIP_NO_INDEX="") == read()

    @pytest.mark.parametrize(("value", "off"), [("1", False), ("true", False), ("0", True), ("no", True)])
    def test_no_build_isolation_is_turned_around(self, value: str, off: bool) -> None:
        assert read(PIP_NO_BUILD_ISOLATION=value).no_build_isolation is off

    @pytest.mark.parametrize("name", ["PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"])
    def test_both_names_of_the_timeout(self, name: str) -> None:
        assert read(**{name: "2.5"}).timeout == 2.5

    @pytest.mark.parametrize("variable", [{"PIP_PRE": "perhaps"}, {"PIP_RETRIES": "few"}, {"PIP_TIMEOUT": "long"}])
    def test_a_wrong_value_is_named(self, variable: dict[str, str]) -> None:
        with pytest.raises(UsageError, match=r"the environment: (pre|retries|timeout): expected"):
            read(**variable)

    @pytest.mark.parametrize("variable", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_PROXY", "UV_INDEX"])
    def test_what_is_no_url(self, variable: str) -> None:
        with pytest.raises(UsageError, match=r"^https://host/ is not a valid URL") as raised:
            read(**{variable: "https://me:s3cr[t@host/"})
        assert raised.value.hint

    @pytest.mark.parametrize("variable", ["PIP_REQUIREMENT", "PIP_EDITABLE"])
    def test_what_would_be_installed_as_well_is_refused(self, variable: str) -> None:
        with pytest.raises(UsageError, match="is not obeyed"):
            read(**{variable: "locked.txt"})

    def test_what_concerns_other_commands_is_passed_over(self) -> None:
        assert read(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_CACHE_DIR="off", PIP_NONSENSE="x") == read()

    def test_certificates_as_requests_finds_them(self) -> None:
        assert read(CURL_CA_BUNDLE="/c", REQUESTS_CA_BUNDLE="/r").cert == "/r"
        assert read(REQUESTS_CA_BUNDLE="/r", PIP_CERT="/p").cert == "/p"
        assert read(SSL_CERT_FILE="/s").cert == "/s"


class TestPipOptions:
    def test_every_way_to_write_one(self) -> None:
        options = ["-f /one", "--find-links=/two", "-f/three", "--find-links '/four 4'", "--find-links", "/five 5"]
        assert read(*options).find_links == ("/one", "/two", "/three", "/four 4", "/five 5")

    def test_lists_add_to_what_variables_say_and_single_values_replace_it(self) -> None:
        settings = read(
            "--extra-index-url=http://b/",
            "-i http://new/",
            PIP_EXTRA_INDEX_URL="http://a/",
            PIP_INDEX_URL="http://old/",
        )
        assert settings.extra_index_urls == ("http://a/", "http://b/")
        assert settings.index_url == "http://new/"

    def test_paths_start_at_the_base_and_urls_stay(self) -> None:
        settings = read("-f ../links", "-f https://h/x/../", "-c c.txt", "-c file:///c.txt", "--build-constraint=b.txt")
        assert settings.find_links == ("/links", "https://h/x/../")
        assert settings.constraints == ("/base/c.txt", "file:///c.txt")
        assert settings.build_constraints == ("/base/b.txt",)

    def test_the_flag_means_what_it_says_here(self) -> None:
        assert read("--no-build-isolation", PIP_NO_BUILD_ISOLATION="1").no_build_isolation

    def test_what_only_pip_knows_is_kept_as_it_is(self) -> None:
        assert read("--platform any", "--prefer-binary", "--pre").unknown == (
            "--platform",
            "any",
            "--prefer-binary",
        )

    def test_what_only_changes_pips_output_is_no_matter(self) -> None:
        settings = read("-q", "-vv", "--no-input", "--progress-bar off", "--no-cache-dir")
        assert dataclasses.replace(settings, pip_arguments=()) == read()

    @pytest.mark.parametrize("option", ["--index-url", "--timeout=soon", "--find-links='/open"])
    def test_a_wrong_one(self, option: str) -> None:
        with pytest.raises(UsageError, match="pip-option"):
            read(option)

    def test_as_arguments_of_pip(self) -> None:
        assert read("--pre", "-f '/a b'", "-C", "x=y z", "--platform any").pip_arguments == (
            *("--pre", "--find-links=/a b", "--config-settings=x=y z"),
            *("--platform", "any"),
        )


class TestFormats:
    @pytest.mark.parametrize(
        ("options", "no_binary", "only_binary"),
        [
            (["--no-binary=Foo.Bar,baz"], ("foo-bar", "baz"), ()),
            (["--no-binary=a,b", "--only-binary=a"], ("b",), ("a",)),
            (["--only-binary=a", "--no-binary=:all:"], (":all:",), ()),
            (["--no-binary=:all:", "--only-binary=a"], (":all:",), ("a",)),
            (["--no-binary=a", "--no-binary=:none:"], (), ()),
            (["--no-binary=a,:all:,b"], (":all:",), ()),
            (["--no-binary=a,:all:,:none:,b"], ("b",), ()),
            (["--no-binary=a", "--no-binary=a"], ("a",), ()),
        ],
    )
    def test_they_exclude_each_other_in_their_order(
        self, options: list[str], no_binary: tuple[str, ...], only_binary: tuple[str, ...]
    ) -> None:
        settings = read(*options)
        assert (settings.no_binary, settings.only_binary) == (no_binary, only_binary)

    def test_they_add_up_over_places(self) -> None:
        settings = read("--no-binary=b", PIP_NO_BINARY="a", PIP_ONLY_BINARY="c")
        assert (settings.no_binary, settings.only_binary) == (("a", "b"), ("c",))
