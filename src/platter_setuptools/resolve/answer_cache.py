"""Cache resolvers' answers in the wheel cache, keyed by the whole question; without a network only they are used.

An answer depends not only on a set of requirements, but also on their order, the indexes and uv's own settings.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.errors import DependencyError, PlatterError
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels.archive import Archive
from platter_setuptools.resolve.lock import load_lock
from platter_setuptools.runtime.progress import first_few
from platter_setuptools.urls import without_userinfo
from platter_setuptools.wheel_cache import key_of

if TYPE_CHECKING:
    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.resolve.lock import Lock
    from platter_setuptools.resolve.resolver import Request, Resolver
    from platter_setuptools.targets.target import Target
    from platter_setuptools.wheel_cache import WheelCache

_KIND = "lock"
# The fields of METADATA that a resolver reads, besides the version.
_FIELDS = ("name", "requires-python", "requires-dist", "provides-extra")
# Beginnings of uv's variables that do not change what it finds.
_NO_MATTER = ("CACHE", "CONCURRENT", "HTTP", "LINK_MODE", "NATIVE_TLS", "NO_PROGRESS", "OFFLINE", "PYTHON_", "REQUEST")


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberingResolver:
    """A Resolver that keeps another one's answers; `offline` it returns only kept ones."""

    resolver: Resolver
    config: str  # the resolver's other configuration
    settings: IndexSettings
    target: Target
    cache: WheelCache
    work: Path
    offline: bool = False

    def __call__(self, request: Request) -> Lock:
        """Resolve. Raises DependencyError."""
        key = self.question(request)
        if not self.offline:
            lock = self.resolver(request)
            self._keep(key, lock)
            return lock
        path = self.cache.find_derived(_KIND, key)
        if path is None:
            raise DependencyError(
                f"the wheel cache has no answer of a resolver to {_told(request)}",
                hint="run the build once without no-download, so that the wheel cache gets what it needs",
            )
        return load_lock(path.read_bytes(), base=Path("/"), where="an answer in the wheel cache")

    def question(self, request: Request) -> str:
        """Return a digest of all that the answer depends on.

        The version of the project is left out: a new version mostly asks what the last did.
        """
        settings, project = self.settings, request.project
        requirements, metadata, own = [*request.requirements], Message(), ""
        if project:
            requirements[0] = requirements[0].partition("@")[0]
            metadata, own = BytesHeaderParser().parsebytes(metadata_of(project)), project.as_uri()
        indexes = ([settings.index_url or ""], settings.extra_index_urls, settings.find_links)
        question = [
            *(self.target.id, self.target.full_version, self.config, requirements),
            [item for item in metadata.items() if item[0].lower() in _FIELDS],
            [(line.constraint, line.text.replace(own, "")) for line in request.said.lines],
            [(line.constraint, line.text) for line in request.build.lines],
            *(request.extras, request.groups, request.sources, request.no_sources, request.python_version),
            [group for _, group in request.member_groups],
            *(request.preferences.kept, request.preferences.upgraded),
            *(request.no_deps, request.universal),
            request.tree and request.tree.read_text("utf-8", errors="replace"),
            [[*map(without_userinfo, urls)] for urls in indexes],
            *(settings.no_index, settings.no_binary, settings.only_binary, settings.pre, settings.uploaded_prior_to),
            *(settings.no_build_isolation, settings.config_settings, settings.unknown),
            sorted(f"{name}={value}" for name, value in os.environ.items() if _matters(name)),
        ]
        return key_of(json.dumps(question))

    def _keep(self, key: str, lock: Lock) -> None:
        # A lock without a hash cannot be written; and a wheel cache that cannot be written to is no reason to fail.
        with contextlib.suppress(PlatterError):
            file = Path(tempfile.mkdtemp(prefix="answer-", dir=self.work), "pylock.toml")
            file.write_text(lock.as_toml(Path("/")), "utf-8")
            self.cache.keep_derived(_KIND, key, file)


def metadata_of(wheel: Path) -> bytes:
    """Return the METADATA of a wheel, byte for byte. Raises DependencyError if it has none."""
    try:
        with Archive(os.fspath(wheel)) as archive:
            names = archive.members
            name = next(one for one in names if one.count("/") == 1 and one.endswith(".dist-info/METADATA"))
            return archive.read(archive.members[name])
    except (BundleError, StopIteration, OSError) as error:
        raise DependencyError(f"{wheel.name} has no METADATA", hint="build it again") from error


def _matters(name: str) -> bool:
    return name.startswith("UV_") and not (name[3:].startswith(_NO_MATTER) or name.endswith(("_USERNAME", "_PASSWORD")))


def _told(request: Request) -> str:
    wanted = [one.partition(" @ file:")[0] for one in request.requirements]
    if request.project:
        headers = BytesHeaderParser().parsebytes(metadata_of(request.project))
        wanted += map(str, headers.get_all("Requires-Dist", []))
    return first_few(wanted or ["the requirements files"])
