"""pip's configuration, said again for uv; credentials; private indexes."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from platter_setuptools.errors import UsageError
from platter_setuptools.resolve.credentials import logins, origin, places
from platter_setuptools.resolve.indexes import (
    IndexSettings,
    private_indexes,
    uv_arguments,
    uv_environment,
)
from platter_setuptools.resolve.pip_config import read_settings
from platter_setuptools.resolve.requirements import NOTHING, Line
from platter_setuptools.resolve.uv_config import UvConfig

TOP = Path(os.sep)


def read(*pip_options: str, **environ: str) -> IndexSettings:
    return read_settings(pip_options, environ=environ, config_files=(), base=TOP / "base")


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


PYPI = "https://pypi.org/simple"
OURS, MIRROR = "https://pypi.example.com/simple", "https://mirror.example.com/simple"
EXTRA = IndexSettings(extra_index_urls=(OURS,))
BEST = {"index-strategy": "unsafe-best-match"}


@pytest.mark.parametrize("config", [UvConfig(), None])
@pytest.mark.parametrize(
    ("settings", "private"),
    [
        (IndexSettings(), ()),
        (IndexSettings(index_url=OURS), ()),
        (EXTRA, (OURS,)),
        (dataclasses.replace(EXTRA, no_index=True), ()),
        (dataclasses.replace(EXTRA, index_url=OURS + "/"), ()),
        (dataclasses.replace(EXTRA, index_url=PYPI + "/"), (OURS,)),
        (IndexSettings(index_url=OURS, extra_index_urls=(PYPI,)), (OURS,)),
    ],
)
def test_private_indexes_of_pip(settings: IndexSettings, config: UvConfig | None, private: tuple[str, ...]) -> None:
    found = private_indexes(settings, config, NOTHING, {})
    assert [url.rstrip("/") for url in found] == [*private]


def test_two_private_indexes() -> None:
    settings = dataclasses.replace(EXTRA, index_url=MIRROR)
    assert set(private_indexes(settings, None, NOTHING, {})) == {OURS, MIRROR}


@pytest.mark.parametrize(
    ("table", "environ", "private"),
    [
        ({"index": [{"url": OURS}]}, {}, ()),  # uv's own rule: the first index that has a name
        ({"index": [{"url": OURS}], **BEST}, {}, (OURS,)),
        ({"index": [{"url": OURS}], "pip": BEST}, {}, (OURS,)),
        ({"index": [{"url": OURS}]}, {"UV_INDEX_STRATEGY": "unsafe-first-match"}, (OURS,)),
        ({"index": [{"url": OURS, "explicit": True}], **BEST}, {}, ()),
        ({"index": [{"url": OURS, "default": True}], **BEST}, {}, ()),
        ({"index": [{"url": OURS, "default": True}, {"url": MIRROR}], **BEST}, {}, (MIRROR, OURS)),
        ({"index-url": OURS, "extra-index-url": [PYPI], **BEST}, {}, (OURS,)),
        (BEST, {"UV_INDEX": f"ours={OURS}"}, (OURS,)),
        (BEST, {"UV_DEFAULT_INDEX": OURS, "UV_EXTRA_INDEX_URL": PYPI}, (OURS,)),
    ],
)
def test_private_indexes_of_uv(table: dict[str, Any], environ: dict[str, str], private: tuple[str, ...]) -> None:
    assert private_indexes(IndexSettings(), UvConfig(table=table), NOTHING, environ) == [*private]


def test_private_indexes_of_requirements_files() -> None:
    line = Line(where="line 1 of more.txt", constraint=False, text=f"--extra-index-url {OURS}", shown="")
    assert private_indexes(IndexSettings(), None, dataclasses.replace(NOTHING, lines=(line,)), {}) == [OURS]
