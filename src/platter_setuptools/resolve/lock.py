"""The lock: the exact set of distributions with their hashes (PEP 751), and the part for one target."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from packaging.markers import Marker
from packaging.pylock import (
    Package,
    PackageArchive,
    PackageDirectory,
    PackageSdist,
    PackageVcs,
    PackageWheel,
    Pylock,
    PylockSelectError,
    PylockValidationError,
)
from packaging.utils import canonicalize_name, parse_wheel_filename

from platter_setuptools.errors import DependencyError, WheelError
from platter_setuptools.payload import tags
from platter_setuptools.payload.untrusted import KEY_PARTS, LIST, TAGS, read_file
from platter_setuptools.runtime import libraries
from platter_setuptools.runtime.files import real_path
from platter_setuptools.targets.markers import check_decided
from platter_setuptools.targets.target import FACTS
from platter_setuptools.urls import redact, without_userinfo

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from packaging.markers import Environment
    from packaging.utils import NormalizedName

    from platter_setuptools.targets.target import Target

# For each system that servers have: its markers, and the beginnings of its wheels' platforms.
_SYSTEMS = {
    "Linux": (
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
        ("linux", "manylinux", "musllinux"),
    ),
    "macOS": ({"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"}, ("macosx",)),
}
_LONG_KEY = re.compile(
    r"""(?<![\w-])(?:(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*\.[ \t]*)"""
    rf"{{{KEY_PARTS}}}",
    re.ASCII,
)
_WRITES_ONE = "a lock is a pylock.toml (PEP 751): `platter lock` writes one"
Source = PackageSdist | PackageVcs | PackageArchive | PackageDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock and the folder that its relative paths start at."""

    pylock: Pylock
    base: Path

    def with_packages(self, packages: Iterable[Package]) -> Lock:
        """Return the lock with other packages."""
        return dataclasses.replace(self, pylock=dataclasses.replace(self.pylock, packages=[*packages]))

    def without(self, names: Collection[str]) -> Lock:
        """Return the lock without the distributions of these normalized names."""
        return self.with_packages(package for package in self.pylock.packages if package.name not in names)

    def select(
        self, target: Target, extras: Collection[str] = (), groups: Collection[str] = ()
    ) -> Iterator[tuple[Package, PackageWheel | Source]]:
        """Yield what the target takes: for each package its best wheel, or the source that one can be built from.

        `extras` and `groups` count if the lock declares them. Packages that only another patch release of the target's
        Python needs are included. Raises WheelError that lists all packages with neither a wheel nor a source for the
        target.
        """
        pylock = self.pylock
        # A lock that was resolved for these extras and groups need not declare them, and must not be asked for them.
        extras = {*map(canonicalize_name, extras)} & {*(pylock.extras or ())}
        declared = {*map(canonicalize_name, pylock.dependency_groups or ())}
        groups = {*map(canonicalize_name, groups)} & declared | {*map(canonicalize_name, pylock.default_groups or ())}
        self._check_decided(target, extras, groups)
        chosen, misfits = self._select(target, extras, groups, target.environment)
        if misfits:
            raise WheelError(
                f"the lock does not fit {target}:\n" + "\n".join(f"  {misfit}" for misfit in misfits),
                hint="lock again for this target, choose other versions, or another target (-p, --target)",
            )
        for environment in target.other_patches:
            # A lock that does not serve that patch release has nothing to add for it.
            more, misfits = self._select(target, extras, groups, environment)
            chosen = chosen if misfits else {**more, **chosen}
        in_order = dict.fromkeys(package.name for package in pylock.packages)
        yield from (chosen[name] for name in in_order if name in chosen)

    def _check_decided(self, target: Target, extras: Collection[str], groups: Collection[str]) -> None:
        """Raise DependencyError if whether a package is for the target depends on what is not known of it."""
        values: dict[str, str | AbstractSet[str]] = dict(target.environment)
        values |= {"extras": frozenset(extras), "dependency_groups": frozenset(groups)}
        for package in self.pylock.packages:
            if package.marker:
                name = f"{package.name} {package.version or ''}".rstrip()
                check_decided(
                    package.marker, target.environment, name, lambda one: one.evaluate(values, context="lock_file")
                )

    def _select(
        self, target: Target, extras: Collection[str], groups: Collection[str], environment: Mapping[str, str]
    ) -> tuple[dict[NormalizedName, tuple[Package, PackageWheel | Source]], list[str]]:
        """Return what is chosen in this environment, by name, and the errors of all packages that do not fit it."""

        def select(lock: Lock) -> dict[NormalizedName, tuple[Package, PackageWheel | Source]] | str:
            try:
                selected = lock.pylock.select(
                    environment=cast("Environment", dict(environment)),
                    tags=target.tags,
                    extras=extras,
                    dependency_groups=groups,
                )
                return {package.name: (package, artifact) for package, artifact in selected}
            except PylockSelectError as error:  # which names packages by their places
                versions = [f" {package.version or ''}".rstrip() for package in lock.pylock.packages]
                return re.sub(r"( at)? packages\[(\d+)\]", lambda found: versions[int(found[2])], str(error))

        chosen = select(self)
        if not isinstance(chosen, str):
            return chosen, []
        # packaging stops at the first package that does not fit.
        alone = (select(self.with_packages([package])) for package in self.pylock.packages)
        return {}, list(dict.fromkeys([chosen, *(one for one in alone if isinstance(one, str))]))

    def limits(self, *, universal: bool) -> Iterator[str]:
        """Yield what prevents using the lock on another machine or, if it is to be `universal`, on another system."""
        for package in self.pylock.packages:
            files = [one for one in (package.archive, package.sdist, *(package.wheels or ())) if one]
            local = next((one.url for one in files if one.url and one.url.startswith("file:")), None)
            if local:
                yield f"{package.name} is a file of this machine: {local}"
            if not universal or not package.wheels or package.sdist:
                continue
            platforms = {tag.platform for wheel in package.wheels for tag in parse_wheel_filename(wheel.filename)[-1]}
            for system, (environment, names) in _SYSTEMS.items():
                wanted = package.marker is None or package.marker.evaluate(environment, context="lock_file")
                if wanted and not any(platform.startswith(("any", *names)) for platform in platforms):
                    yield f"{package.name} {package.version} has neither a wheel nor a source for {system}"

    def as_toml(self, folder: Path) -> str:
        """Return the text of a pylock.toml in `folder`: relative paths start there, and no URL contains a password."""
        import tomli_w  # noqa: PLC0415

        return tomli_w.dumps(self._data(folder))

    def moved(self, folder: Path) -> Lock:
        """Return the lock as it would be read from a file in `folder`."""
        return parse_lock(self._data(folder), base=folder, where="the lock")

    def _data(self, folder: Path) -> dict[str, Any]:
        data = dict(self.pylock.to_dict())
        data["created-by"] = "platter-setuptools"
        for package in data["packages"]:
            single = (package.get(kind) for kind in ("vcs", "directory", "archive", "sdist"))
            for artifact in (*filter(None, single), *package.get("wheels", ())):
                if path := _local_path(artifact.get("path", "")):
                    artifact["path"] = os.path.relpath(real_path(self.base / path), real_path(folder))
                if "url" in artifact:
                    artifact["url"] = without_userinfo(artifact["url"])
            if "index" in package:
                package["index"] = without_userinfo(package["index"])
        return data

    def url_of(self, artifact: PackageWheel | PackageSdist | PackageArchive) -> str:
        """Return the absolute URL of an artifact; a path in the lock becomes a `file:` URL."""
        if artifact.url:
            return artifact.url
        return real_path(self.base / str(artifact.path)).as_uri()

    def folder_of(self, directory: PackageDirectory) -> Path:
        """Return the place of a source tree."""
        return real_path(self.base / (_local_path(directory.path) or directory.path))


def join(locks: Sequence[tuple[Target, Lock]], folder: Path, *, exact: bool = False) -> Lock:
    """Join the locks of several targets to one for these targets and no others; relative paths start in `folder`.

    Packages that not all of them take have a marker. If it is to be `exact`, a target takes no wheel of the lock of
    another one, which might fit it, too.
    """
    entries: list[tuple[Package, list[Target]]] = []
    for target, lock in locks:
        for package in lock.moved(folder).pylock.packages:
            places = (place for place, entry in enumerate(entries) if _are_one(*entry, package, target, exact=exact))
            number = next(places, None)
            if number is None:
                entries.append((package, [target]))
            else:
                known, takers = entries[number]
                wheels = [*(known.wheels or ())]
                wheels += [wheel for wheel in package.wheels or () if wheel not in wheels]
                entries[number] = (dataclasses.replace(known, wheels=wheels or None), [*takers, target])

    targets = [target for target, _ in locks]
    differ = [fact for fact in FACTS if len({target.environment[fact] for target in targets}) > 1] or FACTS
    packages = []
    for package, takers in sorted(entries, key=lambda entry: entry[0].name):
        if len(takers) < len(targets):
            markers = dict.fromkeys(target.marker(differ) for target in takers)
            package = dataclasses.replace(package, marker=Marker(" or ".join(markers)))  # noqa: PLW2901
        packages.append(package)
    environments = [Marker(text) for text in dict.fromkeys(target.marker() for target in targets)]
    lowest = locks[0][1].pylock
    return Lock(pylock=dataclasses.replace(lowest, packages=packages, environments=environments), base=folder)


def _are_one(known: Package, takers: Iterable[Target], package: Package, target: Target, *, exact: bool) -> bool:
    """Whether two entries differ in nothing but their wheels, and if `exact`, these fit only their own targets."""
    if known.name != package.name or dataclasses.replace(known, wheels=package.wheels) != package:
        return False
    same = known.wheels == package.wheels or not exact
    return same or not (_fits(known, target) or any(_fits(package, taker) for taker in takers))


def _fits(package: Package, target: Target) -> bool:
    names = (wheel.filename for wheel in package.wheels or ())
    return any(not parse_wheel_filename(name)[-1].isdisjoint(target.tags) for name in names)


def read_lock(path: Path) -> Lock:
    """Read a pylock.toml. Raises DependencyError with the key that is wrong."""
    try:
        content = read_file(os.fspath(path), LIST)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DependencyError(
            f"{path.name} cannot be read: {reason}", hint="name a file that this user may read"
        ) from error
    return load_lock(content, base=path.parent, where=path.name)


def load_lock(content: bytes, *, base: Path, where: str) -> Lock:
    """Return the Lock in TOML. `where` is how an error names it. Raises DependencyError."""
    try:
        text = content.decode()
        if _LONG_KEY.search(text):
            raise ValueError(f"a key has more than {KEY_PARTS} parts")  # noqa: TRY301 - told below
        data = libraries.toml().loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also for numbers with thousands of digits
        raise DependencyError(f"{where} is not valid TOML: {error}", hint=_WRITES_ONE) from error
    return parse_lock(data, base=base, where=where)


def parse_lock(data: Mapping[str, Any], *, base: Path, where: str) -> Lock:
    """Return the Lock in the data of a pylock.toml. `where` is how an error names it. Raises DependencyError."""
    if name := next((name for name in _wheel_names(data) if tags.count(name) > TAGS), None):
        raise DependencyError(f"{where}: {name} stands for more than {TAGS} tags", hint=_WRITES_ONE)
    try:
        pylock = Pylock.from_dict(data)
        return Lock(pylock=pylock, base=base).with_packages(map(_sorted_wheels, pylock.packages))
    except PylockValidationError as error:
        hint = _WRITES_ONE
        if "hashes" in str(error):
            hint = "a distribution without a hash comes from an index that offers none: it has to"
        raise DependencyError(f"{where} is not a valid lock (PEP 751): {redact(str(error))}", hint=hint) from error


def _wheel_names(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of wheels in data of any shape, as far as packaging would read it as a lock."""
    with contextlib.suppress(AttributeError, LookupError, TypeError):
        for package in data["packages"]:
            for wheel in package.get("wheels", ()):
                yield unquote(wheel.get("name") or (wheel.get("path") or wheel.get("url")).rpartition("/")[2])


def _sorted_wheels(package: Package) -> Package:
    """Sort the wheels: of those with the same tags the first is taken, which has to have the highest build tag."""
    wheels = sorted(package.wheels or (), key=lambda wheel: parse_wheel_filename(wheel.filename)[2], reverse=True)
    return dataclasses.replace(package, wheels=wheels or None)


def _local_path(path: str) -> str | None:
    """Return a lock's path, which may be written as a `file:` URL; None for what is on another machine."""
    if path.startswith("file:"):
        return unquote(urlsplit(path).path)
    return None if "://" in path else path
