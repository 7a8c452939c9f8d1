"""Whether both sides made the same: sets of distributions, compared by name and version."""

from __future__ import annotations

from email.parser import HeaderParser
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename

from benchmarks.measure import BenchError
from benchmarks.wheels import metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# What one side brings for its own purposes: pip into a new virtualenv, say.
_TOOLS = frozenset(map(canonicalize_name, ("pip", "setuptools", "wheel", "virtualenv")))

Set = dict[NormalizedName, str]


def wheels_in(folder: Path) -> Set:
    """Name and version of every wheel in a folder."""
    found = {}
    for path in folder.glob("*.whl"):
        name, version, _build, _tags = parse_wheel_filename(path.name)
        found[name] = str(version)
    return found


def needed_elsewhere(folder: Path) -> set[NormalizedName]:
    """What the wheels in a folder require on some patch releases of a Python only.

    A bundle for 3.11 takes it along, since it is to serve every 3.11; a peer that looks at one interpreter does not.
    """
    found = set()
    for path in folder.glob("*.whl"):
        headers = HeaderParser().parsestr(metadata(path).decode("utf-8", "replace"))
        for line in headers.get_all("Requires-Dist", ()):
            if "full_version" in line:
                found.add(canonicalize_name(Requirement(line).name))
    return found


def agree(sets: Mapping[str, Set], more: Iterable[NormalizedName]) -> None:
    """Raises BenchError unless every set is ours, but for tools, and for `more`, which ours alone may have."""
    ours = _without(sets["ours"], _TOOLS)
    for who, theirs in sets.items():
        tolerated = {name for name in more if name not in theirs}
        different = sorted(set(_without(ours, tolerated).items()) ^ set(_without(theirs, _TOOLS).items()))
        if different:
            raise BenchError(f"ours and {who} have different sets: {different}")


def _without(found: Set, names: Iterable[NormalizedName]) -> Set:
    return {name: version for name, version in found.items() if name not in set(names)}
