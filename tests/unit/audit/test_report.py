"""What an audit finds, and how it says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
from packaging.version import Version

from platter_setuptools.audit.advisories import Database
from platter_setuptools.audit.licences import read_policy
from platter_setuptools.audit.osv import Advisory, Affected
from platter_setuptools.audit.report import (
    Audited,
    Report,
    Subject,
    as_json,
    audit,
    conclusion,
    open_release,
    text,
    unused,
)
from support import handmade, relocated

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "audit.schema.json").read_text())


def one(name: str, version: str = "1.0", licence: str = "MIT", **more: Any) -> Audited:
    return Audited(name=name, version=Version(version), licence=licence, **more)


def about(id_: str, name: str, *aliases: str, fixed: str = "", title: str = "") -> Advisory:
    events = (("introduced", "0"), *[("fixed", fixed)] * bool(fixed))
    affected = Affected(name=name, versions=(), ranges=(events,))
    return Advisory(id=id_, aliases=aliases, title=title, modified="2026-11-20T10:00:00Z", affected=(affected,))


def database(*advisories: Advisory) -> list[Database]:
    kept: dict[str, list[Advisory]] = {}
    for advisory in advisories:
        kept.setdefault(advisory.affected[0].name, []).append(advisory)
    return [Database(path=Path("/db"), size=20123, modified="2026-11-20T10:00:00Z", advisories=kept)]


def subject(*distributions: Audited) -> Subject:
    return Subject(title="app 1.0", distributions=distributions)


def told(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps({"path": "/app", **as_json(report)}))
    jsonschema.validate(found, SCHEMA)
    return found


def test_a_vulnerability_has_one_line_whatever_its_names() -> None:
    report = audit(
        subject(one("app"), one("leaf"), one("branch", "3.0")),
        database(
            about("GHSA-2", "leaf", "CVE-1", fixed="2.0", title="Leaks sap"),
            about("PYSEC-1", "leaf", "CVE-1", fixed="1.5"),
            about("MAL-9", "leaf"),
            about("PYSEC-3", "branch", fixed="2.9"),
        ),
        None,
    )
    assert not report.passed
    assert text(report).splitlines() == [
        "leaf 1.0: MAL-9, no fix known",
        "leaf 1.0: PYSEC-1 (GHSA-2, CVE-1), fixed in 1.5, 2.0",
        "    Leaks sap",
    ]
    assert conclusion(report) == (
        "app 1.0: 2 known vulnerabilities in 3 distributions; 20123 advisories, the latest of 2026-11-20"
    )
    found = told(report)
    assert (found["passed"], found["distributions"], found["licences"]) == (False, 3, [])
    assert found["vulnerabilities"][1] == {
        "name": "leaf",
        "version": "1.0",
        "targets": [],
        "installer": False,
        "id": "PYSEC-1",
        "aliases": ["GHSA-2", "CVE-1"],
        "title": "Leaks sap",
        "fixed": ["1.5", "2.0"],
        "ignored": False,
    }


def test_an_id_that_no_record_has_does_not_name_it() -> None:
    report = audit(subject(one("leaf")), database(about("GHSA-1", "leaf", "PYSEC-0")), None)
    assert [each.id for each in report.vulnerabilities] == ["GHSA-1"]


def test_what_is_ignored_by_any_of_its_ids() -> None:
    known = database(about("GHSA-2", "leaf", "CVE-1"), about("PYSEC-1", "leaf", "CVE-1"), about("PYSEC-3", "leaf"))
    ignored: Sequence[str] = ["cve-1", "CVE-404"]
    report = audit(subject(one("leaf")), known, None, ignored=ignored)
    assert not report.passed
    assert text(report) == "leaf 1.0: PYSEC-3, no fix known"
    assert [(each["id"], each["ignored"]) for each in told(report)["vulnerabilities"]] == [
        ("PYSEC-1", True),
        ("PYSEC-3", False),
    ]
    assert unused(report, ignored) == ["CVE-404"]
    report = audit(subject(one("leaf")), known, None, ignored=["GHSA-2", "PYSEC-3"])
    assert (report.passed, text(report)) == (True, "")
    assert conclusion(report).startswith("app 1.0: no known vulnerabilities, 2 ignored in 1 distribution; ")


def test_several_databases() -> None:
    """An advisory of our own, beside the public ones for the same vulnerability."""
    public, own = database(about("PYSEC-1", "leaf", "CVE-1")), database(about("OUR-1", "leaf", "CVE-1", fixed="1.0.1"))
    own = [replace(own[0], path=Path("/own"), size=1, modified="2026-11-27T10:00:00Z")]
    report = audit(subject(one("leaf")), [*public, *own], None)
    assert text(report) == "leaf 1.0: PYSEC-1 (OUR-1, CVE-1), fixed in 1.0.1"
    assert conclusion(report).endswith("; 20124 advisories, the latest of 2026-11-27")
    assert [(each["path"], each["advisories"]) for each in told(report)["databases"]] == [("/db", 20123), ("/own", 1)]


def test_none() -> None:
    report = audit(subject(one("leaf", "2.0")), database(about("PYSEC-1", "leaf", fixed="2.0")), None)
    assert (report.passed, text(report), told(report)["vulnerabilities"]) == (True, "", [])
    assert conclusion(report).startswith("app 1.0: no known vulnerabilities in 1 distribution; ")


def test_which_targets_take_it_and_what_only_installs() -> None:
    both = subject(
        one("leaf", "1.0", targets=("cp311-linux_x86_64",)),
        one("leaf", "2.0", targets=("cp312-linux_x86_64",)),
        one("virtualenv", "20.0", "", installer=True),
    )
    known = database(about("PYSEC-1", "leaf", fixed="2.0"), about("PYSEC-2", "virtualenv"))
    report = audit(both, known, read_policy([], ["MIT"]))
    assert text(report).splitlines() == [
        "leaf 1.0 (cp311-linux_x86_64): PYSEC-1, fixed in 2.0",
        "virtualenv 20.0 (of install.sh): PYSEC-2, no fix known",
    ]
    assert [each["installer"] for each in told(report)["vulnerabilities"]] == [False, True]
    assert told(report)["vulnerabilities"][0]["targets"] == ["cp311-linux_x86_64"]


def test_the_interpreter_of_a_release(tmp_path: Path) -> None:
    """It is told of that it is not looked at, wherever the installation has put it."""
    made = handmade.bundle(tmp_path, [handmade.wheel(tmp_path, "app")], interpreter=True)
    for words in (("--root", tmp_path / "root"), (tmp_path / "dst",)):
        done = handmade.run(made, "--quiet", *words, python=False)
        assert done.returncode == 0, done.stderr
    version = relocated.info()["version"]
    for release in (tmp_path / "root" / "versions" / "1.0", tmp_path / "dst"):
        assert open_release(release).unseen == (f"the interpreter that the bundle brings, CPython {version}",)


def test_licences() -> None:
    here = subject(one("a"), one("b", licence="AGPL-3.0-only"), one("c", licence="BSD"), one("d", licence=""))
    denying = audit(here, [], read_policy(["AGPL-3.0-only"], []))
    assert not denying.passed
    assert text(denying).splitlines() == [
        "b 1.0: licence denied: AGPL-3.0-only",
        "c 1.0: licence unknown: BSD",
        "d 1.0: licence unknown: it tells none",
    ]
    assert conclusion(denying) == "app 1.0: 1 licence denied, 2 licences unknown in 4 distributions"
    assert told(denying)["licences"][1:] == [
        {"name": "c", "version": "1.0", "targets": [], "licence": "BSD", "problem": "unknown", "fails": False},
        {"name": "d", "version": "1.0", "targets": [], "licence": None, "problem": "unknown", "fails": False},
    ]
    assert told(denying)["databases"] == []

    allowing = audit(here, [], read_policy([], ["MIT"]), licences={"c": "MIT", "a": "ISC"})
    assert [(each.of.name, each.problem, each.fails) for each in allowing.licences] == [
        ("b", "not allowed", True),
        ("d", "unknown", True),
    ]
    fine = audit(subject(one("a")), [], read_policy([], ["MIT"]))
    assert (fine.passed, conclusion(fine)) == (True, "app 1.0: licences as wanted in 1 distribution")


def test_unknown_licences_are_told_but_only_a_list_of_allowed_ones_makes_them_fail() -> None:
    unknown = subject(one("c", licence="BSD"))
    assert audit(unknown, [], read_policy(["MIT"], [])).passed
    assert text(audit(unknown, [], read_policy(["MIT"], []))) == "c 1.0: licence unknown: BSD"
    assert not audit(unknown, [], read_policy([], ["MIT"])).passed
    assert not audit(unknown, [], read_policy(["GPL-3.0-only"], ["MIT"])).passed
