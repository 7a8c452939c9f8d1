"""The metadata of a whole bundle: the manifest of its target or, of several targets, their manifests joined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platter_setuptools.bundle.members import Member, from_text
from platter_setuptools.errors import DependencyError, WheelError
from platter_setuptools.payload import manifest as installer
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.table import Table
from platter_setuptools.payload.target import pythons, read_target
from platter_setuptools.resolve.lock import Lock, join, parse_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platter_setuptools.bundle.manifest import Manifest

_BUILD_ONE_EACH = "build a bundle for each of them"
_FOLDER = Path("/")  # of locks that are only joined


def members_of(manifests: Sequence[Manifest]) -> list[Member]:
    """Return the files that describe the bundle, the wheels of all targets, each once, and their bytecode.

    Raise WheelError for what the installer would refuse, and DependencyError if no lock can tell the targets apart.
    """
    import tomli_w  # noqa: PLC0415

    described = info(manifests)
    text = from_text("info.json", json.dumps(described, indent=2) + "\n")
    _check(text)
    members = [
        from_text("PACKAGE", f"{described['name']}\n"),
        from_text("VERSION", f"{described['version']}\n"),
        from_text("PLATFORM", f"{described['platform']}\n"),
        text,
        from_text("data/pylock.toml", tomli_w.dumps(pylock(manifests))),
    ]
    return members + list({member.name: member for one in manifests for member in one.members()}.values())


def info(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Return info.json. If there are several targets, each has what a bundle for it alone would have at the top."""
    told = [one.info() for one in manifests]
    if len(told) == 1:
        return told[0]
    wheels: dict[str, dict[str, Any]] = {}
    for one, manifest in zip(told, manifests, strict=True):
        for wheel in manifest.wheels_info(with_bytecode=False):
            file = wheel["file"]
            wheels[file] = _both(wheels[file], wheel) if file in wheels else wheel
        one["targets"][0] |= {
            "requires_python": one["requires_python"],
            "wheels": [wheel["file"] for wheel in one["wheels"]],
            "bytecode": manifest.bytecode_info(),
        }
    listed = sorted(wheels.values(), key=lambda wheel: (wheel["requested"], wheel["name"], wheel["file"]))
    targets = [target for one in told for target in one["targets"]]
    first, requires = told[0], manifests[0].project.description.requires_python
    joined = {
        **first,
        "platform": ".".join(sorted({one["platform"] for one in told})),
        "requires_python": str(requires) if requires else None,
        "targets": targets,
        "case_sensitive": any(one["case_sensitive"] for one in told),
        "wheels": listed,
        "installed_size": sum(wheel["installed_size"] for wheel in listed),
        "installed_files": sum(wheel["installed_files"] for wheel in listed),
    }
    # On a line of its own, after `python`.
    line = {"pythons": pythons([read_target(Table(target, "targets")) for target in targets])}
    keys = list(joined)
    place = keys.index("python") + 1
    return {**{key: joined[key] for key in keys[:place]}, **line, **{key: joined[key] for key in keys[place:]}}


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return what a wheel is for both targets: more libraries may be missing in one of them, or paths be contested."""
    found = {**other, **one, "record_sha256": one["record_sha256"] and other["record_sha256"]}
    if libraries := {*one.get("libraries", ()), *other.get("libraries", ())}:
        found["libraries"] = sorted(libraries)
    return found


def pylock(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Return a lock of exactly these wheels (PEP 751); of several targets it selects for each what that takes.

    Raise DependencyError for targets that differ in nothing that a lock can tell, and take different distributions.
    """
    if len(manifests) == 1:
        return manifests[0].pylock()
    locks = []
    for manifest in manifests:
        alone = {**manifest.pylock()}
        del alone["requires-python"]
        locks.append((manifest.target, parse_lock(alone, base=_FOLDER, where="the lock")))
    lock = join(locks, _FOLDER, exact=True)
    for manifest in manifests:
        _check_selection(lock, manifest)
    return dict(lock.pylock.to_dict())


def _check_selection(lock: Lock, manifest: Manifest) -> None:
    """Raise DependencyError unless the target takes its wheels, and no others, from the joined lock."""
    try:
        taken = {artifact.filename for _, artifact in lock.select(manifest.target) if hasattr(artifact, "filename")}
    except WheelError as error:
        raise DependencyError(f"the targets cannot be in one bundle: {error.message}", hint=_BUILD_ONE_EACH) from error
    wheels = {wheel.filename for wheel in manifest.in_order}
    if taken != wheels:
        others = ", ".join(sorted(taken ^ wheels))
        raise DependencyError(
            f"the targets cannot be in one bundle: no marker tells {manifest.target} from another target, and they take"
            f" different distributions: {others}",
            hint=_BUILD_ONE_EACH,
        )


def _check(text: Member) -> None:
    """Raise WheelError for what the installer would refuse."""
    try:
        installer.load(text.content or b"")
    except InstallError as error:
        raise WheelError(
            f"the bundle could not be installed: {error.message}", hint="a project or a dependency is called oddly"
        ) from error
