"""Hashes that requirements, constraints and URLs demand: what has to have one, and what is held to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from platter_setuptools.errors import DependencyError, WheelError
from platter_setuptools.resolve.hashed_requirements import Pins, find_pins, keep_promises, promised_hashes
from platter_setuptools.resolve.lock import Lock, parse_lock
from platter_setuptools.resolve.requirements import Line, Required, Requirements

ONE, TWO = "1" * 64, "2" * 64


def line(text: str, *hashes: str, limit: bool = False, url: str = "", **facts: Any) -> Line:
    """A line that pip has read."""
    known = {"hashable": True, "pinned": "==" in text or bool(url), "applies": True, **facts}
    return Line(
        where="line 1 of more.txt",
        constraint=limit,
        text=text + "".join(f" --hash={one}" for one in hashes),
        shown=text,
        requirement=Required(name=text.partition("=")[0].partition(" ")[0], url=url, hashes=frozenset(hashes), **known),
    )


def _of(one: Line) -> Required:
    assert one.requirement
    return one.requirement


def said(*lines: Line, required: bool = False) -> Requirements:
    return Requirements(lines=lines, require_hashes=required)


def lock(*packages: dict[str, Any]) -> Lock:
    data = {"lock-version": "1.0", "created-by": "a test", "packages": list(packages)}
    return parse_lock(data, base=Path("/"), where="a test")


def file(name: str, sha256: str) -> dict[str, Any]:
    return {"url": f"https://host/{name}", "hashes": {"sha256": sha256}}


class TestFinding:
    def test_without_hashes_nothing_is_pinned(self) -> None:
        assert find_pins(said(line("leaf==1.0"))) is None

    @pytest.mark.parametrize("limit", [False, True])
    def test_several_lines_hold_together(self, limit: bool) -> None:
        both = line("leaf==1.0", f"sha256:{ONE}", f"sha256:{TWO}", limit=limit)
        one, two = (line("leaf==1.0", f"sha256:{value}", limit=limit, marker=value) for value in (ONE, TWO))
        required = line("leaf==1.0", f"sha256:{ONE}", f"sha256:{TWO}")
        for lines, allowed in (([both, one], {ONE}), ([one, two], set()), ([two, one], set())):
            found = find_pins(said(required, *lines) if limit else said(*lines))
            assert found
            assert found.hashes == {"leaf": {f"sha256:{value}" for value in allowed}}

    def test_other_markers_are_alternatives_for_other_targets(self) -> None:
        one, two = (line("leaf==1.0", f"sha256:{value}", marker=value) for value in (ONE, TWO))
        found = find_pins(said(one, two), universal=True)
        assert found
        assert found.hashes == {"leaf": {f"sha256:{ONE}", f"sha256:{TWO}"}}

    def test_urls_without_names_are_several_files(self) -> None:
        urls = [line(f"https://host/{value}", f"sha256:{value}", url=value) for value in (ONE, TWO)]
        nameless = [dataclasses.replace(one, requirement=dataclasses.replace(_of(one), name="")) for one in urls]
        found = find_pins(said(*nameless))
        assert found
        assert found.hashes == {"": {f"sha256:{ONE}", f"sha256:{TWO}"}}

    @pytest.mark.parametrize(
        ("known", "unknown"), [({"sha256": TWO}, {"sha512"}), ({"sha256": ONE}, set()), ({"sha512": TWO}, {"sha256"})]
    )
    def test_of_what_is_not_known_yet(self, known: dict[str, str], unknown: set[str]) -> None:
        (package,) = lock({"name": "leaf", "archive": file("leaf-1.0.zip", TWO)}).pylock.packages
        pins = Pins(hashes={"leaf": frozenset({f"sha256:{ONE}", f"sha512:{ONE}"})})
        assert pins.unknown_kinds(package, known) == unknown

    def test_a_constraint_s_hash_is_enough_and_demands_others(self) -> None:
        limit = line("leaf==1.0", f"sha256:{ONE}", limit=True)
        found = find_pins(said(line("leaf"), limit))
        assert found
        assert found.hashes == {"leaf": {f"sha256:{ONE}"}}
        with pytest.raises(DependencyError, match=r"branch==1.0 has no hash \(line 1 of more.txt\)"):
            find_pins(said(line("leaf==1.0"), line("branch==1.0"), limit))

    def test_a_requirement_and_a_constraint_hold_together(self) -> None:
        both = line("leaf==1.0", f"sha256:{ONE}", f"sha256:{TWO}")
        found = find_pins(said(both, line("leaf", f"sha256:{TWO}", limit=True)))
        assert found
        assert found.hashes == {"leaf": {f"sha256:{TWO}"}}

    def test_all_that_is_not_pinned_is_listed(self) -> None:
        with pytest.raises(DependencyError, match="where one requirement or constraint has a hash") as caught:
            find_pins(
                said(
                    line("leaf==1.0", f"sha256:{ONE}"),
                    line("loose>=1", f"sha256:{ONE}", pinned=False),
                    line("bare==1.0"),
                    line("-e ./here", hashable=False),
                    line("other @ https://me:s3cr3t@host/other-1.0.tar.gz", url="https://me:s3cr3t@host/o.tar.gz"),
                )
            )
        assert [line.strip().partition(" (")[0] for line in caught.value.message.splitlines()[1:]] == [
            "loose>=1 is not pinned with ==",
            "bare==1.0 has no hash",
            "-e ./here has no hash",
            "other @ https://host/other-1.0.tar.gz has no hash",
        ]

    def test_what_the_target_does_not_take_needs_none(self) -> None:
        lines = said(line("leaf==1.0", f"sha256:{ONE}"), line("winleaf==1.0", applies=False))
        found = find_pins(lines)
        assert found
        assert set(found.hashes) == {"leaf"}
        with pytest.raises(DependencyError, match=r"winleaf==1\.0 has no hash"):
            find_pins(lines, universal=True)

    @pytest.mark.parametrize("where", ["in a file", "as an option"])
    def test_hashes_can_be_required(self, where: str) -> None:
        in_file = where == "in a file"
        with pytest.raises(DependencyError, match=r"leaf==1.0 has no hash"):
            find_pins(said(line("leaf==1.0"), required=in_file), required=not in_file)
        none = find_pins(said(), required=True)
        assert none
        assert none.hashes == {}


class TestHolding:
    def test_other_files_are_left_out(self) -> None:
        wheels = [file("leaf-1.0-py3-none-any.whl", ONE), file("leaf-1.0-py2-none-any.whl", TWO)]
        given = lock({"name": "leaf", "version": "1.0", "wheels": wheels, "sdist": file("leaf-1.0.tar.gz", TWO)})
        held = Pins(hashes={"leaf": frozenset({f"sha256:{ONE}"})}).hold(given)
        (package,) = held.pylock.packages
        assert package.sdist is None
        assert [wheel.filename for wheel in package.wheels or ()] == ["leaf-1.0-py3-none-any.whl"]

    def test_the_hash_of_a_url_without_a_name(self) -> None:
        given = lock({"name": "leaf", "archive": file("leaf-1.0.zip", ONE)})
        assert Pins(hashes={"": frozenset({f"sha256:{ONE}"})}).hold(given).pylock.packages[0].archive

    def test_limits_of_builds_name_only_some(self) -> None:
        given = lock({"name": "leaf", "archive": file("leaf-1.0.zip", ONE)})
        pins = Pins(hashes={"branch": frozenset({f"sha256:{TWO}"})}, required=False)
        assert pins.hold(given) == given
        with pytest.raises(WheelError):
            Pins(hashes={"leaf": frozenset({f"sha256:{TWO}"})}, required=False).hold(given)

    @pytest.mark.parametrize(
        "package",
        [
            {"name": "leaf", "version": "1.0", "wheels": [file("leaf-1.0-py3-none-any.whl", TWO)]},
            {"name": "leaf", "version": "1.0", "archive": file("leaf-1.0.zip", TWO)},
            {"name": "leaf", "version": "1.0", "vcs": {"type": "git", "url": "https://host/", "commit-id": "0"}},
        ],
    )
    def test_what_no_hash_allows(self, package: dict[str, Any]) -> None:
        with pytest.raises(WheelError, match=r"no file of leaf 1\.0 has a hash that the requirements"):
            Pins(hashes={"leaf": frozenset({f"sha256:{ONE}"})}).hold(lock(package))


class TestUrls:
    """What the fragment of a direct URL names is held, wherever the URL stands."""

    @pytest.mark.parametrize(
        "given",
        [
            f"leaf @ https://host/leaf-1.0.zip#sha256={TWO}",
            f"leaf @ https://me:pw@host/leaf-1.0.zip#egg=leaf&sha256={TWO.upper()}",
        ],
    )
    def test_another_hash(self, given: str) -> None:
        with pytest.raises(WheelError, match="leaf does not match its URL's sha256"):
            keep_promises(lock({"name": "leaf", "archive": file("leaf-1.0.zip", ONE)}), promised_hashes([given]))

    def test_in_a_file(self) -> None:
        url = "https://host/leaf-1.0.zip"
        promised = promised_hashes([], said(line("leaf", url=url, fragment=frozenset({f"sha256:{TWO}"}))))
        with pytest.raises(WheelError):
            keep_promises(lock({"name": "leaf", "archive": file("leaf-1.0.zip", ONE)}), promised)

    def test_the_right_one_and_one_of_another_kind(self) -> None:
        given = lock({"name": "leaf", "archive": file("leaf-1.0.zip", ONE)})
        right = f"leaf @ https://host/leaf-1.0.zip#sha256={ONE}"
        assert keep_promises(given, promised_hashes([right, "-bad"])) == given
        (package,) = keep_promises(
            given, promised_hashes([right, "leaf @ https://host/leaf-1.0.zip#md5=AB"])
        ).pylock.packages
        assert package.archive
        assert package.archive.hashes == {"sha256": ONE, "md5": "ab"}

    def test_of_another_file(self) -> None:
        given = lock({"name": "leaf", "archive": file("leaf-1.0.zip", ONE)})
        other = f"leaf @ https://host/leaf-1.0-win.zip#sha256={TWO}"
        assert keep_promises(given, promised_hashes([other])) == given
