"""The lock: the exact set of distributions with their hashes (PEP 751), and what of it a target takes."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
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

from platter_setuptools.ground.errors import DependencyError, WheelError
from platter_setuptools.ground.urls import redact, without_userinfo
from platter_setuptools.payload.untrusted import KEY_PARTS
from platter_setuptools.steps.target import FACTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.markers import Environment
    from packaging.utils import NormalizedName

    from platter_setuptools.steps.target import Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What markers go by on the systems that servers have, and how their wheels' platforms begin.
_SYSTEMS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
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

    def without(self, names: Collection[str]) -> Lock:
        """The lock less the distributions of these normalized names."""
        packages = [package for package in self.pylock.packages if package.name not in names]
        return dataclasses.replace(self, pylock=dataclasses.replace(self.pylock, packages=packages))

    def select(
        self, target: Target, extras: Collection[str] = (), groups: Collection[str] = ()
    ) -> Iterator[tuple[Package, PackageWheel | Source]]:
        """What the target takes: for each package its best wheel, or the source that one can be built from.

        `extras` and `groups` count for a lock that declares them, and whose packages carry markers about them. Packages
        that only another patch release of the target's Python needs are among them. Raises WheelError with the whole
        list if packages have neither a wheel nor a source for the target.
        """
        # A lock that was resolved for these extras and groups need not declare them, and must not be asked for them.
        extras = {*map(canonicalize_name, extras)} & {*(self.pylock.extras or ())}
        declared = {canonicalize_name(group) for group in self.pylock.dependency_groups or ()}
        # The lock's default groups are those of which nothing need be said; others come on top.
        defaults = {*map(canonicalize_name, self.pylock.default_groups or ())}
        groups = {*map(canonicalize_name, groups)} & declared | defaults
        chosen, misfits = self._select(target, extras, groups, target.environment)
        if misfits:
            raise WheelError(
                f"the lock does not fit {target}:\n" + "\n".join(f"  {misfit}" for misfit in misfits),
                hint="lock again for this target, choose other versions, or another interpreter with -p",
            )
        for environment in target.other_patches:
            # A lock that does not serve that patch release has nothing to add for it.
            more, misfits = self._select(target, extras, groups, environment)
            chosen = chosen if misfits else {**more, **chosen}
        in_order = dict.fromkeys(package.name for package in self.pylock.packages)
        yield from (chosen[name] for name in in_order if name in chosen)

    def _select(
        self, target: Target, extras: Collection[str], groups: Collection[str], environment: Mapping[str, str]
    ) -> tuple[dict[NormalizedName, tuple[Package, PackageWheel | Source]], list[str]]:
        """What is chosen in this environment, by name, and what is told of packages that do not serve it."""
        try:
            selected = self.pylock.select(
                environment=cast("Environment", dict(environment)),
                tags=target.tags,
                extras=extras,
                dependency_groups=groups,
            )
            return {package.name: (package, artifact) for package, artifact in selected}, []
        except PylockSelectError as error:
            # It tells entries by their place: there may be several of one name.
            versions = [f" {package.version or ''}".rstrip() for package in self.pylock.packages]
            misfit = re.sub(r"( at)? packages\[(\d+)\]", lambda found: versions[int(found[2])], str(error))
            # It is raised for the first: the others are found among the rest.
            first = re.search(r"packages\[(\d+)\]", str(error))
        if not first:
            return {}, [misfit]
        rest = self.without({self.pylock.packages[int(first[1])].name})
        return {}, [misfit, *Lock._select(rest, target, extras, groups, environment)[1]]

    def limits(self, *, universal: bool) -> Iterator[str]:
        """What keeps the lock from being used on another machine or, if it is to be `universal`, on another system."""
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
        """The lock as a file in `folder` holds it: relative paths start there, and no URL tells a password."""
        import tomli_w  # noqa: PLC0415

        return tomli_w.dumps(self._data(folder))

    def moved(self, folder: Path) -> Lock:
        """The lock as it is read from a file in `folder`."""
        return parse_lock(self._data(folder), base=folder, where="the lock")

    def _data(self, folder: Path) -> dict[str, Any]:
        data = dict(self.pylock.to_dict())
        data["created-by"] = "platter-setuptools"
        for package in data["packages"]:
            single = (package.get(kind) for kind in ("vcs", "directory", "archive", "sdist"))
            for artifact in (*filter(None, single), *package.get("wheels", ())):
                if "path" in artifact:
                    path = _local_path(artifact["path"])
                    if path:
                        artifact["path"] = os.path.relpath((self.base / path).resolve(), folder.resolve())
                if "url" in artifact:
                    artifact["url"] = without_userinfo(artifact["url"])
            if "index" in package:
                package["index"] = without_userinfo(package["index"])
        return data

    def url_of(self, artifact: PackageWheel | PackageSdist | PackageArchive) -> str:
        """Where the artifact is, as an absolute URL; a path in the lock becomes a `file:` URL."""
        if artifact.url:
            return artifact.url
        return (self.base / str(artifact.path)).resolve().as_uri()

    def folder_of(self, directory: PackageDirectory) -> Path:
        """Where the source tree is."""
        return (self.base / (_local_path(directory.path) or directory.path)).resolve()


def join(locks: Sequence[tuple[Target, Lock]], folder: Path) -> Lock:
    """One lock of those that several targets have; relative paths start in `folder`.

    It says that it is for these targets and no others. What not all of them take has a marker that says who does.
    """
    entries: list[tuple[Package, list[Target]]] = []
    for target, lock in locks:
        for package in lock.moved(folder).pylock.packages:
            number = next((number for number, (known, _) in enumerate(entries) if _are_one(known, package)), None)
            if number is None:
                entries.append((package, [target]))
            else:
                known, takers = entries[number]
                wheels = [*(known.wheels or ()), *(package.wheels or ())]
                different = [wheel for index, wheel in enumerate(wheels) if wheel not in wheels[:index]]
                entries[number] = (dataclasses.replace(known, wheels=different or None), [*takers, target])

    targets = [target for target, _ in locks]
    differ = [fact for fact in FACTS if len({target.environment[fact] for target in targets}) > 1] or FACTS
    packages = [
        package if len(takers) == len(targets) else dataclasses.replace(package, marker=_either(takers, differ))
        for package, takers in sorted(entries, key=lambda entry: entry[0].name)
    ]
    whole = [Marker(text) for text in dict.fromkeys(target.marker() for target in targets)]
    # The first is for the lowest Python.
    return Lock(pylock=dataclasses.replace(locks[0][1].pylock, packages=packages, environments=whole), base=folder)


def _are_one(package: Package, other: Package) -> bool:
    """Whether two entries differ in nothing but their wheels."""
    return package.name == other.name and dataclasses.replace(package, wheels=other.wheels) == other


def _either(targets: Sequence[Target], facts: Sequence[str]) -> Marker:
    return Marker(" or ".join(dict.fromkeys(target.marker(facts) for target in targets)))


def read_lock(path: Path) -> Lock:
    """Read a pylock.toml. Raises DependencyError with the key path of what is wrong in it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DependencyError(
            f"{path.name} cannot be read: {error.strerror}", hint="name a file that this user may read"
        ) from error
    return load_lock(content, base=path.parent, where=path.name)


def load_lock(content: bytes, *, base: Path, where: str) -> Lock:
    """The Lock in TOML. `where` is how an error names it. Raises DependencyError."""
    try:
        text = content.decode()
        if _LONG_KEY.search(text):
            raise ValueError(f"a key has more than {KEY_PARTS} parts")  # noqa: TRY301 - told below
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also for numbers with thousands of digits
        raise DependencyError(f"{where} is not valid TOML: {error}", hint=_WRITES_ONE) from error
    return parse_lock(data, base=base, where=where)


def parse_lock(data: Mapping[str, Any], *, base: Path, where: str) -> Lock:
    """The Lock in TOML or JSON data. `where` is how an error names it."""
    try:
        pylock = Pylock.from_dict(data)
        # Of wheels with the same tags the first is taken: that has to be the one with the highest build tag.
        packages = [dataclasses.replace(one, wheels=_by_build_tag(one.wheels)) for one in pylock.packages]
        return Lock(pylock=dataclasses.replace(pylock, packages=packages), base=base)
    except PylockValidationError as error:
        hint = _WRITES_ONE
        if "hashes" in str(error):
            hint = "a distribution without a hash comes from an index that offers none: it has to"
        raise DependencyError(f"{where} is not a valid lock (PEP 751): {redact(str(error))}", hint=hint) from error


def _by_build_tag(wheels: Sequence[PackageWheel] | None) -> Sequence[PackageWheel] | None:
    return wheels and sorted(wheels, key=lambda wheel: parse_wheel_filename(wheel.filename)[2], reverse=True)


def _local_path(path: str) -> str | None:
    """A lock's path, which may be written as a `file:` URL; None for what is on another machine."""
    if path.startswith("file:"):
        return unquote(urlsplit(path).path)
    return None if "://" in path else path
