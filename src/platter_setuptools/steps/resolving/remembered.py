"""Answers of resolvers, kept in the store under the whole question: without a network they are all that counts.

A resolver's answer depends on more than a set of requirements: on their order, on the version of the project, on the
indexes, and on uv's own settings. Two questions are the same only if all of that is the same.
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

from platter_setuptools.ground.errors import DependencyError, PlatterError
from platter_setuptools.ground.urls import without_userinfo
from platter_setuptools.payload.archive import Archive
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.steps.resolving.lock import load_lock
from platter_setuptools.steps.store import key_of

if TYPE_CHECKING:
    from platter_setuptools.steps.resolving.indexes import IndexSettings
    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.steps.resolving.resolver import Request, Resolver
    from platter_setuptools.steps.store import Store
    from platter_setuptools.steps.target import Target

_KIND = "lock"
_SHOWN = 8  # requirements in an error
# What a resolver reads of METADATA, apart from the version.
_FIELDS = ("name", "requires-python", "requires-dist", "provides-extra")
# Of uv's variables those that decide how it works, not what it finds.
_NO_MATTER = ("CACHE", "CONCURRENT", "HTTP", "LINK_MODE", "NATIVE_TLS", "NO_PROGRESS", "OFFLINE", "PYTHON_", "REQUEST")


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberingResolver:
    """A Resolver that keeps what another one answers; `offline` it gives what is kept, and nothing else."""

    resolver: Resolver
    config: tuple[str, ...]  # what the resolver is told beside the settings
    settings: IndexSettings
    target: Target
    store: Store
    work: Path
    offline: bool = False

    def __call__(self, request: Request) -> Lock:
        """Resolve. Raises DependencyError."""
        key = self.question(request)
        if not self.offline:
            lock = self.resolver(request)
            self._keep(key, lock)
            return lock
        path = self.store.find_derived(_KIND, key)
        if path is None:
            raise DependencyError(
                f"the wheel cache has no answer of a resolver to {_told(request)}",
                hint="run the build once without no-download, so that the wheel cache gets what it needs",
            )
        return load_lock(path.read_bytes(), base=Path("/"), where="an answer in the wheel cache")

    def question(self, request: Request) -> str:
        """A digest of all that the answer depends on.

        Of the project's METADATA that is what a resolver reads, without the version: a new version of a project mostly
        asks what the last did.
        """
        settings, project = self.settings, request.project
        metadata = BytesHeaderParser().parsebytes(metadata_of(project)) if project else Message()
        requirements = list(request.requirements)
        own, both = project.as_uri() if project else " ", (request.said, request.build)
        if project:
            requirements[0] = requirements[0].partition("@")[0]
        return key_of(
            json.dumps(
                [
                    *(self.target.key, self.target.full_version, self.config, requirements),
                    [item for item in metadata.items() if item[0].lower() in _FIELDS],
                    *([[line.constraint, line.text.replace(own, "")] for line in said.lines] for said in both),
                    *(request.extras, request.groups, request.sources, request.no_sources, request.python_version),
                    *(request.no_deps, request.universal, bool(request.tree)),
                    request.tree.read_text("utf-8", errors="replace") if request.tree else "",
                    [without_userinfo(settings.index_url or ""), *map(without_userinfo, settings.extra_index_urls)],
                    [*map(without_userinfo, settings.find_links)],
                    [settings.no_index, settings.no_binary, settings.only_binary, settings.pre],
                    [settings.uploaded_prior_to, settings.no_build_isolation, settings.config_settings],
                    settings.unknown,
                    sorted(f"{name}={value}" for name, value in os.environ.items() if _matters(name)),
                ]
            )
        )

    def _keep(self, key: str, lock: Lock) -> None:
        # What has no hash cannot be written down; and a store that cannot be written to is no reason to fail.
        with contextlib.suppress(PlatterError):
            file = Path(tempfile.mkdtemp(prefix="answer-", dir=self.work), "pylock.toml")
            file.write_text(lock.as_toml(Path("/")), "utf-8")
            self.store.keep_derived(_KIND, key, file)


def metadata_of(wheel: Path) -> bytes:
    """The METADATA of a wheel, byte for byte. Raises DependencyError if it has none."""
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
    wanted = wanted or ["the requirements files"]
    return ", ".join(wanted[:_SHOWN]) + (f" and {len(wanted) - _SHOWN} more" if len(wanted) > _SHOWN else "")
