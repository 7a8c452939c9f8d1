"""Where distributions come from: pip's configuration as one frozen value, also translated for uv.

uv does not read pip's configuration; without this, a company's private index would be ignored.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from platter_setuptools.errors import UsageError
from platter_setuptools.urls import has_secret, redact, without_userinfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from platter_setuptools.resolve.requirements import Requirements
    from platter_setuptools.resolve.uv_config import UvConfig

_PUBLIC = "https://pypi.org/simple"
_PUBLIC_HOSTS = {"pypi.org", "pypi.python.org"}
_INDEX_OPTION = re.compile(r"--(index-url|extra-index-url)[= ](\S+)")


class Kind(enum.Enum):
    """The type of the value of one of pip's options."""

    TEXT = "one value"
    NUMBER = "a number"
    LIST = "values, separated by white space in files and variables"
    PAIRS = "values, one in a file or variable"
    PLACES = "a LIST of URLs and paths"
    PATH = "one path"
    FORMATS = "names, :all: or :none:, separated by commas"
    FLAG = "yes or no"
    FLAG_TURNED = "yes or no; in a file or variable, no is what sets it"


def _option(kind: Kind, *flags: str, default: Any = None, secret: bool = False) -> Any:
    """Declare the field of an option with its flags on pip's command line."""
    return field(default=default, repr=not secret, metadata={"kind": kind, "flags": flags})


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """pip's configuration of indexes, connections and builds. What may contain a secret is not in the repr."""

    index_url: str | None = _option(Kind.TEXT, "-i", "--index-url", "--pypi-url", secret=True)
    extra_index_urls: tuple[str, ...] = _option(Kind.LIST, "--extra-index-url", default=(), secret=True)
    # In find_links and constraints: URLs and absolute paths.
    find_links: tuple[str, ...] = _option(Kind.PLACES, "-f", "--find-links", default=(), secret=True)
    no_index: bool = _option(Kind.FLAG, "--no-index", default=False)
    keyring_provider: str | None = _option(Kind.TEXT, "--keyring-provider")
    trusted_hosts: tuple[str, ...] = _option(Kind.LIST, "--trusted-host", default=())  # host or host:port
    cert: str | None = _option(Kind.PATH, "--cert")  # a bundle of CA certificates, or a folder of them
    client_cert: str | None = _option(Kind.PATH, "--client-cert")
    proxy: str | None = _option(Kind.TEXT, "--proxy", secret=True)
    timeout: float | None = _option(Kind.NUMBER, "--timeout", "--default-timeout")  # seconds
    retries: int | None = _option(Kind.NUMBER, "--retries")
    constraints: tuple[str, ...] = _option(Kind.PLACES, "-c", "--constraint", default=(), secret=True)
    build_constraints: tuple[str, ...] = _option(Kind.PLACES, "--build-constraint", default=(), secret=True)
    no_binary: tuple[str, ...] = _option(Kind.FORMATS, "--no-binary", default=())  # normalized names, or :all:
    only_binary: tuple[str, ...] = _option(Kind.FORMATS, "--only-binary", default=())
    pre: bool = _option(Kind.FLAG, "--pre", default=False)
    require_hashes: bool = _option(Kind.FLAG, "--require-hashes", default=False)
    uploaded_prior_to: str | None = _option(Kind.TEXT, "--uploaded-prior-to")
    config_settings: tuple[str, ...] = _option(Kind.PAIRS, "-C", "--config-settings", default=(), secret=True)
    # In pip.conf and as PIP_NO_BUILD_ISOLATION its value is that of "isolate builds".
    no_build_isolation: bool = _option(Kind.FLAG_TURNED, "--no-build-isolation", default=False)
    unknown: tuple[str, ...] = field(default=(), repr=False)  # of --pip-option: what only pip understands, verbatim
    # For pip itself, which reads its other configuration: the --pip-option values, and its variables that have paths.
    pip_arguments: tuple[str, ...] = field(default=(), repr=False)
    pip_variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    # In uv's variables and files and in requirements files, which may have credentials.
    more_urls: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Raise UsageError for a URL that cannot be read as one, so that nobody else has to."""
        urls = (self.index_url or "", self.proxy or "", *self.extra_index_urls, *self.find_links, *self.more_urls)
        for url in urls:
            try:
                urlsplit(url)
            except ValueError as error:  # noqa: PERF203 - a handful of URLs
                raise UsageError(
                    f"{redact(url)} is not a valid URL: {error}",
                    hint="percent-encode a user or password: %5B for [, %5D for ], %2F for /",
                ) from error

    @property
    def names_an_index(self) -> bool:
        """Whether pip's configuration says anything about where distributions come from."""
        return bool(self.index_url or self.extra_index_urls or self.find_links or self.no_index)


def for_builds(settings: IndexSettings) -> IndexSettings:
    """Return the settings that also apply to build environments when uv resolves."""
    return dataclasses.replace(settings, pre=False, constraints=(), unknown=())


def for_tools(settings: IndexSettings) -> IndexSettings:
    """Return the settings for the tools of a bundle: where distributions come from, and the network."""
    return dataclasses.replace(
        for_builds(settings),
        no_binary=(),
        only_binary=(),
        build_constraints=(),
        config_settings=(),
        no_build_isolation=False,
        require_hashes=False,
        uploaded_prior_to=None,
    )


def uv_arguments(settings: IndexSettings) -> list[str]:
    """Return these settings as flags of `uv pip compile` and `uv pip install`, except those in uv_environment.

    The caller adds constraints, also those of builds. Raises UsageError for a --pip-option that uv does not have.
    """
    for argument in settings.unknown:
        name = redact(argument.partition("=")[0])
        raise UsageError(
            f"pip-option {name}: only pip understands this, and uv resolves",
            hint='leave it out, or let pip resolve with resolver = "pip"',
        )
    for one in settings.config_settings:
        if has_secret(one):
            raise UsageError(
                f"config-settings {one.partition('=')[0]}: a URL with a password would be on uv's command line",
                hint='give it to the build in an environment variable, or let pip resolve with resolver = "pip"',
            )
    flags = (
        ("--no-index", settings.no_index),
        # pip has one pool of all indexes; uv's own rule is that the first index with a package has all of it.
        ("--index-strategy=unsafe-best-match", settings.names_an_index),
        ("--keyring-provider=subprocess", settings.keyring_provider in {"import", "subprocess"}),
        ("--prerelease=allow", settings.pre),
        (f"--exclude-newer={settings.uploaded_prior_to}", settings.uploaded_prior_to),
        ("--no-build-isolation", settings.no_build_isolation),
    )
    arguments = [flag for flag, wanted in flags if wanted]
    for flag, values in (
        ("--allow-insecure-host", settings.trusted_hosts),
        ("--no-binary", settings.no_binary),
        ("--only-binary", settings.only_binary),
        ("--config-setting", settings.config_settings),
    ):
        arguments += [f"{flag}={value}" for value in values]
    return arguments


def uv_environment(settings: IndexSettings) -> dict[str, str]:
    """Return the other settings as environment variables: connections, and URLs, which may contain passwords.

    Every user of a machine can read command lines, but not the environment of other users' processes.
    """
    environment = {}
    if settings.index_url:
        environment["UV_DEFAULT_INDEX"] = settings.index_url.replace(" ", "%20")
    if settings.extra_index_urls:
        environment["UV_INDEX"] = " ".join(settings.extra_index_urls)
    # pip passes over a folder that is not there, uv would stop.
    links = [link for link in settings.find_links if "://" in link or Path(link).is_dir()]
    if links:
        # A list with commas between: a path that contains one, or a blank, must be a URL.
        urls = (link if "://" in link else Path(link).as_uri() for link in links)
        environment["UV_FIND_LINKS"] = ",".join(url.replace(",", "%2C").replace(" ", "%20") for url in urls)
    if settings.cert:
        folder = Path(settings.cert).is_dir()
        environment["SSL_CERT_DIR" if folder else "SSL_CERT_FILE"] = settings.cert
    if settings.client_cert:
        environment["SSL_CLIENT_CERT"] = settings.client_cert
    if settings.proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            environment[name] = environment[name.lower()] = settings.proxy
    if settings.timeout is not None:
        environment["UV_HTTP_TIMEOUT"] = str(max(1, round(settings.timeout)))
    if settings.retries is not None:
        environment["UV_HTTP_RETRIES"] = str(settings.retries)
    return environment


def private_indexes(
    settings: IndexSettings, config: UvConfig | None, said: Requirements, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Return the URLs of the simple indexes (PEP 503) that not everybody can publish to, with their logins.

    They are those in pip's settings, uv's (`config`, None if pip resolves) and requirements files. Return none if there
    is only one index, or if uv takes all versions of a distribution from the first index that has it.
    """
    if settings.no_index:
        return []
    options = [found for line in said.lines if (found := _INDEX_OPTION.match(line.text))]
    first = next((found[2] for found in options if found[1] == "index-url"), None)
    extra = [found[2] for found in options if found[1] == "extra-index-url"]
    if config is None:
        urls = [first or settings.index_url or _PUBLIC, *settings.extra_index_urls, *extra]
    else:
        strategy = environ.get("UV_INDEX_STRATEGY") or config.option("index-strategy") or "first-index"
        if strategy == "first-index" and not settings.names_an_index:
            return []
        tables = [one for one in config.option("index") or () if not one.get("explicit")]
        default = first or settings.index_url or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
        default = default or next((one["url"] for one in tables if one.get("default")), config.option("index-url"))
        urls = [*(settings.extra_index_urls or environ.get("UV_INDEX", "").split())]
        urls += [*environ.get("UV_EXTRA_INDEX_URL", "").split(), *extra]
        urls += [one["url"] for one in tables if not one.get("default")]
        urls += [*(config.option("extra-index-url") or ()), default or _PUBLIC]
    without_names = [re.sub(r"^[\w.-]+=", "", url) for url in urls]  # uv's NAME=URL
    different = {without_userinfo(url).rstrip("/"): url for url in without_names}
    private = [url for url in different.values() if urlsplit(url).hostname not in _PUBLIC_HOSTS]
    return private if len(different) > 1 else []
