"""The manifest: what a bundle says about itself, to people (PACKAGE, VERSION, …) and to its installer (info.json)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import platter_setuptools
from platter_setuptools.ground.errors import WheelError
from platter_setuptools.ground.urls import redact
from platter_setuptools.payload import manifest as installer
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.steps.bundle.members import Member, from_bytes, from_file, from_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from platter_setuptools.ground.amendments import Amendment
    from platter_setuptools.ground.values import Bytecode, Wheel
    from platter_setuptools.steps.target import Target
    from platter_setuptools.steps.wheels.check import Described
    from platter_setuptools.steps.wheels.needs import Needs

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The facts of a bundle. `wheels` are all that will be installed; `roots` those that were asked for by name."""

    project: Described
    wheels: Sequence[Described]
    bytecode: Mapping[Wheel, Bytecode]
    target: Target
    needs: Mapping[Wheel, Needs] = field(default_factory=dict)
    extras: Sequence[str] = ()
    groups: Sequence[str] = ()
    excluded: Sequence[str] = ()
    name_with_python: bool = False
    revision: str | None = None  # see payload.manifest
    amendments: Sequence[Amendment] = ()
    system_site_packages: bool = False
    case_sensitive: bool = False

    @property
    def version(self) -> str:
        return str(self.project.wheel.version)

    @property
    def stem(self) -> str:
        """The bundle's name without its format, and the name of its top folder."""
        return stem(self.project.wheel, self.target, with_python=self.name_with_python)

    def info(self) -> dict[str, Any]:
        """info.json. Platter's keys come first; sizes are in bytes, unpacked where they say `installed`."""
        project, target = self.project, self.target
        wheels = [self._wheel(described) for described in self._sorted()]
        return {
            "name": project.description.name,
            "version": self.version,
            "platform": target.platform,
            "ident": f"{project.description.name}-{self.version}",
            "format": FORMAT,
            "created_by": f"platter-setuptools {platter_setuptools.__version__}",
            "python": target.version,
            "requires_python": self._requires_python(),
            "targets": [
                {
                    "implementation": target.implementation,
                    "python": target.version,
                    "abi": target.abi,
                    "platform": target.platform.replace("-", "_").replace(".", "_"),
                    "cache_tag": target.cache_tag,
                    "magic": target.magic,
                    "debug": target.debug,
                    "free_threaded": target.free_threaded,
                }
            ],
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
            "wheels": wheels,
            "installed_size": sum(wheel["installed_size"] for wheel in wheels),
            "installed_files": sum(wheel["installed_files"] for wheel in wheels),
        }

    def pylock(self) -> dict[str, Any]:
        """A lock of exactly these wheels, beside the lock (PEP 751): `uv pip sync` and pip install from it."""
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
        """The files that describe the bundle, the wheels and their bytecode."""
        import tomli_w  # noqa: PLC0415

        info = from_text("info.json", json.dumps(self.info(), indent=2) + "\n")
        _check(info)
        members = [
            from_text("PACKAGE", f"{self.project.description.name}\n"),
            from_text("VERSION", f"{self.version}\n"),
            from_text("PLATFORM", f"{self.target.platform}\n"),
            info,
            from_text("data/pylock.toml", tomli_w.dumps(self.pylock())),
        ]
        for described in self._sorted():
            wheel = described.wheel
            members.append(from_file(f"data/{wheel.filename}", wheel.path, sha256=wheel.sha256, packed=True))
        for wheel, bytecode in self.bytecode.items():
            name = f"data/{_bytecode_name(wheel, self.target)}"
            members.append(from_file(name, bytecode.path, sha256=bytecode.sha256, packed=True))
        return members

    def _requires_python(self) -> str | None:
        """The project's Requires-Python, and those of dependencies that some patch release does not meet."""
        parts = {str(self.project.description.requires_python or "")}
        for requires in (described.description.requires_python for described in self.wheels):
            patches = (one["python_full_version"] for one in self.target.other_patches)
            if requires and not all(requires.contains(patch, prereleases=True) for patch in patches):
                parts.add(str(requires))
        return ",".join(sorted(parts - {""})) or None

    def _wheel(self, described: Described) -> dict[str, Any]:
        wheel, description = described.wheel, described.description
        bytecode = self.bytecode.get(wheel)
        return {
            "file": wheel.filename,
            "name": wheel.name,
            "version": str(wheel.version),
            "sha256": wheel.sha256,
            "size": wheel.size,
            "installed_size": description.size + (bytecode.size if bytecode else 0),
            "installed_files": description.files * (2 if bytecode else 1),
            "requested": described is self.project,
            "bytecode": _bytecode_name(wheel, self.target) if bytecode else None,
            **self._needs(wheel),
        }

    @property
    def in_order(self) -> list[Wheel]:
        """The wheels; of two that own one path the later one wins on the server."""
        return [described.wheel for described in self._sorted()]

    def _needs(self, wheel: Wheel) -> dict[str, Any]:
        """What a compiled wheel needs of the server's system; nothing for the others."""
        needs = self.needs.get(wheel)
        if needs is None or not (needs.libc or needs.libraries):
            return {}
        return {"libc": needs.libc, "libraries": list(needs.libraries)}

    def _sorted(self) -> list[Described]:
        # The project's own word is the last.
        return sorted(self.wheels, key=lambda described: (described is self.project, described.wheel.name))


def stem(project: Wheel, target: Target, *, with_python: bool) -> str:
    """Return the name of a bundle without its format: `NAME-VERSION[-PYTHON]-PLATFORM`, such as `app-1.0-linux-x86_64`.

    PYTHON is the ABI tag (PEP 425) of the target: `cp311`.
    """
    name, version = project.path.stem.split("-")[:2]
    return "-".join([name, version, *[target.abi] * with_python, target.platform])


def _check(info: Member) -> None:
    """Raises WheelError for what the installer would refuse."""
    try:
        installer.load(info.content or b"")
    except InstallError as error:
        raise WheelError(
            f"the bundle could not be installed: {error.message}", hint="a project or a dependency is called oddly"
        ) from error


def checksums(members: Iterable[Member]) -> Member:
    """SHA256SUMS over all files, as `sha256sum -c` reads it; links are read through."""
    by_name = {member.name: member for member in members}
    lines = []
    for name in sorted(by_name):
        sha256 = by_name.get(end_of_links(by_name, name), by_name[name]).sha256
        if sha256:
            lines.append(_line(sha256, name))
    return from_bytes("SHA256SUMS", "".join(lines).encode("utf-8", "surrogateescape"))


def end_of_links(by_name: Mapping[str, Member], name: str) -> str:
    """The name that a name leads to when all links on the way are followed. Raises WheelError for a circle."""
    ahead, behind, followed = name.split("/")[::-1], list[str](), 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            behind = behind[:-1]
        elif part not in {"", "."}:
            member = by_name.get("/".join([*behind, part]))
            if member is None or member.link is None:
                behind.append(part)
            else:
                followed += 1
                ahead += member.link.split("/")[::-1]
        if followed > 40:  # noqa: PLR2004 - as many as the kernel follows
            raise WheelError(f"the link {name} leads in a circle", hint="let the link name a file or a folder")
    return "/".join(behind)


def _line(sha256: str, name: str) -> str:
    # A name with a newline or a backslash is escaped, and the line marked, as coreutils does.
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    return f"{mark}{sha256}  {escaped}\n"


def _bytecode_name(wheel: Wheel, target: Target) -> str:
    return f"bytecode/{wheel.path.stem}.{target.cache_tag}.zip"
