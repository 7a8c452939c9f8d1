"""What an examination found, and the one error that tells all of it."""

from typing import List, NamedTuple, Optional, Sequence, Type

from .errors import DestinationError, HostError, InstallError, PythonError

_ORDER = (PythonError, HostError, DestinationError)


class Finding(NamedTuple):
    """``kind`` is the error that it amounts to, which needs a hint; None makes it a warning."""

    kind: Optional[Type[InstallError]]
    text: str
    hint: str = ""


def report(findings: Sequence[Finding], title: str) -> InstallError:
    """One error for all of these; Python first, then the host, then the destination decides on the exit code."""
    kind = next(kind for kind in _ORDER if any(one.kind is kind for one in findings))
    hints: List[str] = []
    for one in findings:
        if one.hint and one.hint not in hints:
            hints.append(one.hint)
    lines = "\n".join("  " + one.text for one in findings)
    return kind("%s:\n%s" % (title, lines), hint="; ".join(hints))
