"""The evaluation of OSV records, by the examples and rules of the OSV schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from packaging.version import Version

from platter_setuptools.audit.osv import Advisory, merged, read_advisory

EVERYTHING = [{"introduced": "0"}]


def record(events: list[dict[str, str]] | None = None, **changes: Any) -> dict[str, Any]:
    """A record about `leaf`; `versions`, `ranges` and `package` are those of what is affected."""
    ranges = [] if events is None else [{"type": "ECOSYSTEM", "events": events}]
    affected = {
        "package": changes.pop("package", {"ecosystem": "PyPI", "name": "leaf"}),
        "versions": changes.pop("versions", []),
        "ranges": changes.pop("ranges", ranges),
    }
    return {"id": "PYSEC-1", "modified": "2026-01-02T03:04:05Z", "affected": [affected], **changes}


def read(data: Any) -> Advisory | None:
    return read_advisory(json.dumps(data).encode())


def affects(data: dict[str, Any], *versions: str) -> list[str]:
    """The versions of leaf that are affected."""
    advisory = read(data)
    assert advisory
    (affected,) = advisory.affected
    return [one for one in versions if affected.includes(Version(one))]


@pytest.mark.parametrize(
    ("events", "affected", "others"),
    [
        (EVERYTHING, ["0.dev0", "0a1", "0", "1", "1!0"], []),  # 0 sorts before any other version
        (
            [*EVERYTHING, {"fixed": "1.0.2"}],
            ["0.9", "1.0.2rc1", "1.0.2.dev3", "1.0.1.post9"],
            ["1.0.2", "1.0.2.0", "2"],
        ),
        (
            [{"introduced": "1.0.0"}, {"fixed": "1.0.2"}, {"introduced": "3.0.0"}, {"fixed": "3.2.5"}],
            ["1", "1.0.1", "3.0.0", "3.2.4"],
            ["0.9", "1.0.0rc1", "1.0.2", "2.5", "3.2.5", "4"],
        ),
        # In any order: the algorithm sorts. Numbers are not strings.
        ([{"fixed": "10.0"}, {"introduced": "9.0"}, *EVERYTHING, {"fixed": "2"}], ["1", "9.5"], ["2", "8", "10"]),
        ([*EVERYTHING, {"last_affected": "2.1.214"}], ["2.1.9", "2.1.214"], ["2.1.214.post1", "2.1.215"]),
        # A local part: as in a specifier of PEP 440.
        ([*EVERYTHING, {"last_affected": "2.1"}], ["2.1+cu118"], ["2.2+cu118"]),
        ([{"introduced": "1.0"}, {"fixed": "2.0"}], ["1.0+deb1", "1.5+x"], ["2.0+cpu"]),
        ([*EVERYTHING, {"fixed": "2.0+patch.1"}], ["2.0", "2.0+patch.0"], ["2.0+patch.1", "2.0.1"]),
        # Limits end the range, the furthest of them; * is no limit.
        ([*EVERYTHING, {"limit": "2"}, {"limit": "3"}], ["1", "2.9"], ["3", "4"]),
        ([*EVERYTHING, {"limit": "*"}], ["9"], []),
        ([{"introduced": "1"}, {"limit": "2"}], ["1.5"], ["0.5", "2"]),
        # It came back.
        ([*EVERYTHING, {"fixed": "1"}, {"introduced": "1"}], ["0.5", "1", "2"], []),
    ],
)
def test_ranges(events: list[dict[str, str]], affected: list[str], others: list[str]) -> None:
    assert affects(record(events), *affected, *others) == affected


def test_either_the_list_or_a_range_counts() -> None:
    both = record([{"introduced": "3"}, {"fixed": "4"}], versions=["1.0", "2.0.0rc1"])
    assert affects(both, "1", "1.0.0", "1.0+local", "2.0rc1", "2", "3.5", "4") == [
        "1",
        "1.0.0",
        "1.0+local",
        "2.0rc1",
        "3.5",
    ]
    two = [
        {"type": "ECOSYSTEM", "events": [*EVERYTHING, {"fixed": "1"}]},
        {"type": "SEMVER", "events": [{"introduced": "5.0.0"}]},
    ]
    assert affects(record(ranges=two), "0.9", "1", "5") == ["0.9", "5"]


def test_what_cannot_be_compared_is_affected_unless_a_list_says_otherwise() -> None:
    """These two are in the database: PYSEC-2019-125 and the constraints of PYSEC-2024-115."""
    by_date = [*EVERYTHING, {"fixed": "2019-09-12"}]
    assert affects(record(by_date), "1", "99") == ["1", "99"]
    assert affects(record(by_date, versions=["1", "leaf==2"]), "1", "2") == ["1"]
    commits = [{"type": "GIT", "repo": "https://example.com/leaf", "events": [{"introduced": "a" * 40}]}]
    assert affects(record(ranges=commits), "1") == ["1"]
    assert affects(record(ranges=commits, versions=["2"]), "1", "2") == ["2"]
    assert affects(record(ranges=[]), "1") == ["1"]
    assert affects(record([{"fixed": "2"}]), "1", "3") == ["1", "3"]  # a range that begins nowhere


def test_only_names_on_pypi_count_and_they_are_normalized() -> None:
    assert read(record(EVERYTHING, package={"ecosystem": "npm", "name": "leaf"})) is None
    assert read(record(EVERYTHING, package={"ecosystem": "Root:PyPI", "name": "leaf"})) is None
    found = read(record(EVERYTHING, package={"ecosystem": "PyPI", "name": "Big.Leaf_x"}))
    assert found
    assert [one.name for one in found.affected] == ["big-leaf-x"]
    of_two = record(EVERYTHING)
    of_two["affected"].append({"package": {"ecosystem": "crates.io", "name": "stalk"}})
    of_two["affected"].append({"ranges": [{"type": "GIT", "events": []}]})
    found = read(of_two)
    assert found
    assert [one.name for one in found.affected] == ["leaf"]


def test_withdrawn_ones_do_not_count() -> None:
    assert read(record(EVERYTHING, withdrawn="2026-01-03T00:00:00Z")) is None
    assert read(record(EVERYTHING, withdrawn=None)) is not None


def test_what_it_says() -> None:
    found = read(record(EVERYTHING, aliases=["CVE-1"], summary="", details="\n  A  leak\tof sap\nand more"))
    assert found == Advisory(
        id="PYSEC-1",
        aliases=("CVE-1",),
        title="A leak of sap",
        modified="2026-01-02T03:04:05Z",
        affected=found.affected if found else (),
    )
    long = read(record(EVERYTHING, summary="x" * 121))
    assert long
    assert long.title == "x" * 119 + "…"


def test_fixes_are_the_later_ones() -> None:
    found = read(record([*EVERYTHING, {"fixed": "1.2"}, {"introduced": "2"}, {"fixed": "2.1"}, {"fixed": "soon"}]))
    assert found
    (affected,) = found.affected
    assert list(affected.fixes(Version("2.0"))) == [Version("2.1")]
    assert list(affected.fixes(Version("1.0"))) == [Version("1.2"), Version("2.1")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "it is not an object"),
        ({"modified": "2026"}, "id: missing"),
        ({"id": "X"}, "modified: missing"),
        ({"id": 7, "modified": ""}, "id: of a wrong type"),
        (record(schema_version="2.0.0"), "another schema_version than 1"),
        (record(affected={}), "affected: of a wrong type"),
        (record(affected=[3]), "affected: not an object"),
        (record(package={"ecosystem": "PyPI"}), "name: missing"),
        (record(package=[1]), "package: of a wrong type"),
        (record(versions=[1]), "versions: not a list of strings"),
        (record(versions="1.0"), "versions: of a wrong type"),
        (record(ranges=["x"]), "type: missing"),
        (record(ranges=[{"type": "ECOSYSTEM"}]), "events: missing"),
        (record([{}]), "expected one of introduced, fixed"),
        (record([{"introduced": "1.0.0", "fixed": "1.0.2"}]), "expected one of introduced, fixed"),
        (record([{"introduced": 1}]), "introduced: of a wrong type"),  # type: ignore[dict-item]
        (record(id="A\nB"), "control characters"),
        (record(aliases=["\x1b[2J"]), "control characters"),
        (record(aliases=[None]), "aliases: not a list of strings"),
    ],
)
def test_what_is_no_record(data: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(data)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff{}", b"[" * 100_000, b"id: PYSEC-1\n"])
def test_what_is_no_json(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_advisory(content)


def test_the_same_by_another_name() -> None:
    """Aliases are symmetric and transitive."""

    def advisory(id_: str, *aliases: str) -> Advisory:
        return Advisory(id=id_, aliases=aliases, title="", modified="", affected=())

    first, second, third = advisory("GHSA-1", "CVE-1"), advisory("PYSEC-2"), advisory("X-3", "CVE-3")
    between = advisory("PYSEC-4", "CVE-3", "CVE-1")
    groups = [{one.id for one in group} for group in merged([first, second, third, between])]
    assert groups == [{"PYSEC-2"}, {"GHSA-1", "X-3", "PYSEC-4"}]
