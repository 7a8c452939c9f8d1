"""Which processes there are: those that this one has started and has not waited for, and others by their numbers."""

from __future__ import annotations

from pathlib import Path


def children() -> set[str]:
    """Their numbers: those of servers that other tests use, too, so compare with what there was before."""
    return {number for path in Path("/proc/self/task").glob("*/children") for number in path.read_text().split()}


def runs(number: str) -> bool:
    """Whether this process runs; one that has ended does not, even if nobody has waited for it."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
