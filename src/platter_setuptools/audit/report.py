"""The audit of a bundle or an installed release: known vulnerabilities, and licences that are not wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from platter_setuptools.audit.licences import UNKNOWN
from platter_setuptools.audit.osv import merged
from platter_setuptools.errors import BundleError
from platter_setuptools.inspect.release import distributions, read_release, uses_system_packages
from platter_setuptools.inspect.summary import summarise
from platter_setuptools.payload.install import interpreter
from platter_setuptools.runtime.progress import counted
from platter_setuptools.wheels.metadata import licence_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from platter_setuptools.audit.advisories import Database
    from platter_setuptools.audit.licences import Policy
    from platter_setuptools.audit.osv import Advisory

_INSTALLER = re.compile(r"data/bootstrap/([^/]+)-([^/-]+)\.dist-info/METADATA")
_ORDER = ("PYSEC-", "GHSA-", "MAL-", "CVE-")  # of the ids: the first one that there is names a vulnerability


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A distribution; `name` is normalized, `licence` an SPDX expression, or what its authors wrote, or empty.

    `targets` are the ids of the bundle's targets that take it, if not all of them do. `installer`: it is only used by
    install.sh, and its licence is not looked at.
    """

    name: str
    version: Version
    licence: str
    targets: tuple[str, ...] = ()
    installer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is audited. `unseen` tells what belongs to it, too, and is not looked at."""

    title: str
    distributions: tuple[Audited, ...]
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """A vulnerability of a distribution. `fixed` are later versions that are without it, the lowest first."""

    of: Audited
    id: str
    aliases: tuple[str, ...]
    title: str
    fixed: tuple[Version, ...]
    ignored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwanted:
    """A distribution whose licence is `denied`, `not allowed` or `unknown`; `fails`: that is a reason to fail."""

    of: Audited
    problem: str
    fails: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result. There are no `databases` if no vulnerabilities were asked for."""

    subject: Subject
    databases: tuple[Database, ...]
    vulnerabilities: tuple[Vulnerability, ...]
    licences: tuple[Unwanted, ...]

    @property
    def passed(self) -> bool:
        return all(one.ignored for one in self.vulnerabilities) and not any(one.fails for one in self.licences)


def open_bundle(path: Path) -> Subject:
    """Return what is in a bundle, by its metadata, which `verify` compares with its files."""
    summary = summarise(path)
    everywhere = {target.id for target in summary.about.targets}
    wheels = [
        Audited(
            name=canonicalize_name(part.name),
            version=Version(part.version),
            licence=" ".join(part.licence.split()),
            targets=() if set(part.targets) == everywhere else part.targets,
        )
        for part in sorted(summary.parts, key=lambda part: (part.name, part.file))
    ]
    names = (match.groups() for match in map(_INSTALLER.fullmatch, sorted(summary.sums)) if match)
    installer = [
        Audited(name=canonicalize_name(name), version=Version(version), licence="", installer=True)
        for name, version in names
    ]
    about = summary.about
    brought = about.interpreter.version if about.interpreter else ""
    return Subject(
        title=about.title,
        distributions=(*wheels, *installer),
        unseen=tuple(_unseen(brought, system=about.system_site_packages)),
    )


def open_release(folder: Path) -> Subject:
    """Return what is installed in a release. Raises BundleError for one that is not complete."""
    marker = read_release(folder)
    brought = marker.bundled_interpreter or (folder / interpreter.OWN).is_dir()
    found = [
        Audited(name=canonicalize_name(one["name"]), version=Version(one["version"]), licence=licence_of(one))
        for one in distributions(folder)
    ]
    if not found:
        raise BundleError(f"{folder} has no distributions", hint="ROOT/platter doctor reports more")
    return Subject(
        title=f"{marker.name} {marker.version}",
        distributions=tuple(sorted(found, key=lambda one: one.name)),
        unseen=tuple(_unseen(marker.python if brought else "", system=uses_system_packages(folder))),
    )


def _unseen(brought: str, *, system: bool) -> Iterator[str]:
    if brought:
        yield f"the interpreter that the bundle brings, CPython {brought}"
    if system:
        yield "the packages of the server's Python, which this one finds, too"


def audit(
    subject: Subject,
    databases: Sequence[Database],
    policy: Policy | None,
    *,
    ignored: Sequence[str] = (),
    licences: Mapping[str, str] | None = None,
) -> Report:
    """Return what is known of the distributions.

    `ignored` are ids of vulnerabilities. `licences` has the licence, by name, of distributions that do not tell one.
    """
    return Report(
        subject=subject,
        databases=tuple(databases),
        vulnerabilities=tuple(_vulnerabilities(subject, databases, ignored)),
        licences=tuple(_unwanted(subject, policy, licences or {})) if policy else (),
    )


def _vulnerabilities(
    subject: Subject, databases: Sequence[Database], ignored: Sequence[str]
) -> Iterator[Vulnerability]:
    dropped = {one.upper() for one in ignored}
    for one in subject.distributions:
        known = (advisory for database in databases for advisory in database.advisories.get(one.name, ()))
        about = [advisory for advisory in known if _is_about(advisory, one)]
        for group in sorted(merged(about), key=_ids):
            first, *others = _ids(group)
            fixes = {
                fix
                for advisory in group
                for each in advisory.affected
                if each.name == one.name
                for fix in each.fixes(one.version)
            }
            yield Vulnerability(
                of=one,
                id=first,
                aliases=tuple(others),
                title=next((advisory.title for advisory in group if advisory.title), ""),
                fixed=tuple(sorted(fixes)),
                ignored=not dropped.isdisjoint(map(str.upper, (first, *others))),
            )


def _is_about(advisory: Advisory, one: Audited) -> bool:
    return any(each.name == one.name and each.includes(one.version) for each in advisory.affected)


def _ids(group: Sequence[Advisory]) -> list[str]:
    """Return all ids of a vulnerability, first that of a record, by whose it is."""
    records, known = {one.id for one in group}, {id_ for one in group for id_ in one.ids}
    rank = {prefix: place for place, prefix in enumerate(_ORDER)}
    return sorted(known, key=lambda id_: (id_ not in records, rank.get(id_.partition("-")[0] + "-", len(rank)), id_))


def _unwanted(subject: Subject, policy: Policy, licences: Mapping[str, str]) -> Iterator[Unwanted]:
    for one in subject.distributions:
        problem = "" if one.installer else policy.judge(one.licence)
        if problem == UNKNOWN and one.name in licences:
            problem = policy.judge(licences[one.name])
        if problem:
            yield Unwanted(of=one, problem=problem, fails=problem != UNKNOWN or policy.allowed is not None)


def unused(report: Report, ignored: Sequence[str]) -> list[str]:
    """Return the ids of `ignored` that no distribution is affected by."""
    known = {id_.upper() for one in report.vulnerabilities for id_ in (one.id, *one.aliases)}
    return [one for one in ignored if one.upper() not in known]


def text(report: Report) -> str:
    """Return the findings as text; empty if there are none."""
    lines = []
    for one in report.vulnerabilities:
        if not one.ignored:
            also = f" ({', '.join(one.aliases)})" if one.aliases else ""
            fixed = f"fixed in {', '.join(map(str, one.fixed))}" if one.fixed else "no fix known"
            lines += [f"{_told(one.of)}: {one.id}{also}, {fixed}", *[f"    {one.title}"] * bool(one.title)]
    for found in report.licences:
        licence = found.of.licence or "it tells none"
        lines.append(f"{_told(found.of)}: licence {found.problem}: {licence}")
    return "\n".join(lines)


def _told(one: Audited) -> str:
    where = f" ({', '.join(one.targets)})" if one.targets else ""
    where += " (of install.sh)" * one.installer
    return f"{one.name} {one.version}{where}"


def conclusion(report: Report) -> str:
    """Return what the findings come to, in a line."""
    subject, said = report.subject, []
    if report.databases:
        counts = [one.ignored for one in report.vulnerabilities]
        said.append(_counted(len(counts) - sum(counts), "known vulnerabilities", "known vulnerability"))
        said += [f"{sum(counts)} ignored"] * any(counts)
    if report.licences:
        problems = [one.problem for one in report.licences]
        said += [f"{counted(problems.count(one), 'licence')} {one}" for one in dict.fromkeys(problems)]
    elif not report.databases:
        said.append("licences as wanted")
    number = counted(len(subject.distributions), "distribution")
    line = f"{subject.title}: {', '.join(said)} in {number}"
    if report.databases:
        size = _counted(sum(one.size for one in report.databases), "advisories", "advisory")
        line += f"; {size}, the latest of {max(one.modified for one in report.databases)[:10]}"
    return line


def _counted(number: int, nouns: str, noun: str) -> str:
    return f"{number or 'no'} {noun if number == 1 else nouns}"


def as_json(report: Report) -> dict[str, Any]:
    """Return the object of docs/audit.schema.json."""
    return {
        "title": report.subject.title,
        "passed": report.passed,
        "distributions": len(report.subject.distributions),
        "databases": [
            {"path": f"{one.path.absolute()}", "advisories": one.size, "modified": one.modified}
            for one in report.databases
        ],
        "vulnerabilities": [
            {
                **_about(one.of),
                "installer": one.of.installer,
                "id": one.id,
                "aliases": list(one.aliases),
                "title": one.title,
                "fixed": list(map(str, one.fixed)),
                "ignored": one.ignored,
            }
            for one in report.vulnerabilities
        ],
        "licences": [
            {**_about(one.of), "licence": one.of.licence or None, "problem": one.problem, "fails": one.fails}
            for one in report.licences
        ],
        "unseen": list(report.subject.unseen),
    }


def _about(one: Audited) -> dict[str, Any]:
    return {"name": one.name, "version": f"{one.version}", "targets": list(one.targets)}
