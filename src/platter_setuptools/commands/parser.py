"""The parser of the command line: no abbreviations, and a hint in each error."""

from __future__ import annotations

import argparse
import difflib
from typing import TYPE_CHECKING, Any, NoReturn

from platter_setuptools.payload.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

_ELSEWHERE = {
    **dict.fromkeys(("list", "activate", "rollback", "prune", "doctor"), "a command of ROOT/platter, on the server"),
    **dict.fromkeys(("deploy", "releases"), "a task for Fabric (docs/automation.md)"),
    "install": "done by the install.sh of a bundle, on the server",
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes options by their full names only. Its errors end with exit code 2."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an unknown argument is an error of the command that it was given to."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.fail(f"unrecognized arguments: {' '.join(unknown)}", self._meant(unknown[0]))
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        self.fail(message)

    def fail(self, message: str, hint: str = "") -> NoReturn:
        """End with a usage error; the hint is that of the help page unless there is a better one."""
        self.print_usage(self._errors())
        hint = hint or f"{self.prog} --help lists the options"
        self.exit(2, clean(f"{self.prog}: error: {message}\n  hint: {hint}\n"))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise ArgumentError for a value that is no choice; for a command, say which one was meant."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:  # noqa: SLF001
            elsewhere = _ELSEWHERE.get(str(value))
            hint = f"{value} is {elsewhere}" if elsewhere else _did_you_mean(str(value), action.choices)
            self.fail(f"there is no command {str(value)!r}", hint or f"{self.prog} --help lists the commands")
        super()._check_value(action, value)

    def _meant(self, word: str) -> str:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return _did_you_mean(word.partition("=")[0], known) if word.startswith("--") else ""

    @staticmethod
    def _errors() -> Any:
        from platter_setuptools.ground.streams import standard_error  # noqa: PLC0415

        return standard_error()


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}?" if close else ""
