"""A host behind ssh: run scripts there, send and fetch files; every error says what to do."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import threading
import time
from typing import TYPE_CHECKING, Any

from invoke.exceptions import AuthFailure, Failure, WatcherError
from invoke.watchers import StreamWatcher
from paramiko.client import MissingHostKeyPolicy
from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, SSHException

from platter_setuptools.errors import PlatterError
from platter_setuptools.fabric.transfer import Answer, Live, Part, command, read, receive, send
from platter_setuptools.runtime.progress import human_size
from platter_setuptools.runtime.streams import print_notice, standard_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fabric import Connection
    from invoke.runners import Result
    from paramiko import PKey, SSHClient

    from platter_setuptools.fabric.settings import Settings

_TAIL = 25  # lines of output in an error
PAUSE = 2.0  # seconds between two attempts, and between two lines about a file
_SSH_PORT = 22
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
_ROOM = "check the free space, and whether this user may write there"
_LOST = "check the host and its free space; `fab releases` shows what is active there; then try again"
_told = threading.Lock()  # held from the message about accepted host keys on, which is printed once in a run


class RemoteError(PlatterError):
    """A failure on a host, or of the connection to it, with the exit code of what failed there."""

    def __init__(self, message: str, *, hint: str | None = None, output: str = "", code: int = 1) -> None:
        super().__init__(message, hint=hint, output=output.splitlines()[-_TAIL:])
        self.exit_code = code


class UnknownKeyError(PlatterError):
    """The key of a host is not in known_hosts."""


class UnknownKeys(MissingHostKeyPolicy):  # type: ignore[misc]
    """The policy for keys that are not in known_hosts; `login` is the command that logs in by hand."""

    def __init__(self, name: str, login: str, *, accept: bool) -> None:
        self.name = name
        self.login = login
        self.accept = accept

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002 - paramiko's
        """Accept the key, with one message in a run, or raise UnknownKeyError."""
        if not self.accept:
            raise UnknownKeyError(
                f"its host key {key.fingerprint} is not in known_hosts", hint=f"log in once by hand: {self.login}"
            )
        if _told.acquire(blocking=False):
            print_notice(
                f"{self.name}: accepting its host key {key.fingerprint}, which is not in known_hosts, and other such"
                ' keys; "host_keys": "known" refuses them'
            )


class _Limit(StreamWatcher):
    """Ends a command that prints too much."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def submit(self, stream: str) -> tuple[str, ...]:
        """Raise WatcherError for more characters than the limit. Nothing is answered."""
        if len(stream) > self._limit:
            raise WatcherError(f"the answer is longer than {self._limit} characters")
        return ()


class Host:
    """A connection, which is opened when it is first needed."""

    def __init__(self, name: str, connection: Connection, settings: Settings, *, once: bool = False) -> None:
        """`once`: it is the one whose scripts do what is to be done once for all hosts."""
        self.name = name
        self.settings = settings
        self.once = once
        self._connection = connection

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, SSHException):
            self._connection.close()

    @property
    def is_connected(self) -> bool:
        return bool(self._connection.is_connected)

    def run(
        self,
        script: str,
        what: str,
        *,
        as_owner: bool = False,
        live: bool = False,
        hint: str | None = None,
        limit: int | None = None,
    ) -> Answer:
        """Run a script with sh. Raises RemoteError that names what failed, with its exit code.

        `as_owner` runs it as the user who owns the root; `live` shows standard error as it arrives; `limit` is the
        number of characters that are read.
        """
        mark = secrets.token_hex(16)
        options: dict[str, Any] = {"hide": "stdout" if live else True, "warn": True, "in_stream": False}
        if limit is not None:
            options["watchers"] = [_Limit(limit)]
        if live:
            options["err_stream"] = Live(standard_error(), mark)
        with self._errors(what):
            if as_owner and self.settings.sudo_user:
                line = command(f"cd /\n{script}", mark)  # that user may have no access to our home
                result: Result = self._connection.sudo(line, user=self.settings.sudo_user, **options)
            else:
                result = self._connection.run(command(script, mark), **options)
        return self._checked(read(result.stdout, result.stderr, result.exited, mark), what, live=live, hint=hint)

    def put(self, file: Path, path: str, part: Part | None = None, then: str = "") -> Answer:
        """Send a file, or what is missing in a part of it that the host has, and report progress.

        Then run the script `then`. Return its answer.
        """
        what = f"uploading {file.name}"
        return self._transfer(what, lambda transport, *rest: send(transport, file, path, part, then, *rest))

    def get(self, path: str, file: Path) -> None:
        """Fetch a file, and report progress."""
        self._transfer(f"fetching {path}", lambda transport, *rest: receive(transport, path, file, *rest))

    def _transfer(self, what: str, move: Callable[..., Answer]) -> Answer:
        with self._errors(what):
            answer = move(self._connection.client.get_transport(), secrets.token_hex(16), self._on_way())
        return self._checked(answer, what, hint=_ROOM)

    def _on_way(self) -> Callable[[int, int], None]:
        """Return a function that reports the progress of a file from time to time."""
        told = time.monotonic()

        def tell_how_far(sent: int, size: int) -> None:
            nonlocal told
            if time.monotonic() - told >= PAUSE and sent < size:
                told = time.monotonic()
                print_notice(f"{self.name}: {100 * sent // size} % of {human_size(size)}")

        return tell_how_far

    def _checked(self, answer: Answer, what: str, *, live: bool = False, hint: str | None = None) -> Answer:
        """Return the answer if it is complete and successful; else raise RemoteError."""
        if answer.exited < 0:
            raise RemoteError(f"the connection was lost: {what}", hint=_LOST, output=answer.stderr)
        if answer.exited:
            raise _failed(what, answer, shown=live and answer.whole, hint=hint)
        if not answer.whole:
            hint = f"what does `{self._ssh()} true` print?"
            raise RemoteError(f"{what}: the answer is incomplete", hint=hint, output=answer.stdout + answer.stderr)
        return answer

    def _ssh(self) -> str:
        """Return the command that logs in to the host."""
        host, colon, port = self.name.rpartition(":")
        words = ["ssh", "-p", port, host] if colon and port.isdecimal() and ":" not in host else ["ssh", self.name]
        return shlex.join(words)

    def _connect(self) -> None:
        """Open the connection, with further attempts if the settings allow.

        Refuse a key that differs from the one in known_hosts, and an unknown one if the settings say so.
        """
        for left in range(self.settings.retries, -1, -1):
            client = self._connection.client
            client.load_system_host_keys()
            with contextlib.suppress(OSError):
                client.load_system_host_keys(_SYSTEM_KNOWN_HOSTS)
            accept = self.settings.host_keys == "accept"
            client.set_missing_host_key_policy(UnknownKeys(self.name, self._ssh(), accept=accept))
            try:
                self._connection.open()
            except (AuthenticationException, BadHostKeyException):
                raise
            except (OSError, EOFError, SSHException) as error:
                if not left:
                    raise
                print_notice(f"{self.name}: cannot be reached, trying again: {_reason(error)}")
                time.sleep(PAUSE)
            else:
                return

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Connect if necessary. Turn errors of Fabric and paramiko into RemoteErrors."""
        connected = self.is_connected
        try:
            if not connected:
                self._connect()
                connected = True
            yield
        except AuthFailure as error:
            raise RemoteError(
                f"sudo refused the password: {what}", hint="fab --prompt-for-sudo-password asks for it"
            ) from error
        except Failure as error:
            raise RemoteError(f"{what}: {error.reason}", hint="check what it prints") from error
        except BadHostKeyException as error:
            known = known_name(self._connection.host, self._connection.port)
            raise RemoteError(
                "its host key is not the one in known_hosts", hint=f"if that is right: ssh-keygen -R {known}"
            ) from error
        except (OSError, EOFError, SSHException) as error:
            if connected:
                raise RemoteError(f"{what} failed: {_reason(error)}", hint=_LOST) from error
            raise RemoteError(
                f"cannot be reached: {_reason(error)}", hint=f"does `{self._ssh()} true` work?"
            ) from error


def known_name(host: str, port: int) -> str:
    """Return the host's name for `ssh-keygen -R`, quoted for a shell."""
    return shlex.quote(host if port == _SSH_PORT else f"[{host}]:{port}")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _failed(what: str, answer: Answer, *, shown: bool, hint: str | None) -> RemoteError:
    """Return the error, its message the line that names what failed; keep all lines unless they were shown."""
    said = [line.strip() for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]
    named = [line for line in said if line.startswith(f"{what}: ")]
    message = (named or said or [f"{what} ended with exit status {answer.exited}"])[-1]
    return RemoteError(
        message if named else f"{what} failed: {message}",
        hint=hint,
        output="" if shown else "\n".join(said),
        code=answer.exited,
    )
