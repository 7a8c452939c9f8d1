"""The only module that starts processes."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from platter_setuptools.errors import CommandError, PlatterError
from platter_setuptools.payload.cleaning import clean
from platter_setuptools.runtime.signals import DaemonThread, signals_held_back, signals_unblocked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TAIL = 25  # lines of a failed tool that are shown: enough for a compiler's error, few enough to read
# Compilers, linkers, CMake, rustc and Python: where the first error is, often far above what comes of it.
_ERROR = re.compile(
    r"(?:^|[\s:(])(?:fatal )?error(?: [A-Z]*\d+)?(?:\[\w+\])?:|^CMake Error|undefined reference to|^\s*\w*Error: ",
    re.IGNORECASE,
)


class Runner:
    """Runs commands, and knows which are running, so that an interrupted build leaves nothing behind.

    Each command gets its own process group: a tool's children end with it. `on_line` gets every line that a command
    prints, from the thread that reads it.
    """

    def __init__(self, on_line: Callable[[str], None] = lambda _line: None) -> None:
        self._on_line = on_line
        self._live: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self.stopped = False
        self._reason: Exception | None = None
        # What a build starts may build other projects: whoever asked for a bundle asked for this one.
        self._environ: dict[str, str] = {"PLATTER_BUILD": ""}

    def keep_temporary_files_in(self, folder: Path) -> None:
        """Let every command make its temporary files there: one that is killed cannot remove them itself."""
        self._environ["TMPDIR"] = os.fspath(folder)
        if not _has_home():  # uv would keep its cache in the folder where it stands, which is the project's
            self._environ["HOME"] = os.fspath(folder)

    def __call__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        stdin: str = "",
        terminal: bool = False,
        secret: bool = False,
    ) -> str:
        """Run the command to its end. Return its standard output, which is not shown to anyone else if it is `secret`.

        `env` is added to the environment of this process; None removes a variable. With `terminal` the command may talk
        to the user: it has our terminal, if there is one. Raises CommandError if it exits with another status than 0,
        or with 127 if it cannot be started.
        """
        arguments = [os.fspath(argument) for argument in command]
        process: subprocess.Popen[str] | None = None
        said: list[str] = []
        output: list[str] = []
        try:
            with signals_held_back():  # an interruption ends a command that was started
                process = self._start(arguments, cwd, env, terminal=terminal)
                # A command may write, to either side, before it has read all: no pipe may wait for another.
                reader = DaemonThread(self._read_errors, process.stderr, said)
                feeder = DaemonThread(self._feed, process.stdin, stdin)
                reader.start()
                feeder.start()
            for line in process.stdout or ():
                output.append(line)
                if not secret:
                    self._note(line, said)
            reader.join()
            feeder.join()
            returncode = process.wait()
        finally:
            if process is not None:
                self._end(process)
        if returncode and self._reason:  # we have ended it: report why
            raise self._reason
        if returncode:
            shown = clean(shlex.join(arguments[:4]) + (" …" if len(arguments) > 4 else ""))  # noqa: PLR2004
            message = f"`{shown}` ended with exit status {returncode}"
            raise CommandError(message, returncode=returncode, output=excerpt(said), said=said)
        return "".join(output)

    def stop(self) -> None:
        """End every process that is still running, and start no more."""
        with self._lock:
            if not self.stopped:
                error = sys.exc_info()[1]  # what is being handled
                self._reason = error if isinstance(error, Exception) else None
            self.stopped = True
            live = list(self._live)
        for process in live:
            self._kill(process)  # its streams are closed by the thread that reads them

    def _start(
        self, arguments: list[str], cwd: Path | None, env: Mapping[str, str | None] | None, *, terminal: bool
    ) -> subprocess.Popen[str]:
        with self._lock:
            if self.stopped:
                raise self._reason or PlatterError("the build is being stopped", hint="run it again when you like")
            environ = {**os.environ, **self._environ, **(env or {})}
            try:
                with signals_unblocked():
                    process = subprocess.Popen(
                        arguments,
                        cwd=cwd,
                        env={name: value for name, value in environ.items() if value is not None},
                        # No terminal, no answer: a pipe that nobody writes to would be waited for.
                        stdin=subprocess.PIPE if not terminal else None if os.isatty(0) else subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        text=True,
                        encoding="utf-8",
                        errors="replace",
                        start_new_session=not terminal,
                        umask=0o022,  # what is built does not depend on who builds it
                    )
            except OSError as error:
                reason = f"cannot start {arguments[0]}: {error.strerror}"
                # As a shell has it, so that it is told as a failure of the step that needs the tool.
                raise CommandError(reason, returncode=127, output=[reason]) from error
            self._live.add(process)
            return process

    def _read_errors(self, stream: IO[str] | None, said: list[str]) -> None:
        with contextlib.suppress(ValueError):  # closed meanwhile: the command was ended
            for line in stream or ():
                self._note(line, said)

    def _note(self, line: str, said: list[str]) -> None:
        shown = clean(line.rstrip())
        said.append(shown)
        self._on_line(shown)

    @staticmethod
    def _feed(stream: IO[str] | None, text: str) -> None:
        # A command may end without reading what it was given; its exit status tells more than a broken pipe.
        with contextlib.suppress(BrokenPipeError, ValueError):
            if stream:
                stream.write(text)
                stream.close()

    @staticmethod
    def _kill(process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has our terminal, and so is one of our own group
                process.kill()
            process.wait()

    def _end(self, process: subprocess.Popen[str]) -> None:
        self._kill(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        with self._lock:
            self._live.discard(process)


def excerpt(said: Sequence[str]) -> list[str]:
    """Return the last lines of a tool, and before them the first one with an error, if it is not among them."""
    first = next((number for number, line in enumerate(said) if _ERROR.search(line)), len(said))
    if first >= len(said) - _TAIL:
        return list(said[-_TAIL:])
    return [said[first], "…", *said[2 - _TAIL :]]


def _has_home() -> bool:
    try:
        return bool(Path.home())
    except RuntimeError:  # a user without a name, and no HOME: as in a container
        return False
