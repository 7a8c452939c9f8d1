"""Verifying a finished bundle, as far as that goes without installing it.

Everything that it holds is compared with what it says of itself. All that is wrong comes in one list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging import tags
from packaging.utils import canonicalize_name

from platter_setuptools.ground.amendments import read_amendment
from platter_setuptools.ground.errors import ArchiveError, BundleError, PlatterError, UsageError, WheelError
from platter_setuptools.payload import checksums as sums
from platter_setuptools.payload import manifest
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.wheel import source_of
from platter_setuptools.steps.bundle.contents import LOCK, Contents, WheelInside, read_contents
from platter_setuptools.steps.bundle.sbom import FILE as BILL
from platter_setuptools.steps.bundle.sbom import below, read_bill
from platter_setuptools.steps.bundle.signing import check_signature, maker_of
from platter_setuptools.steps.bundle.sums import differences
from platter_setuptools.steps.resolving.lock import load_lock
from platter_setuptools.steps.target import Target
from platter_setuptools.steps.wheels.check import Asked, Described, check_set
from platter_setuptools.steps.wheels.scripts import check_scripts
from platter_setuptools.steps.wheels.soundness import check_case, check_places
from platter_setuptools.steps.wheels.wheelfile import tags_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner

_SHOWN = 20
_SYSTEMS = {"linux": ("linux", "Linux"), "macosx": ("darwin", "Darwin")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is told of a bundle that is in order. `signer` is None if nobody asked who signed it."""

    title: str
    files: int
    wheels: int
    signed: bool
    signer: str | None


def verify(path: Path, *, allowed_signers: Path | None, run: Runner, progress: Progress, work: Path) -> Verdict:
    """Look at all of a bundle; what is odd but not wrong is told as a warning.

    Raises BundleError with all that is wrong with it, ArchiveError for what is no bundle, or not signed as asked.
    """
    contents = read_contents(path, work)
    signer = _signer(path, contents, allowed_signers, run, progress, work)
    findings = [*contents.findings, *differences(contents), *_secrets(contents)]
    try:
        plan = manifest.load(contents.texts.get("info.json", b""))
    except InstallError as error:
        findings.append(error.message)
    else:
        findings += [*_about(plan, contents), *_wheels(plan, contents), *_bytecode(plan, contents)]
        findings += [*_lock(plan, contents), *_bill(plan, contents), *_set(plan, contents, progress)]
    if findings := list(dict.fromkeys(findings)):
        more = len(findings) - _SHOWN
        lines = [f"  {finding}" for finding in findings[:_SHOWN]] + [f"  and {more} more"] * (more > 0)
        raise BundleError(
            "\n".join([f"{path} is not in order:", *lines]),
            hint="do not install it: get it again from where it was built, or build it again",
        )
    return Verdict(
        title=plan.title,
        files=sum(member.content is not None for member in contents.members.values()),
        wheels=len(contents.wheels),
        signed=sums.SIGNATURE in contents.texts,
        signer=signer,
    )


def _signer(
    path: Path, contents: Contents, allowed: Path | None, run: Runner, progress: Progress, work: Path
) -> str | None:
    """Who signed it, if that is asked. A signature has to be one of this bundle, whoever made it."""
    said, signature = contents.texts.get(sums.FILE, b""), contents.texts.get(sums.SIGNATURE)
    if signature is None:
        if allowed:
            raise ArchiveError(f"{path} is not signed", hint="build it with sign-with")
        return None
    if allowed:
        return check_signature(said, signature, allowed, run, work)
    try:
        maker_of(said, signature, run, work)
    except UsageError:
        progress.warn("the signature was not looked at: ssh-keygen, which does that, is not there")
    return None


def _secrets(contents: Contents) -> Iterator[str]:
    for name in contents.texts:
        if contents.members[name].tells_secret():
            yield f"{name}: holds a URL with a user or password in it"


def _about(plan: manifest.Manifest, contents: Contents) -> Iterator[str]:
    """What is said twice is said alike."""
    for name in ("install.sh", "data/bootstrap/platter_payload/__main__.py"):
        if name not in contents.members:
            yield f"{name}: missing"
    for name, value in (("PACKAGE", plan.name), ("VERSION", plan.version), ("PLATFORM", plan.platform)):
        if contents.texts.get(name) != f"{value}\n".encode():
            yield f"{name}: info.json says {value}"
    names = [wheel.file.split("-")[:2] for wheel in plan.wheels if wheel.requested]
    pythons = [[], [".".join(sorted({target.abi for target in plan.targets}))]]
    stems = {"-".join([*name, *python, plan.platform]) for name in names for python in pythons}
    if contents.top not in stems:
        yield f"{contents.top}: by info.json the folder should be {' or '.join(sorted(stems)) or 'another one'}"


def _wheels(plan: manifest.Manifest, contents: Contents) -> Iterator[str]:
    """Each wheel of info.json is there and what it says."""
    for number, one in enumerate(plan.wheels):
        name, where = f"data/{one.file}", f"info.json: wheels[{number}]"
        member, inside = contents.members.get(name), contents.wheels.get(name)
        if member is None:
            yield f"{where}: {name} is missing"
        elif (member.sha256, member.size) != (one.sha256, one.size):
            yield f"{where}: {name} has another hash or size"
        elif inside:
            wheel, description = inside.described.wheel, inside.described.description
            if (wheel.name, str(wheel.version)) != (canonicalize_name(one.name), one.version):
                yield f"{where}: {name} is {wheel.name} {wheel.version}, not {one.name} {one.version}"
            compiled = contents.bytecode_sizes.get(f"data/{one.bytecode}", 0)
            files = description.files * (2 if one.bytecode else 1)
            if (one.installed_size, one.installed_files) != (description.size + compiled, files):
                yield f"{where}: {name} takes another room when it is installed"
    if (name := canonicalize_name(plan.name)) not in {
        canonicalize_name(one.name) for one in plan.wheels if one.requested
    }:
        yield f"info.json: {name} is not the distribution that was asked for"


def _bytecode(plan: manifest.Manifest, contents: Contents) -> Iterator[str]:
    """All bytecode is some wheel's, compiled from the very modules in it, for a target of the bundle."""
    owners = {f"data/{one.bytecode}": f"data/{one.file}" for one in plan.wheels if one.bytecode}
    for name in sorted(owners.keys() - contents.members.keys()):
        yield f"{name}: missing"
    known = {(target.magic, target.cache_tag) for target in plan.targets}
    for name, modules in contents.bytecode.items():
        inside = contents.wheels.get(owners.get(name, ""))
        if name not in owners:
            yield f"{name}: belongs to no wheel"
        elif inside and (
            wrong := next((one for one in modules if not _compiled(one, modules[one], inside, known)), "")
        ):
            yield f"{name}: {wrong} was not compiled from what is in {owners[name]}, or not for this target"


def _compiled(name: str, module: tuple[str, int, int, int], inside: WheelInside, known: set[tuple[str, str]]) -> bool:
    magic, flags, time, size = module
    tag = name.removesuffix(".pyc").rpartition(".")[2]
    return (magic, tag) in known and not flags and inside.modules.get(source_of(name)) == (time, size)


def _lock(plan: manifest.Manifest, contents: Contents) -> Iterator[str]:
    """The lock beside the wheels is one of these wheels."""
    try:
        lock = load_lock(contents.texts.get(LOCK, b""), base=Path(), where=LOCK).pylock
    except PlatterError as error:
        yield error.message
        return
    locked = {(one.name, wheel.name, wheel.hashes.get("sha256")) for one in lock.packages for wheel in one.wheels or ()}
    if locked != {(canonicalize_name(one.name), one.file, one.sha256) for one in plan.wheels}:
        yield f"{LOCK}: does not lock the wheels of info.json"


def _bill(plan: manifest.Manifest, contents: Contents) -> Iterator[str]:
    """The bill of materials lists these wheels, and tells of each why it is there."""
    try:
        bill = read_bill(contents.texts.get(BILL, b""))
        reached = below(bill.subject, bill.graph)
    except (BundleError, LookupError) as error:
        yield error.message if isinstance(error, BundleError) else f"{BILL}: not legible: it has no beginning"
        return
    listed = {(canonicalize_name(one.name), one.version, one.sha256) for one in bill.components}
    if listed != {(canonicalize_name(one.name), one.version, one.sha256) for one in plan.wheels}:
        yield f"{BILL}: does not list the wheels of info.json"
    elif not {one.ref for one in bill.components} <= reached:
        yield f"{BILL}: does not lead to each wheel"


def _set(plan: manifest.Manifest, contents: Contents, progress: Progress) -> Iterator[str]:
    """The wheels fit each target, and together they meet every requirement: with one patch release of it at least."""
    inside = [contents.wheels[f"data/{one.file}"] for one in plan.wheels if f"data/{one.file}" in contents.wheels]
    if len(inside) < len(plan.wheels):
        return  # which has been told
    described = [one.described for one in inside]
    try:
        amendments = [read_amendment(**one._asdict()) for one in plan.overrides]
    except ValueError as error:
        yield f"{manifest.FILE}: overrides: {error}"
        return
    asked = Asked(
        extras={canonicalize_name(plan.name): frozenset(plan.extras)},
        excluded=frozenset(map(canonicalize_name, plan.excluded)),
        amendments=amendments,
    )
    platforms = sorted({tag.platform for one in described for tag in tags_of(one.wheel)} - {"any"})
    for target in plan.targets:
        problems = [_problem(described, asked, _target(plan, target, patch, platforms)) for patch in (0, 999)]
        if all(problems):
            yield problems[0]
    places = {one.described.wheel: one.places for one in inside}
    projects = [one for one, wheel in zip(described, plan.wheels, strict=True) if wheel.requested]
    try:
        check_places([one.wheel for one in described], places, progress)
        check_scripts(described, projects, places, asked, progress)
        if check_case(places.values(), plan.platform, progress) is not plan.case_sensitive:
            yield f"{manifest.FILE}: case_sensitive is {str(plan.case_sensitive).lower()}, which the wheels contradict"
    except WheelError as error:
        yield error.message


def _problem(described: Sequence[Described], asked: Asked, target: Target) -> str:
    try:
        check_set(described, asked, target)
    except WheelError as error:
        return error.message
    return ""


def _target(plan: manifest.Manifest, target: manifest.Target, patch: int, platforms: Iterable[str]) -> Target:
    """A target as a builder has it, as far as a bundle tells. Which glibc a server has shows when it installs."""
    system, _, machine = target.platform.partition("_")
    sys_platform, platform_system = _SYSTEMS.get(system, (system, system.capitalize()))
    fitting = [name for name in platforms if name.endswith(f"_{machine}") or system != "linux"]
    version = tuple(map(int, target.python.split(".")))
    full = f"{target.python}.{patch}"
    abis = [target.abi, target.abi.removesuffix("d")] if target.debug else [target.abi]
    return Target(
        executable=Path(f"python{target.python}"),
        implementation=target.implementation,
        version=target.python,
        full_version=full,
        platform=plan.platform,
        abi=target.abi,
        cache_tag=target.cache_tag,
        magic=target.magic,
        debug=target.debug,
        free_threaded=target.free_threaded,
        libc=None,
        environment={
            "implementation_name": target.implementation,
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": platform_system,
            "platform_version": "",
            "python_full_version": full,
            "python_version": target.python,
            "sys_platform": sys_platform,
        },
        tags=(
            *tags.cpython_tags(version, abis, fitting),
            *tags.compatible_tags(version, f"cp{version[0]}{version[1]}", fitting),
        ),
    )
