"""Verify a finished bundle without installing it.

Everything in it is compared with its metadata. All findings are reported in one list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.bundle.sbom import FILE as BILL
from platter_setuptools.bundle.sbom import below, read_bill
from platter_setuptools.bundle.signing import check_signature
from platter_setuptools.errors import BundleError, PlatterError, UsageError
from platter_setuptools.inspect.bundle_reader import LOCK, Contents, WheelInside, read_contents
from platter_setuptools.inspect.find import THIN
from platter_setuptools.inspect.sums import differences
from platter_setuptools.inspect.verify_sets import check_sets
from platter_setuptools.payload import checksums as sums
from platter_setuptools.payload import manifest, thin
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.wheels.wheel import source_of
from platter_setuptools.resolve.lock import load_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.runtime.progress import Progress
    from platter_setuptools.wheels.metadata import Description

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result for a bundle that is in order. `signer` is None if the signer was not checked.

    `left_out` are the files that a thin bundle leaves out, and that nothing could be checked of.
    """

    title: str
    files: int
    wheels: int
    signed: bool
    signer: str | None
    left_out: tuple[str, ...] = ()


def verify(path: Path, *, allowed_signers: Path | None, run: Runner, progress: Progress, work: Path) -> Verdict:
    """Check all of a bundle; print a warning for what is unusual but not wrong.

    Raises BundleError with all that is wrong with it, ArchiveError for what is no bundle, or not signed as asked.
    """
    contents = read_contents(path, work)
    signer = signer_of(path, contents, allowed_signers, run, progress, work)
    findings = [*contents.findings, *_secrets(contents)]
    left_out: Collection[str] | None = None
    try:
        plan = manifest.load(contents.texts.get("info.json", b""))
        left_out = _left_out(plan, contents)
    except InstallError as error:
        findings += [error.message, *differences(contents)]
    else:
        findings += [*differences(contents, left_out), *_about(plan, contents)]
        for part in map(plan.for_target, plan.targets):
            findings += _wheels(part, contents, left_out or ())
        findings += [
            *_bytecode(plan, contents, left_out or ()),
            *_interpreter(plan, contents, left_out or ()),
            *_lock(plan, contents),
            *_bill(plan, contents),
            *check_sets(plan, contents, progress),
        ]
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
        left_out=tuple(sorted(left_out or ())),
    )


def _left_out(plan: manifest.Manifest, contents: Contents) -> Collection[str] | None:
    """Return the files that a thin bundle lacks; None for a full one."""
    listed = sums.parse(contents.texts.get(sums.FILE, b""))
    found = thin.find(contents.texts.get(thin.FILE), listed, plan)
    return found.left_out - contents.members.keys() if found else None  # it may lie in the folder of the full one


def signer_of(
    path: Path, contents: Contents, allowed: Path | None, run: Runner, progress: Progress, work: Path
) -> str | None:
    """Return the signer if asked for. A signature must be of this bundle in any case."""
    signature = contents.texts.get(sums.SIGNATURE)
    if signature is None and not allowed:
        return None
    try:
        return check_signature(path, contents.texts.get(sums.FILE, b""), signature, allowed, run, work) or None
    except UsageError as error:
        if allowed:
            raise
        progress.warn(f"the signature was not checked: {error.message}")
    return None


def _secrets(contents: Contents) -> Iterator[str]:
    for name in contents.texts:
        if contents.members[name].tells_secret():
            yield f"{name}: holds a URL with a user or password in it"


def _about(plan: manifest.Manifest, contents: Contents) -> Iterator[str]:
    """Yield contradictions between the files of the bundle."""
    for name in ("install.sh", "data/bootstrap/platter_payload/__main__.py"):
        if name not in contents.members:
            yield f"{name}: missing"
    for name, value in (("PACKAGE", plan.name), ("VERSION", plan.version), ("PLATFORM", plan.platform)):
        if contents.texts.get(name) != f"{value}\n".encode():
            yield f"{name}: info.json says {value}"
    project = canonicalize_name(plan.name)
    names = [one.file.split("-")[:2] for one in plan.wheels if one.requested and canonicalize_name(one.name) == project]
    pythons = [[], [".".join(sorted({target.abi for target in plan.targets}))]]
    stems = {"-".join([*name, *python, plan.platform]) for name in names for python in pythons}
    if contents.top.removesuffix(THIN if thin.FILE in contents.members else "") not in stems:
        yield f"{contents.top}: by info.json the folder should be {' or '.join(sorted(stems)) or 'another one'}"


def _wheels(plan: manifest.Manifest, contents: Contents, left_out: Collection[str]) -> Iterator[str]:
    """Yield wheels of a target that are missing or differ from info.json."""
    for number, one in enumerate(plan.wheels):
        name, where = f"data/{one.file}", f"info.json: {_wheel_of(plan, number)}"
        member, inside = contents.members.get(name), contents.wheels.get(name)
        if member is None:
            if name not in left_out:
                yield f"{where}: {name} is missing"
        elif (member.sha256, member.size) != (one.sha256, one.size):
            yield f"{where}: {name} has another hash or size"
        elif inside:
            wheel, description = inside.described.wheel, inside.described.description
            if (wheel.name, str(wheel.version)) != (canonicalize_name(one.name), one.version):
                yield f"{where}: {name} is {wheel.name} {wheel.version}, not {one.name} {one.version}"
            compiled = contents.bytecode_sizes.get(f"data/{one.bytecode}", 0)
            files = description.files * (2 if one.bytecode else 1)
            if f"data/{one.bytecode}" in left_out:
                continue
            if (one.installed_size, one.installed_files) != (description.size + compiled, files):
                yield f"{where}: {name} has another installed size"
            yield from _other_hashes(one, where, description, contents)
    if (name := canonicalize_name(plan.name)) not in {
        canonicalize_name(one.name) for one in plan.wheels if one.requested
    }:
        yield f"info.json: {name} is not the project"


def _wheel_of(plan: manifest.Manifest, number: int) -> str:
    """Return how findings name a wheel of a target, by its place there or in the only list."""
    return f"targets: {plan.targets[0].id}: wheels[{number}]" if len(plan.targets) > 1 else f"wheels[{number}]"


def _other_hashes(
    one: manifest.BundledWheel, where: str, description: Description, contents: Contents
) -> Iterator[str]:
    """Yield hashes of what is in a wheel or its bytecode that differ; bundles of older releases have none."""
    found = {
        "record_sha256": description.record_sha256,
        "executables_sha256": description.executables_sha256,
        "bytecode_record_sha256": contents.bytecode_records.get(f"data/{one.bytecode}", ""),
    }
    for key, digest in found.items():
        if getattr(one, key) not in {"", digest}:
            yield f"{where}: {key} is not that of data/{one.bytecode if 'bytecode' in key else one.file}"


def _bytecode(plan: manifest.Manifest, contents: Contents, left_out: Collection[str]) -> Iterator[str]:
    """Yield bytecode that was not compiled from a wheel of the bundle for a target of the bundle."""
    owners, known = dict[str, str](), dict[str, tuple[str, str]]()
    for target in plan.targets:
        for one in plan.for_target(target).wheels:
            if one.bytecode:
                owners[f"data/{one.bytecode}"] = f"data/{one.file}"
                known[f"data/{one.bytecode}"] = (target.magic, target.cache_tag)
    for name in sorted(owners.keys() - contents.members.keys() - set(left_out)):
        yield f"{name}: missing"
    for name, modules in contents.bytecode.items():
        inside = contents.wheels.get(owners.get(name, ""))
        if name not in owners:
            yield f"{name}: belongs to no wheel"
        elif inside and (
            wrong := next((one for one in modules if not _compiled(one, modules[one], inside, known[name])), "")
        ):
            yield f"{name}: {wrong} was not compiled from what is in {owners[name]}, or not for this target"


def _compiled(name: str, module: tuple[str, int, int, int], inside: WheelInside, target: tuple[str, str]) -> bool:
    magic, flags, time, size = module
    tag = name.removesuffix(".pyc").rpartition(".")[2]
    return (magic, tag) == target and not flags and inside.modules.get(source_of(name)) == (time, size)


def _interpreter(plan: manifest.Manifest, contents: Contents, left_out: Collection[str]) -> Iterator[str]:
    """Yield a finding if the interpreter's archive is missing or another one."""
    one = plan.interpreter
    if one is None or f"data/{one.file}" in left_out:
        return
    member = contents.members.get(f"data/{one.file}")
    if member is None or (member.sha256, member.size) != (one.sha256, one.size):
        found = "is missing" if member is None else "has another hash or size"
        yield f"info.json: interpreter: data/{one.file} {found}"
    elif inside := contents.interpreters.get(f"data/{one.file}"):
        if inside.record_sha256 != one.record_sha256:
            yield f"info.json: interpreter: record_sha256 is not that of data/{one.file}"
        if (inside.installed_size, inside.installed_files) != (one.installed_size, one.installed_files):
            yield f"info.json: interpreter: data/{one.file} has another installed size"


def _lock(plan: manifest.Manifest, contents: Contents) -> Iterator[str]:
    """Yield a finding if the lock is not of these wheels."""
    try:
        lock = load_lock(contents.texts.get(LOCK, b""), base=Path(), where=LOCK).pylock
    except PlatterError as error:
        yield error.message
        return
    locked = {(one.name, wheel.name, wheel.hashes.get("sha256")) for one in lock.packages for wheel in one.wheels or ()}
    if locked != {(canonicalize_name(one.name), one.file, one.sha256) for one in plan.wheels}:
        yield f"{LOCK}: does not lock the wheels of info.json"


def _bill(plan: manifest.Manifest, contents: Contents) -> Iterator[str]:
    """Yield findings if the bill of materials does not list these wheels, or the path to each."""
    try:
        bill = read_bill(contents.texts.get(BILL, b""))
        reached = below(bill.subject, bill.graph)
    except (BundleError, LookupError) as error:
        yield error.message if isinstance(error, BundleError) else f"{BILL}: not legible: it has no root"
        return
    listed = {(canonicalize_name(one.name), one.version, one.sha256) for one in bill.components}
    bundled = {(canonicalize_name(one.name), one.version, one.sha256) for one in plan.wheels}
    if plan.interpreter:
        bundled.add((canonicalize_name("cpython"), plan.interpreter.version, plan.interpreter.sha256))
    if listed != bundled:
        yield f"{BILL}: does not list the wheels of info.json"
    elif not {one.ref for one in bill.components} <= reached:
        yield f"{BILL}: does not lead to each wheel"
