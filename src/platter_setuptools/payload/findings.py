"""The findings of a check, and the error that reports all of them."""

from typing import List, NamedTuple, Optional, Sequence, Type

from .errors import DestinationError, HostError, InstallError, PythonError

_ORDER = (PythonError, HostError, DestinationError)


class Finding(NamedTuple):
    """`kind` is the error that it becomes, which needs a hint; None makes it a warning."""

    kind: Optional[Type[InstallError]]
    text: str
    hint: str = ""


def report(findings: Sequence[Finding], title: str) -> InstallError:
    """Return one error for all findings; its exit code is that of Python, else the host, else the destination."""
    kind = next(kind for kind in _ORDER if any(one.kind is kind for one in findings))
    hints: List[str] = []
    for one in findings:
        if one.hint and one.hint not in hints:
            hints.append(one.hint)
    lines = "\n".join("  " + one.text for one in findings)
    return kind("%s:\n%s" % (title, lines), hint="; ".join(hints))
