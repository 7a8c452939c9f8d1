"""The options of pip that say where distributions come from and how they are built, as a table."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(enum.Enum):
    """What the value of an option is."""

    TEXT = "one value"
    LIST = "values, separated by white space in files and variables"
    PAIRS = "values, one in a file or variable"
    PLACES = "a LIST of URLs and paths"
    PATH = "one path"
    FORMATS = "names, :all: or :none:, separated by commas"
    FLAG = "yes or no"
    FLAG_TURNED = "yes or no; in a file or variable, no is what sets it"
    IGNORED_FLAG = "a flag about what pip prints or keeps"
    IGNORED = "the same, with a value"


@dataclass(frozen=True, slots=True)
class PipOption:
    """An option: the field of IndexSettings that it sets, and its flags on pip's command line."""

    field: str
    kind: Kind
    flags: tuple[str, ...]


OPTIONS = (
    PipOption("index_url", Kind.TEXT, ("-i", "--index-url", "--pypi-url")),
    PipOption("extra_index_urls", Kind.LIST, ("--extra-index-url",)),
    PipOption("find_links", Kind.PLACES, ("-f", "--find-links")),
    PipOption("no_index", Kind.FLAG, ("--no-index",)),
    PipOption("keyring_provider", Kind.TEXT, ("--keyring-provider",)),
    PipOption("trusted_hosts", Kind.LIST, ("--trusted-host",)),
    PipOption("cert", Kind.PATH, ("--cert",)),
    PipOption("client_cert", Kind.PATH, ("--client-cert",)),
    PipOption("proxy", Kind.TEXT, ("--proxy",)),
    PipOption("timeout", Kind.TEXT, ("--timeout", "--default-timeout")),
    PipOption("retries", Kind.TEXT, ("--retries",)),
    PipOption("constraints", Kind.PLACES, ("-c", "--constraint")),
    PipOption("build_constraints", Kind.PLACES, ("--build-constraint",)),
    PipOption("no_binary", Kind.FORMATS, ("--no-binary",)),
    PipOption("only_binary", Kind.FORMATS, ("--only-binary",)),
    PipOption("pre", Kind.FLAG, ("--pre",)),
    PipOption("require_hashes", Kind.FLAG, ("--require-hashes",)),
    PipOption("uploaded_prior_to", Kind.TEXT, ("--uploaded-prior-to",)),
    PipOption("config_settings", Kind.PAIRS, ("-C", "--config-settings")),
    # In pip.conf and as PIP_NO_BUILD_ISOLATION pip takes this one's value for that of "isolate builds".
    PipOption("no_build_isolation", Kind.FLAG_TURNED, ("--no-build-isolation",)),
    *(
        PipOption("ignored", Kind.IGNORED_FLAG, flags)
        for flags in (
            ("-q", "--quiet"),
            ("-v", "--verbose"),
            ("--debug",),
            ("--no-color",),
            ("--no-input",),
            ("--no-clean",),
            ("--no-cache-dir",),
            ("--disable-pip-version-check",),
            ("--no-python-version-warning",),
        )
    ),
    *(PipOption("ignored", Kind.IGNORED, (flag,)) for flag in ("--progress-bar", "--root-user-action")),
    *(PipOption("ignored", Kind.PATH, flags) for flags in (("--log", "--log-file"), ("--cache-dir",), ("--src",))),
)
FLAGS = {Kind.FLAG, Kind.FLAG_TURNED, Kind.IGNORED_FLAG}
BY_FLAG: Mapping[str, PipOption] = {flag: option for option in OPTIONS for flag in option.flags}
