"""OSV records of any kind: the verdicts are those of plain intervals, and nothing but ValueError is raised."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from platter_setuptools.audit.osv import read_advisory

# In their order, by PEP 440.
ORDER = ["0.dev0", "0", "0.9", "1.0.dev1", "1.0a1", "1.0rc1", "1.0", "1.0.post1", "1.1", "1.10", "2.0", "1!0.1"]
PACKAGE = {"ecosystem": "PyPI", "name": "leaf"}


@given(places=st.sets(st.integers(0, len(ORDER) - 1)).map(sorted), inclusive=st.booleans(), random=st.randoms())
def test_events_are_intervals(places: list[int], inclusive: bool, random: Any) -> None:
    """Every second event ends what the one before began; in any order."""
    kinds = ("introduced", "last_affected" if inclusive else "fixed")
    events = [{kinds[number % 2]: ORDER[place]} for number, place in enumerate(places)]
    inside, vulnerable = [], False
    for place in range(len(ORDER)):
        number = places.index(place) if place in places else None
        begins, ends = number is not None and number % 2 == 0, number is not None and number % 2 == 1
        vulnerable = begins or (vulnerable and not (ends and not inclusive))
        inside.append(vulnerable)
        vulnerable = vulnerable and not ends
    random.shuffle(events)
    if places and ORDER[places[0]] == "0":  # which as an event is before every version
        inside[0] = True
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    # Without any event nothing could be decided: another version is listed, so that this decides.
    affected = {"package": PACKAGE, "ranges": ranges, "versions": ["7"]}
    found = read_advisory(json.dumps({"id": "X-1", "modified": "", "affected": [affected]}).encode())
    assert found
    assert [found.affected[0].includes(Version(one)) for one in ORDER] == inside


KEYS = ("package", "name", "ecosystem", "ranges", "type", "events", "introduced", "fixed", "limit", "versions", "x")
WORDS = st.sampled_from(["PyPI", "ECOSYSTEM", "0", "1.0"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYS), below, max_size=5),
    max_leaves=20,
)
RANGES = st.lists(st.fixed_dictionaries({"type": st.just("ECOSYSTEM"), "events": VALUES}), max_size=3)
AFFECTED = st.fixed_dictionaries(
    {"package": st.just(PACKAGE)}, optional={"versions": VALUES, "ranges": VALUES | RANGES}
)
OTHERS = dict.fromkeys(("aliases", "summary", "details", "withdrawn", "schema_version"), VALUES)
RECORDS = st.fixed_dictionaries(
    {"id": st.text(), "modified": st.text()}, optional={"affected": VALUES | st.lists(AFFECTED, max_size=3), **OTHERS}
)


@given(record=RECORDS)
def test_any_record(record: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError):
        if found := read_advisory(json.dumps(record).encode()):
            for one in found.affected:
                assert one.includes(Version("1.0")) in {True, False}
                assert all(fix > Version("1.0") for fix in one.fixes(Version("1.0")))
