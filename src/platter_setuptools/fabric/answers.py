"""Scripts on their way to a host and its answers on their way back, whatever the login shell does to either."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_SPECIAL = re.compile(rb"[^A-Za-z0-9 _./,:;=+@|&<>{}()*?#~^\[\]-]")
# The marks tell what the script says from what start-up files, sudo and the login shell print.
_MARKED = """\
printf '%s\\n' '' {mark}; printf '%s\\n' '' {mark} >&2
(
{script}
)
status=$?
printf %s {mark}; printf %s {mark} >&2
exit $status
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a script printed, and its exit status; `whole` if both marks were there."""

    stdout: str
    stderr: str
    exited: int
    whole: bool = True


def command(script: str, mark: str) -> str:
    """Return one line that runs a script with sh, for a login shell of any kind (sh, csh, fish).

    These have single quotes in common, but neither line ends, backslashes, quotes nor `!` within them. So these reach
    sh as escapes that its printf knows.
    """
    marked = _MARKED.format(mark=mark, script=script).encode("utf-8", "surrogateescape")
    text = _SPECIAL.sub(lambda found: b"%%" if found.group() == b"%" else b"\\%03o" % found.group()[0], marked)
    return f'sh -c \'eval "$(printf "{text.decode("ascii")}")"\''


def read(stdout: str, stderr: str, exited: int, mark: str) -> Answer:
    """Return what stands between the marks on both streams; all of it if they are not there."""
    parts = [_between(text, mark) for text in (stdout, stderr)]
    out, err = (text if part is None else part for part, text in zip(parts, (stdout, stderr), strict=True))
    return Answer(stdout=out, stderr=err, exited=exited, whole=None not in parts)


def _between(text: str, mark: str) -> str | None:
    _, begun, rest = text.partition(f"\n{mark}\n")
    answer, ended, _ = rest.partition(mark)
    return answer if begun and ended else None


class Live:
    """A stream that shows what stands between the marks, line by line as it comes."""

    def __init__(self, stream: TextIO, mark: str) -> None:
        self._stream = stream
        self._mark = mark
        self._pending = ""
        self._begun = False
        self._ended = False

    def write(self, text: str) -> None:
        """Show the lines that this completes."""
        self._pending += text
        if not self._begun:
            _, found, rest = self._pending.partition(f"\n{self._mark}\n")
            if not found:
                return
            self._begun, self._pending = True, rest
        if self._ended:
            return
        shown, ended, _ = self._pending.partition(self._mark)
        if ended:
            self._ended = True
        else:
            shown, end, self._pending = self._pending.rpartition("\n")
            shown += end
        self._stream.write(shown)

    def flush(self) -> None:
        """As every stream has it."""
        self._stream.flush()
