"""Requirements that the user replaces or drops: uv's overrides, excluded dependencies and dependency metadata.

What a user says about a distribution's requirements counts instead of what its wheel says, wherever requirements are
compared with a set of wheels. The rules are those of uv's documentation, "Resolution", "Dependency overrides".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EXTRA = re.compile(r"""extra == (?:"([^"]+)"|'([^']+)')""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What counts instead of requirements for one distribution; nothing if `instead` is empty."""

    name: NormalizedName | None  # the distribution that is required; None for all that `of` requires
    of: NormalizedName | None = None  # the distribution that requires it; None for every one
    version: Version | None = None  # of `of`; None for every one
    instead: tuple[Requirement, ...] = ()

    def __str__(self) -> str:
        of = f"{self.of}=={self.version}" if self.version else self.of or "every distribution"
        return f"{of}: {', '.join(map(str, self.instead)) or 'nothing'} instead of {self.name or 'its requirements'}"

    def concerns(self, name: NormalizedName, version: Version) -> bool:
        """Whether requirements of this distribution are meant."""
        return self.of in {None, name} and self.version in {None, version}


def read_amendment(of: str | None, version: str | None, name: str | None, instead: Sequence[str]) -> Amendment:
    """The Amendment that info.json tells by these texts. Raises ValueError."""
    return Amendment(
        name=None if name is None else canonicalize_name(name),
        of=None if of is None else canonicalize_name(of),
        version=None if version is None else Version(version),
        instead=tuple(map(Requirement, instead)),
    )


def amended(
    requires: Sequence[Requirement], name: NormalizedName, version: Version, amendments: Sequence[Amendment]
) -> Iterator[Requirement]:
    """The requirements of one distribution as they count: of several amendments the one that names most, the first."""
    ours = [one for one in amendments if one.concerns(name, version)]
    ours.sort(key=lambda one: (not one.version, not one.of))
    for stated in (one.instead for one in ours if one.name is None):
        requires = stated
        break
    for requirement in requires:
        wanted = canonicalize_name(requirement.name)
        found = next((one for one in ours if one.name == wanted), None)
        if found is None:
            yield requirement
        else:
            yield from (_under_extra(one, requirement) for one in found.instead)


def _under_extra(instead: Requirement, original: Requirement) -> Requirement:
    """What replaces a requirement of an extra is one of the same extra; the rest of the original's marker is gone."""
    extra = _EXTRA.search(str(original.marker or ""))
    if not extra:
        return instead
    bare = Requirement(str(instead))
    bare.marker = None
    also = f" and ({instead.marker})" if instead.marker else ""
    marker = f'extra == "{extra[1] or extra[2]}"{also}'
    return Requirement(f"{bare} ; {marker}")
