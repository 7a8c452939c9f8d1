"""The manifest: the bundle's metadata for people (PACKAGE, VERSION, …) and for the installer (info.json)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import platter_setuptools
from platter_setuptools.bundle.members import Member, from_file
from platter_setuptools.targets.target import Interpreter
from platter_setuptools.urls import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from platter_setuptools.bundle.interpreter import BundledInterpreter
    from platter_setuptools.resolve.amendments import Amendment
    from platter_setuptools.targets.target import Target
    from platter_setuptools.values import Bytecode, Wheel
    from platter_setuptools.wheels.check import WheelWithMetadata
    from platter_setuptools.wheels.system_libraries import SystemLibraries

FORMAT = 1
_UNKNOWN = "00000000"  # which no bytecode begins with
# The same for all patch releases of a Python, and on all machines of a platform.
_MARKERS = (
    *("implementation_name", "os_name", "platform_machine", "platform_python_implementation", "platform_system"),
    *("python_version", "sys_platform"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The metadata of a bundle. `wheels` are all that will be installed."""

    project: WheelWithMetadata
    wheels: Sequence[WheelWithMetadata]
    packages: Collection[WheelWithMetadata] = ()  # those that were requested by name beside the project
    bytecode: Mapping[Wheel, Bytecode]
    target: Target
    needs: Mapping[Wheel, SystemLibraries] = field(default_factory=dict)
    extras: Sequence[str] = ()
    groups: Sequence[str] = ()
    excluded: Sequence[str] = ()
    revision: str | None = None  # see payload.manifest
    amendments: Sequence[Amendment] = ()
    system_site_packages: bool = False
    case_sensitive: bool = False
    contested: Collection[Wheel] = ()  # those that own a path that another wheel owns, too
    interpreter: BundledInterpreter | None = None
    shared: Collection[str] = ()  # see payload.shared_paths

    @property
    def version(self) -> str:
        return str(self.project.wheel.version)

    @property
    def id(self) -> str:
        """Return the id of the target: what only this machine has of an interpreter is not in it."""
        return str(self._target()["id"])

    def info(self) -> dict[str, Any]:
        """Return info.json. Platter's keys come first; sizes are in bytes, unpacked if they say `installed`."""
        project, target = self.project, self.target
        wheels = self.wheels_info()
        return {
            "name": project.description.name,
            "version": self.version,
            "platform": target.platform,
            "ident": f"{project.description.name}-{self.version}",
            "format": FORMAT,
            "created_by": f"platter-setuptools {platter_setuptools.__version__}",
            "python": target.version,
            "requires_python": self._requires_python(),
            "interpreter": self.interpreter.info() if self.interpreter else None,
            "targets": [self._target()],
            "extras": sorted(self.extras),
            "groups": sorted(self.groups),
            "excluded": sorted(self.excluded),
            "revision": self.revision,
            "overrides": [
                {
                    "of": one.of,
                    "version": None if one.version is None else str(one.version),
                    "name": one.name,
                    "instead": [redact(str(requirement)) for requirement in one.instead],
                }
                for one in self.amendments
            ],
            "system_site_packages": self.system_site_packages,
            "case_sensitive": self.case_sensitive,
            **({"shared": sorted(self.shared)} if self.shared else {}),
            "wheels": wheels,
            "installed_size": sum(wheel["installed_size"] for wheel in wheels),
            "installed_files": sum(wheel["installed_files"] for wheel in wheels),
        }

    def _target(self) -> dict[str, Any]:
        """Return the target. What only this machine has of an interpreter is left out, such as the version of libc."""
        target = self.target
        platform = target.platform.replace("-", "_").replace(".", "_")
        named, libc = platform, (target.libc or "").partition(" ")[0]
        if not isinstance(target, Interpreter):
            named, libc = target.id.partition("-")[2], target.libc or ""
        return {
            "id": f"{target.abi}-{named}",
            "implementation": target.implementation,
            "python": target.version,
            "abi": target.abi,
            "platform": platform,
            "platforms": [named],
            "libc": libc or None,
            "cache_tag": target.cache_tag or f"{target.implementation}-{target.version.replace('.', '')}",
            "magic": target.magic or _UNKNOWN,
            "debug": target.debug,
            "free_threaded": target.free_threaded,
            "markers": {name: target.environment[name] for name in _MARKERS},
        }

    def pylock(self) -> dict[str, Any]:
        """Return a lock of exactly these wheels (PEP 751): `uv pip sync` and pip install from it."""
        return {
            "lock-version": "1.0",
            "requires-python": f"=={self.target.version}.*",
            "created-by": "platter-setuptools",
            "packages": [
                {
                    "name": wheel.name,
                    "version": str(wheel.version),
                    "wheels": [
                        {
                            "name": wheel.filename,
                            "path": wheel.filename,
                            "size": wheel.size,
                            "hashes": {"sha256": wheel.sha256},
                        }
                    ],
                }
                for wheel in self.in_order
            ],
        }

    def members(self) -> list[Member]:
        """Return the wheels, their bytecode, and the interpreter."""
        members = [
            from_file(f"data/{wheel.filename}", wheel.path, sha256=wheel.sha256, packed=True) for wheel in self.in_order
        ]
        for wheel, bytecode in self.bytecode.items():
            name = f"data/{bytecode_name(wheel, self.target)}"
            members.append(from_file(name, bytecode.path, sha256=bytecode.sha256, packed=True))
        if self.interpreter:
            members.append(self.interpreter.member())
        return members

    def _requires_python(self) -> str | None:
        """Return the project's Requires-Python, with those of dependencies that some patch release does not meet."""
        parts = {str(self.project.description.requires_python or "")}
        for requires in (described.description.requires_python for described in self.wheels):
            patches = (one["python_full_version"] for one in self.target.other_patches)
            if requires and not all(requires.contains(patch, prereleases=True) for patch in patches):
                parts.add(str(requires))
        return ",".join(sorted(parts - {""})) or None

    def wheels_info(self, *, with_bytecode: bool = True) -> list[dict[str, Any]]:
        """Return the list of wheels in info.json, with their bytecode, unless each of several targets lists its own."""
        return [self._wheel(one, self.bytecode.get(one.wheel) if with_bytecode else None) for one in self._sorted()]

    def bytecode_info(self) -> list[dict[str, Any]]:
        """Return the list of bytecode of one of several targets in info.json."""
        found = ((one, self.bytecode.get(one.wheel)) for one in self._sorted())
        return [
            {
                "wheel": one.wheel.filename,
                "file": bytecode_name(one.wheel, self.target),
                "record_sha256": self._whole(one.wheel, bytecode.record_sha256),
                "installed_size": bytecode.size,
                "installed_files": one.description.files,
            }
            for one, bytecode in found
            if bytecode
        ]

    def _whole(self, wheel: Wheel, record_sha256: str) -> str | None:
        """Return the hash of a wheel's RECORD if a release has all of it: of a contested path it has one file only."""
        return (wheel not in self.contested and record_sha256) or None

    def _wheel(self, described: WheelWithMetadata, bytecode: Bytecode | None) -> dict[str, Any]:
        wheel, description = described.wheel, described.description
        return {
            "file": wheel.filename,
            "name": wheel.name,
            "version": str(wheel.version),
            "sha256": wheel.sha256,
            "record_sha256": self._whole(wheel, description.record_sha256),
            "executables_sha256": description.executables_sha256 or None,
            "size": wheel.size,
            "installed_size": description.size + (bytecode.size if bytecode else 0),
            "installed_files": description.files * (2 if bytecode else 1),
            "requested": described is self.project or described in self.packages,
            "bytecode": bytecode_name(wheel, self.target) if bytecode else None,
            "bytecode_record_sha256": self._whole(wheel, bytecode.record_sha256) if bytecode else None,
            **self._needs(wheel),
        }

    @property
    def in_order(self) -> list[Wheel]:
        """Return the wheels in order; of two that own one path the later one wins on the server."""
        return [described.wheel for described in self._sorted()]

    def _needs(self, wheel: Wheel) -> dict[str, Any]:
        """Return what a compiled wheel needs of the server's system; nothing for other wheels."""
        needs = self.needs.get(wheel)
        if needs is None or not (needs.libc or needs.libraries):
            return {}
        return {"libc": needs.libc, "libraries": list(needs.libraries)}

    def _sorted(self) -> list[WheelWithMetadata]:
        # The word of the packages comes after that of dependencies, and the project's own is the last.
        return sorted(self.wheels, key=lambda one: (one is self.project, one in self.packages, one.wheel.name))


def stem(project: Wheel, targets: Sequence[Target], *, with_python: bool) -> str:
    """Return the name of a bundle without its format: `NAME-VERSION[-PYTHON]-PLATFORM`, such as `app-1.0-linux-x86_64`.

    PYTHON is the ABI tag (PEP 425) of the target: `cp311`. Those of several targets are joined with dots, in order, and
    so are their platforms.
    """
    name, version = project.path.stem.split("-")[:2]
    pythons, platforms = ({getattr(target, fact) for target in targets} for fact in ("abi", "platform"))
    return "-".join([name, version, *[".".join(sorted(pythons))] * with_python, ".".join(sorted(platforms))])


def bytecode_name(wheel: Wheel, target: Target) -> str:
    return f"bytecode/{wheel.path.stem}.{target.cache_tag}.zip"
