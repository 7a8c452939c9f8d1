"""The user's settings for the build of one distribution, from pip's options and uv's configuration."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.config.config_settings import is_ours
from platter_setuptools.errors import DependencyError
from platter_setuptools.resolve.requirements import NOTHING, Requirements
from platter_setuptools.resolve.uv_config import UvConfig, is_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.resolve.lock import Lock

_EXTRA = "extra-build-dependencies"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """The settings of one build; those of the backend are as in PEP 517."""

    config_settings: Mapping[str, str | list[str]] = field(default_factory=dict)
    requires: tuple[str, ...] = ()  # besides what the source tree states (PEP 508)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    isolated: bool = True
    limits: tuple[str, ...] = field(default=(), repr=False)  # constraints of what its build environment gets

    @property
    def key(self) -> str:
        """Return all of it as one text: part of what a wheel that is built here depends on."""
        facts = (self.config_settings, self.requires, self.variables, self.isolated, self.limits)
        return json.dumps(facts, sort_keys=True)


PLAIN = BuildSettings()


def settings_of(
    name: NormalizedName,
    settings: IndexSettings,
    config: UvConfig,
    lock: Lock | None,
    said: Requirements = NOTHING,
) -> BuildSettings:
    """Return the settings of the build of the distribution `name`.

    `lock` has the versions in the bundle. It is None for the project itself, which is built before its dependencies are
    resolved. `said` is the content of requirements files. Raise DependencyError for settings that cannot be applied.
    """
    given = (pair.partition("=") for pair in settings.config_settings)
    said_by_all = (
        *({key: value} for key, _, value in given if not is_ours(key)),  # ours ask for this bundle, and no others
        _of(config.option("config-settings"), None),
        _of(config.option("config-settings-package"), name),
        *said.config_settings(name),
    )
    return BuildSettings(
        config_settings=_joined(said_by_all),
        requires=tuple(sorted(_requires(_of(config.option(_EXTRA), name), name, lock))),
        variables={key: str(value) for key, value in _of(config.option("extra-build-variables"), name).items()},
        isolated=not settings.no_build_isolation
        and not _never_isolated(config)
        and name not in config.names("no-build-isolation-package"),
    )


def any_not_isolated(settings: IndexSettings, config: UvConfig) -> bool:
    """Return whether some builds use the build scripts' virtual environment."""
    return settings.no_build_isolation or _never_isolated(config) or bool(config.names("no-build-isolation-package"))


def _never_isolated(config: UvConfig) -> bool:
    return bool(config.option("no-build-isolation")) or is_set(os.environ, "UV_NO_BUILD_ISOLATION")


def _of(table: Any, name: NormalizedName | None) -> Any:
    """Return a setting, or a per-name setting for one distribution; an empty table if it has none."""
    if not isinstance(table, dict):
        return {}
    if name is None:
        return table
    return next((value for key, value in table.items() if canonicalize_name(key) == name), {})


def _joined(tables: Sequence[Mapping[str, Any]]) -> dict[str, str | list[str]]:
    """Join settings. A key that several have gets the values of all, as in uv."""
    joined: dict[str, list[str]] = {}
    for table in tables:
        for key, value in table.items():
            joined.setdefault(key, []).extend(map(str, value) if isinstance(value, list) else [str(value)])
    lists = {key for table in tables for key, value in table.items() if isinstance(value, list)}
    return {key: values if key in lists or len(values) > 1 else values[0] for key, values in joined.items()}


def _requires(entries: Any, name: NormalizedName, lock: Lock | None) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else ():
        text = str(entry.get("requirement", "")) if isinstance(entry, dict) else str(entry)
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise DependencyError(
                f"[tool.uv] {_EXTRA} of {name}: {text!r} is not a requirement", hint="correct it: PEP 508"
            ) from error
        yield _at_runtime(requirement, name, lock) if isinstance(entry, dict) and entry.get("match-runtime") else text


def _at_runtime(requirement: Requirement, name: NormalizedName, lock: Lock | None) -> str:
    """Return the requirement with the version that the bundle has."""
    wanted = canonicalize_name(requirement.name)
    packages = lock.pylock.packages if lock else ()
    version = next((package.version for package in packages if package.name == wanted), None)
    if version is None:
        raise DependencyError(
            f"[tool.uv] {_EXTRA} of {name}: match-runtime, but the version of {wanted} in the bundle is not known",
            hint=f"require a version of {wanted} there and leave match-runtime out",
        )
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{wanted}{extras}=={version}{marker}"
