"""What runs around a switch: the project's scripts and the operator's commands, with a time limit and a record each."""

import contextlib
import os
import time
from types import MappingProxyType
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from .. import process
from ..errors import CommandError, HookError, InstallError, reason
from ..install import activation_scripts, owners
from ..install.install_state import SCRIPTS
from ..wheels import contents
from .journal import DONE
from .root import Root, is_version

_SCRIPTS_UMASK = 0o022
READY_TIMEOUT = 30  # seconds until a release has to be ready
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0  # seconds between two attempts
_SHORTEST, _ENOUGH = 0.05, 1.0  # seconds that are not worth another attempt, and that are enough for one


class Commands(NamedTuple):
    """The operator's commands, for `sh -c`; empty for none. They get the operator's `environment` and `umask`.

    `ready` is repeated for at most `ready_timeout` seconds; each command may take `command_timeout` seconds.
    """

    environment: Mapping[str, str]
    health_check: str = ""
    reload: str = ""
    ready: str = ""
    umask: int = 0o022
    ready_timeout: int = READY_TIMEOUT
    command_timeout: int = process.LIMIT

    def listed(self) -> str:
        """Return what those that are given are called, such as `the health check and the reload command`."""
        given = (
            ("the health check", self.health_check),
            ("the reload command", self.reload),
            ("the ready command", self.ready),
        )
        *names, last = [name for name, command in given if command] or [""]
        return "%s and %s" % (", ".join(names), last) if names else last


class Steps:
    """Runs what belongs to one change of the active release. `ran` tells the journal what, and how it ended.

    `previous` is the release before the switch; empty if there is none, or `current` leads elsewhere. A command is
    never printed: it may contain a password.
    """

    def __init__(self, root: Root, commands: Commands, previous: str = "") -> None:
        self._root = root
        self._commands = commands
        self.previous = previous if is_version(previous) else ""
        self.ran: List[Dict[str, object]] = []
        self.brought_up = False  # whether something knows of another release now

    def prepare(self, version: str) -> None:
        """Run the project's pre-activate.sh in this release. HookError if it fails."""
        self._run_script(activation_scripts.PRE_ACTIVATE, version)

    def check_health(self, version: str) -> None:
        """Run the health check in this release. CommandError if it fails."""
        if self._commands.health_check:
            self._root.terminal.step("  checking the health of %s" % version)
            self._run_command("health check", self._commands.health_check, version)

    def conclude(self, version: str) -> None:
        """Run the project's post-activate.sh, now that this is active. HookError if it fails."""
        if self._run_script(activation_scripts.POST_ACTIVATE, version):
            self.brought_up = True

    def bring_up(self, version: str, *, waiting: bool = True) -> None:
        """Reload what runs, and wait until it is ready. CommandError if one of them fails."""
        if self._commands.reload:
            self._root.terminal.step("  reloading")
            self._run_command("reload command", self._commands.reload, version)
            self.brought_up = True
        if self._commands.ready and waiting:
            self._root.terminal.step("  waiting until %s is ready" % version)
            self._await_ready(version)

    def _run_script(self, name: str, version: str) -> bool:
        """Return whether the release has such a script, which was run."""
        folder = self._folder(version)
        place = os.path.join(folder, SCRIPTS)
        path = os.path.join(place, name)
        if not os.path.lexists(path) and not contents.has_script(folder, os.path.join(SCRIPTS, name)):
            return False
        self._root.terminal.step("  running %s" % name)
        with self._recorded(name, version):
            more = {"DATA_DIR": os.path.join(place, activation_scripts.DATA), "PYTHONDONTWRITEBYTECODE": "1"}
            limit = self._commands.command_timeout
            try:
                failure = self._attempt(name, process.words_of(path), version, limit, more, _SCRIPTS_UMASK)
            except (OSError, ValueError) as error:
                failure = "cannot be read: %s" % reason(error)
            if failure:
                raise HookError("release %s: %s %s" % (version, name, failure), hint=process.advice(failure))
        return True

    def _run_command(self, name: str, command: str, version: str) -> None:
        with self._recorded(name, version):
            failure = self._attempt(name, self._words(command), version, self._commands.command_timeout)
            if failure:
                raise CommandError("release %s: the %s %s" % (version, name, failure), hint=process.advice(failure))

    def _await_ready(self, version: str) -> None:
        """Try the ready command until it succeeds. CommandError after `ready_timeout` seconds."""
        commands, pause, failure = self._commands, _FIRST_PAUSE, ""
        end = time.monotonic() + commands.ready_timeout
        with self._recorded("ready command", version):
            while True:
                left = end - time.monotonic()
                limit = min(left, commands.command_timeout)
                found = self._attempt("ready command", self._words(commands.ready), version, limit)
                if not found:
                    return
                if not failure or limit > _ENOUGH:  # else it may have been ended too early to tell
                    failure = found
                left = end - time.monotonic()
                if left < _SHORTEST:
                    break
                time.sleep(min(pause, left / 2))
                pause = min(2 * pause, _LONGEST_PAUSE)
            raise CommandError(
                "release %s was not ready within %d s: the ready command %s"
                % (version, commands.ready_timeout, failure),
                hint="its output above should say why; --ready-timeout SECONDS gives it more time",
            )

    def _attempt(
        self,
        name: str,
        words: Sequence[str],
        version: str,
        limit: float,
        more: Mapping[str, str] = MappingProxyType({}),
        umask: Optional[int] = None,
    ) -> str:
        """Run a command or script once. Return how it failed; empty if it did not."""
        folder = self._folder(version)
        found = owners.stranger(folder)
        if found:
            raise CommandError("release %s: the %s was not run: %s" % (version, name, found), hint=owners.HINT)
        environment = {
            **process.activated(self._commands.environment, folder),
            "HERE": folder,
            "PLATTER_ROOT": self._root.path,
            "PLATTER_VERSION": version,
            "PLATTER_PREVIOUS": self.previous,
            **more,
        }
        try:
            return process.run(words, folder, environment, limit, self._commands.umask if umask is None else umask)
        except OSError as error:
            return "cannot be started: %s" % error.strerror

    def _folder(self, version: str) -> str:
        return os.path.normpath(self._root.folder(version))

    @staticmethod
    def _words(command: str) -> List[str]:
        return [process.SHELL, "-c", command]

    @contextlib.contextmanager
    def _recorded(self, name: str, version: str) -> Iterator[None]:
        began, result = time.monotonic(), "interrupted"
        try:
            yield
            result = DONE
        except InstallError as error:
            result = error.message
            raise
        finally:
            seconds = round(time.monotonic() - began, 2)
            self.ran.append({"name": name, "release": version, "result": result, "seconds": seconds})
