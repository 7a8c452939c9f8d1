"""Where distributions may come from: pip's configuration as one frozen value, and the same said to uv.

uv reads none of pip's configuration; without this, a company's private index would be passed over.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.files import located
from platter_setuptools.ground.urls import has_secret, redact
from platter_setuptools.steps.resolving.pip_config import pip_config_files, read_pip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "UV_URLS",
    "IndexSettings",
    "pip_config_files",
    "read_settings",
    "uv_arguments",
    "uv_environment",
]

UV_URLS = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """What pip was told about indexes, connections and builds. What can hold a secret stays out of the repr."""

    index_url: str | None = field(default=None, repr=False)
    extra_index_urls: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)  # URLs and absolute paths
    no_index: bool = False
    keyring_provider: str | None = None
    trusted_hosts: tuple[str, ...] = ()  # host or host:port
    cert: str | None = None  # a bundle of CA certificates, or a folder of them
    client_cert: str | None = None
    proxy: str | None = field(default=None, repr=False)
    timeout: float | None = None  # seconds
    retries: int | None = None
    constraints: tuple[str, ...] = field(default=(), repr=False)  # URLs and absolute paths
    build_constraints: tuple[str, ...] = field(default=(), repr=False)
    no_binary: tuple[str, ...] = ()  # normalized names, or :all:
    only_binary: tuple[str, ...] = ()
    pre: bool = False
    require_hashes: bool = False
    uploaded_prior_to: str | None = None
    config_settings: tuple[str, ...] = field(default=(), repr=False)  # KEY=VALUE
    no_build_isolation: bool = False
    unknown: tuple[str, ...] = field(default=(), repr=False)  # of --pip-option: what only pip understands, verbatim
    # For pip itself, which reads the rest of its configuration: the --pip-option values, and its variables with paths.
    pip_arguments: tuple[str, ...] = field(default=(), repr=False)
    pip_variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    # Of uv's own variables and files, and of requirements files: known for their credentials.
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
                    hint="percent-encode what stands in a user or password: %5B for [, %5D for ], %2F for /",
                ) from error

    @property
    def names_an_index(self) -> bool:
        """Whether pip's configuration says anything about where distributions come from."""
        return bool(self.index_url or self.extra_index_urls or self.find_links or self.no_index)


def read_settings(
    pip_options: Sequence[str],
    *,
    environ: Mapping[str, str],
    config_files: Sequence[Path],
    index_urls: Sequence[str] = (),
    base: Path | None = None,
    options_base: Path | None = None,
) -> IndexSettings:
    """What pip's files (the weakest first), then its variables, then the --pip-option values say.

    The resolvers read requirements files, and uv its `index_urls`, themselves; here only credentials in them matter.

    Relative paths start at `base`, by default the working folder; those in --pip-option values at `options_base`, by
    default the same. Raises UsageError for a value that is none.
    """
    base = base or Path.cwd()
    said = read_pip(
        pip_options, environ=environ, config_files=config_files, base=base, options_base=options_base or base
    )
    # Without a word from pip's configuration, requests (and so pip) goes by these.
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if environ.get(variable):
            path = located(environ[variable], base)
            said["pip_variables"].append((variable, path))
            said["cert"] = said.get("cert") or path
    said["more_urls"] = [url for name in UV_URLS for url in re.split(r"[\s,]+", environ.get(name, "")) if url]
    said["more_urls"] += index_urls
    frozen: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return IndexSettings(**frozen)


def for_builds(settings: IndexSettings) -> IndexSettings:
    """Of the settings those that count for build environments, too, where uv resolves."""
    return dataclasses.replace(settings, pre=False, constraints=(), unknown=())


def for_tools(settings: IndexSettings) -> IndexSettings:
    """Of the settings what our tools are told: where distributions come from, and how the network is reached."""
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
    """The flags that tell `uv pip compile` and `uv pip install` the same, but for what uv_environment says.

    Constraints, also those of builds, are left to the caller. Raises UsageError for a --pip-option that uv has no word
    for.
    """
    for argument in settings.unknown:
        name = redact(argument.partition("=")[0])
        raise UsageError(
            f"pip-option {name}: only pip understands this, and uv resolves",
            hint='leave it out, or let pip resolve with resolver = "pip"',
        )
    _refuse_secrets(settings.config_settings)
    arguments = []
    if settings.no_index:
        arguments.append("--no-index")
    if settings.names_an_index:
        # Pip has one pool of all indexes; uv's own rule is that the first index with a package has all of it.
        arguments.append("--index-strategy=unsafe-best-match")
    if settings.keyring_provider in {"import", "subprocess"}:
        arguments.append("--keyring-provider=subprocess")
    if settings.pre:
        arguments.append("--prerelease=allow")
    if settings.uploaded_prior_to:
        arguments.append(f"--exclude-newer={settings.uploaded_prior_to}")
    if settings.no_build_isolation:
        arguments.append("--no-build-isolation")
    for flag, values in (
        ("--allow-insecure-host", settings.trusted_hosts),
        ("--no-binary", settings.no_binary),
        ("--only-binary", settings.only_binary),
        ("--config-setting", settings.config_settings),
    ):
        arguments += [f"{flag}={value}" for value in values]
    return arguments


def _refuse_secrets(config_settings: Sequence[str]) -> None:
    for one in config_settings:
        if has_secret(one):
            raise UsageError(
                f"config-settings {one.partition('=')[0]}: a URL with a password would be on uv's command line",
                hint='give it to the build in an environment variable, or let pip resolve with resolver = "pip"',
            )


def uv_environment(settings: IndexSettings) -> dict[str, str]:
    """The environment variables that tell uv the rest: connections, and URLs, which can hold passwords.

    Every user of a machine can read the command lines of its processes; their environment is their owner's.
    """
    environment = {}
    if settings.index_url:
        environment["UV_DEFAULT_INDEX"] = settings.index_url.replace(" ", "%20")
    if settings.extra_index_urls:
        environment["UV_INDEX"] = " ".join(settings.extra_index_urls)
    # Pip passes over a folder that is not there, uv would stop.
    links = [_uv_link(link) for link in settings.find_links if "://" in link or Path(link).is_dir()]
    if links:
        environment["UV_FIND_LINKS"] = ",".join(links)
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


def _uv_link(link: str) -> str:
    # UV_FIND_LINKS is a list with commas between; a path that holds one, or a blank, is said as a URL.
    url = link if "://" in link else Path(link).as_uri()
    return url.replace(",", "%2C").replace(" ", "%20")
