"""What runs around a switch: the operator's commands before and after it, each with a time limit and a record."""

import contextlib
import os
import time
from typing import Dict, Iterator, List, Mapping, NamedTuple

from .. import process
from ..errors import CommandError
from ..install import owners
from .journal import DONE
from .root import Root

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

    A command is never printed: it may contain a password.
    """

    def __init__(self, root: Root, commands: Commands) -> None:
        self._root = root
        self._commands = commands
        self.ran: List[Dict[str, object]] = []
        self.reloaded = False  # whether the service runs another release now

    def check_health(self, version: str) -> None:
        """Run the health check in this release. CommandError if it fails."""
        if self._commands.health_check:
            self._root.terminal.step("  checking the health of %s" % version)
            self._run("health check", self._commands.health_check, version)

    def bring_up(self, version: str, *, waiting: bool = True) -> None:
        """Reload what runs, now that this release is active, and wait until it is ready. CommandError if one fails."""
        if self._commands.reload:
            self._root.terminal.step("  reloading")
            self._run("reload command", self._commands.reload, version)
            self.reloaded = True
        if self._commands.ready and waiting:
            self._root.terminal.step("  waiting until %s is ready" % version)
            self._await_ready(version)

    def _run(self, name: str, command: str, version: str) -> None:
        with self._recorded(name, version):
            failure = self._attempt(name, command, version, self._commands.command_timeout)
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
                found = self._attempt("ready command", commands.ready, version, limit)
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

    def _attempt(self, name: str, command: str, version: str, limit: float) -> str:
        """Run a command once. Return how it failed; empty if it did not."""
        folder = os.path.normpath(self._root.folder(version))
        found = owners.stranger(folder)
        if found:
            raise CommandError("release %s: the %s was not run: %s" % (version, name, found), hint=owners.HINT)
        environment = {
            **process.activated(self._commands.environment, folder),
            "HERE": folder,
            "PLATTER_ROOT": self._root.path,
            "PLATTER_VERSION": version,
        }
        try:
            return process.run([process.SHELL, "-c", command], folder, environment, limit, self._commands.umask)
        except OSError as error:
            return "cannot be started: %s" % error.strerror

    @contextlib.contextmanager
    def _recorded(self, name: str, version: str) -> Iterator[None]:
        began, result = time.monotonic(), "interrupted"
        try:
            yield
            result = DONE
        except CommandError as error:
            result = error.message
            raise
        finally:
            seconds = round(time.monotonic() - began, 2)
            self.ran.append({"name": name, "release": version, "result": result, "seconds": seconds})
