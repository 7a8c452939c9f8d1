"""pip's configuration, read by pip's rules and said again for uv."""

from __future__ import annotations

import dataclasses
import os
import pwd
import sys
from pathlib import Path

import pytest

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.steps.resolving.credentials import logins, origin, places
from platter_setuptools.steps.resolving.indexes import (
    IndexSettings,
    pip_config_files,
    read_settings,
    uv_arguments,
    uv_environment,
)
from platter_setuptools.steps.resolving.uv_config import read_config
from platter_setuptools.steps.resolving.uv_project import index_urls

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


class TestUv:
    def test_nothing_said_is_nothing_passed_on(self) -> None:
        assert uv_arguments(read()) == []
        assert uv_environment(read()) == {}

    def test_flags(self) -> None:
        settings = read(
            *("--no-index", "--pre", "--no-build-isolation", "--no-binary=a,b", "--only-binary=c"),
            *("--trusted-host=h:8080", "-C k=v", "--keyring-provider=import", "--uploaded-prior-to=2026-01-02"),
        )
        assert uv_arguments(settings) == [
            "--no-index",
            "--index-strategy=unsafe-best-match",
            "--keyring-provider=subprocess",
            "--prerelease=allow",
            "--exclude-newer=2026-01-02",
            "--no-build-isolation",
            "--allow-insecure-host=h:8080",
            "--no-binary=a",
            "--no-binary=b",
            "--only-binary=c",
            "--config-setting=k=v",
        ]

    def test_urls_go_by_the_environment_where_no_process_listing_shows_them(self, tmp_path: Path) -> None:
        (tmp_path / "a, b").mkdir()
        settings = read(
            *(
                "-i https://u:secret@h/i",
                "--extra-index-url=https://u:secret@h/1",
                "--extra-index-url=https://h/2",
            ),
            *(
                f"-f '{tmp_path}/a, b'",
                "-f /not/there",
                "-f https://u:secret@h/links,1",
                "--proxy=http://u:secret@p:1",
            ),
        )
        assert "secret" not in " ".join(uv_arguments(settings))
        assert "secret" not in repr(settings)
        environment = uv_environment(settings)
        assert environment["UV_DEFAULT_INDEX"] == "https://u:secret@h/i"
        assert environment["UV_INDEX"] == "https://u:secret@h/1 https://h/2"
        assert environment["UV_FIND_LINKS"] == f"{tmp_path.as_uri()}/a%2C%20b,https://u:secret@h/links%2C1"
        assert environment["HTTPS_PROXY"] == environment["http_proxy"] == "http://u:secret@p:1"

    def test_a_password_that_could_only_go_by_the_command_line(self) -> None:
        with pytest.raises(UsageError, match="config-settings url: a URL with a password") as caught:
            uv_arguments(read("-C url=https://u:s3cr3t@h/"))
        assert "s3cr3t" not in str(caught.value)

    def test_connections(self, tmp_path: Path) -> None:
        settings = read("--cert=/ca.pem", "--client-cert=/me.pem", "--timeout=0.4", "--retries=0")
        assert uv_environment(settings) == {
            "SSL_CERT_FILE": "/ca.pem",
            "SSL_CLIENT_CERT": "/me.pem",
            "UV_HTTP_TIMEOUT": "1",
            "UV_HTTP_RETRIES": "0",
        }
        assert uv_environment(read(f"--cert={tmp_path}")) == {"SSL_CERT_DIR": str(tmp_path)}

    def test_what_only_pip_knows_is_refused(self) -> None:
        with pytest.raises(UsageError, match="pip-option --platform: only pip") as caught:
            uv_arguments(read("--platform=any"))
        assert 'resolver = "pip"' in (caught.value.hint or "")


class TestCredentials:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("HTTPS://u:p@Host.Example:443/x", "https://host.example"),
            ("http://host:8080", "http://host:8080"),
            ("https://host:80/", "https://host:80"),
            ("https://[::1]:8443/", "https://[::1]:8443"),
        ],
    )
    def test_origins(self, url: str, expected: str) -> None:
        assert origin(url) == expected

    def test_by_origin_decoded_and_the_first_counts(self) -> None:
        settings = read(
            *("-i https://us%40er:p%3Ass@one/simple", "--extra-index-url=https://other:x@one/more"),
            *("--extra-index-url=http://token@two:81/", "-f /links"),
            UV_INDEX="name=https://u:v@three/simple https://plain/ https://u:v@four:no-port/",
        )
        known = places(settings)
        assert logins(known, "https://one/files/x.whl") == [("us@er", "p:ss"), ("other", "x")]
        assert logins(known, "http://two:81/x") == [("token", "")]
        assert logins(known, "https://three/") == [("u", "v")]
        assert logins(known, "https://two:81/x") == logins(known, "https://four/") == []
        assert "p:ss" not in repr(known)

    def test_by_path(self) -> None:
        settings = read("-i https://a:1@host/team-a/simple", "--extra-index-url=https://b:2@host/team-b/simple/")
        known = places(settings)
        assert logins(known, "https://host/team-a/files/x.whl")[0] == ("a", "1")
        assert logins(known, "https://host/team-b/files/x.whl")[0] == ("b", "2")


def test_credentials_of_a_uv_project_s_indexes_are_known(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.uv.index]]\nname = "ours-1"\nurl = "https://index.example/simple"\n'
        '[[tool.uv.index]]\nurl = "https://a:b@other.example/simple"\n'
        '[[tool.uv.index]]\nurl = "https://open.example/simple"\n'
    )
    environ = {"UV_INDEX_OURS_1_USERNAME": "me", "UV_INDEX_OURS_1_PASSWORD": "p@ss"}
    settings = read_settings(
        [], environ=environ, config_files=[], index_urls=index_urls(tmp_path, read_config(tmp_path, environ), environ)
    )
    assert logins(places(settings), "https://index.example/x") == [("me", "p@ss")]
    assert logins(places(settings), "https://other.example/x") == [("a", "b")]


def test_credentials_in_uv_s_own_files_are_known(tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text(
        'extra-index-url = ["https://a:b@extra.example/simple"]\n[pip]\nfind-links = ["https://c:d@links.example/"]\n'
    )
    (tmp_path / "config" / "uv").mkdir(parents=True)
    (tmp_path / "config" / "uv" / "uv.toml").write_text(
        '[[index]]\nname = "corp"\nurl = "https://corp.example/simple"\n'
    )
    environ = {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "UV_INDEX": "team=https://team.example/",
        **{f"UV_INDEX_{name}_{word}": word for name in ("CORP", "TEAM") for word in ("USERNAME", "PASSWORD")},
    }
    urls = index_urls(tmp_path, read_config(tmp_path, environ), environ)
    known = places(read_settings([], environ=environ, config_files=[], index_urls=urls))
    expected = {"extra": ("a", "b"), "links": ("c", "d"), **dict.fromkeys(("corp", "team"), ("USERNAME", "PASSWORD"))}
    assert {name: logins(known, f"https://{name}.example/files/x")[0] for name in expected} == expected
