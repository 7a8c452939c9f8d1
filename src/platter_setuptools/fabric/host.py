"""One host behind ssh: uploading to it, and running there what the bundle and ROOT/platter offer."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import time
from typing import TYPE_CHECKING, Any

from invoke.exceptions import AuthFailure
from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, SSHException

from platter_setuptools.fabric.answers import Answer, Live, command, read
from platter_setuptools.fabric.fleet import tell
from platter_setuptools.fabric.host_keys import SYSTEM_KNOWN_HOSTS, UnknownKeys, known_name
from platter_setuptools.fabric.transfer import on_way, receive, send
from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.progress import human_size
from platter_setuptools.ground.streams import standard_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fabric import Connection
    from invoke.runners import Result

    from platter_setuptools.fabric.settings import Settings

_TAIL = 25
_PAUSE = 2.0  # seconds between two attempts to connect, or to get a lock
# Filesystems that do not know how full they are say 0 of 0.
_FREE = """df -Pk . | awk 'NR == 2 { print $2 ? $4 : "unknown" }'"""
# What is there under that name, the room in kB, and where that is. The project's uploads of more than a week ago go,
# and what was cut off more than a day ago; nothing else, for the folder may be anybody's.
_LOOK = """\
umask 077 && mkdir -p {folder} && cd {folder} || exit 5
[ -w . ] || {{ echo "$PWD is not writable" >&2; exit 5; }}
find . ! -name . -prune -type f -name {kin} \\( -mtime +7 -o -name '*.part' -mtime +0 \\) -exec rm -f {{}} +
{{ sha256sum {name} 2>/dev/null || echo none; }} | cut -d ' ' -f 1
{free}
pwd
"""
_ARRIVE = "sha256sum {part} | cut -d ' ' -f 1"
# Where it is unpacked, the room there in kB, and install.sh unless there is too little room. Readable for whom the root
# belongs to; nobody else could have put a folder of that name there. What a lost connection left there a day ago goes.
_UNPACK = """\
umask 022
archive=$(cd {folder} && pwd)/{name} && cd "${{TMPDIR:-/var/tmp}}" || exit 5
find . ! -name . -prune -type d -name 'platter.??????????' -user "$(id -u)" -mtime +0 -exec rm -rf {{}} +
pwd
free=$({free})
echo "$free"
[ "$free" = unknown ] || [ "$free" -gt {kilobytes} ] || exit 0
folder=$(mktemp -d "$PWD/platter.XXXXXXXXXX") && chmod 755 "$folder" || exit 5
tar -xf "$archive" -C "$folder" && ls -d "$folder"/*/install.sh && exit
rm -rf "$folder"
tar -tf "$archive" >/dev/null 2>&1 || exit 4  # it is the archive's fault
exit 5
"""
_ROOM = "see whether there is room, and whether this user may write there"
_ITS_FOLDER = 'set "uploads" to a folder that this user may write to'
_THAT_FOLDER = "make room there and let this user write there, or set TMPDIR for this user on the host"


class RemoteError(PlatterError):
    """Something went wrong on a host, or on the way to it. The exit code is the one of what failed there."""

    def __init__(self, message: str, *, hint: str | None = None, output: str = "", code: int = 1) -> None:
        super().__init__(message, hint=hint, output=output.splitlines()[-_TAIL:])
        self.exit_code = code


class Host:
    def __init__(self, name: str, connection: Connection, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self._connection = connection

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, SSHException):
            self._connection.close()

    def upload(self, bundle: Path, digest: str) -> str:
        """Have the file on the host with this SHA-256, unless it is there; gives its path there."""
        size = bundle.stat().st_size
        look = _LOOK.format(
            folder=shlex.quote(self.settings.uploads),
            kin=shlex.quote(f"{bundle.name.partition('-')[0]}-*.tar*"),
            name=shlex.quote(f"./{bundle.name}"),
            free=_FREE,
        )
        found, free, folder = self.run(look, "the folder for uploads", hint=_ITS_FOLDER).stdout.splitlines()
        path = f"{folder}/{bundle.name}"
        if found == digest:
            tell(f"{self.name}: has {bundle.name} already")
            return path
        if free != "unknown" and size > int(free) * 1024:
            raise _no_room(folder, size, free, 'make room, or set "uploads" to a folder on another disk')
        part = f"{path}.{secrets.token_hex(4)}.part"
        tell(f"{self.name}: uploading {human_size(size)}")
        try:
            self._send(bundle, digest, part)
        except RemoteError:
            if self._connection.is_connected:  # else it goes with the next deployment, from tomorrow on
                with contextlib.suppress(RemoteError):
                    self.run(f"rm -f {shlex.quote(part)}", "removing the upload")
            raise
        self.run(f"mv -f {shlex.quote(part)} {shlex.quote(path)}", "the upload")
        return path

    def _send(self, bundle: Path, digest: str, path: str) -> None:
        self.put(bundle, path)
        arrived = self.run(_ARRIVE.format(part=shlex.quote(path)), "checking the upload").stdout.strip()
        if arrived != digest:
            raise RemoteError(
                f"{bundle.name} did not arrive as it was sent: its SHA-256 is {arrived or 'unknown'}, not {digest}",
                hint="deploy again; was the file written to meanwhile?" if arrived else "the host needs sha256sum",
                code=4,
            )

    def install(self, archive: str, size: int, *, check: bool = False) -> str:
        """Install and activate the uploaded bundle of so many bytes; gives the last words of install.sh.

        With `check` it only looks whether that could be done.
        """
        uploads, _, name = archive.rpartition("/")
        unpack = _UNPACK.format(
            folder=shlex.quote(uploads), name=shlex.quote(name), free=_FREE, kilobytes=size // 1024 + 1
        )
        place, free, *scripts = self.run(unpack, f"unpacking {archive}", hint=_THAT_FOLDER).stdout.splitlines()
        if not scripts:
            raise _no_room(place, size, free, _THAT_FOLDER)
        (script,) = scripts
        folder = script.rsplit("/", 2)[0]
        # A mount without exec is no hindrance to `sh install.sh`.
        words = ["sh", script, *(["--check"] if check else []), *self.settings.installing()]
        remove = f"rm -rf {shlex.quote(folder)}"
        # It goes as well if this process ends meanwhile; but not while another deployment is waited for.
        script = f"{shlex.join(words)}\nstatus=$?\n[ $status = {_LOCKED} ] || {remove} 2>/dev/null\nexit $status"
        try:
            said = self._patiently(script, "install.sh")
        finally:
            with contextlib.suppress(RemoteError):  # a connection that is lost was told of
                self.run(remove, "cleaning up")
        lines = (said.stdout + said.stderr).strip().splitlines()
        return lines[-1].strip() if lines else ""

    def operate(self, *words: str) -> str:
        """Run ROOT/platter; gives what it says."""
        program = f"{self.settings.root}/platter"
        script = (
            f"[ -x {shlex.quote(program)} ] || {{ echo {shlex.quote(_NO_PROGRAM.format(program))} >&2; exit 6; }}\n"
        )
        said = self._patiently(script + shlex.join([program, *words]), "platter")
        return (said.stdout + said.stderr).strip()

    def _patiently(self, script: str, what: str) -> Answer:
        """Run a script as the root's owner; if another deployer holds a lock, again until it has ended."""
        end = time.monotonic() + self.settings.wait
        while True:
            try:
                return self.run(script, what, as_owner=True)
            except RemoteError as error:
                locked = error.exit_code == _LOCKED and any(line.startswith(_WAIT) for line in error.output)
                if not locked or time.monotonic() + _PAUSE > end:
                    raise
            tell(f"{self.name}: waiting for another deployment")
            time.sleep(_PAUSE)

    def run(
        self, script: str, what: str, *, as_owner: bool = False, live: bool = False, hint: str | None = None
    ) -> Answer:
        """Run a script with sh. Raises RemoteError that begins with what failed, and has its exit code.

        `as_owner` runs it as the user who owns the root; with `live` standard error is shown while it comes.
        """
        mark = secrets.token_hex(16)
        options: dict[str, Any] = {"hide": "stdout" if live else True, "warn": True, "in_stream": False}
        if live:
            options["err_stream"] = Live(standard_error(), mark)
        with self._errors(what):
            if as_owner and self.settings.sudo_user:
                line = command(f"cd /\n{script}", mark)  # our home may be closed to that user
                result: Result = self._connection.sudo(line, user=self.settings.sudo_user, **options)
            else:
                result = self._connection.run(command(script, mark), **options)
        return self._checked(read(result.stdout, result.stderr, result.exited, mark), what, live=live, hint=hint)

    def _checked(self, answer: Answer, what: str, *, live: bool = False, hint: str | None = None) -> Answer:
        """Return the answer if it is whole and of success, or raise the RemoteError that says what failed."""
        if answer.exited < 0:
            raise RemoteError(f"the connection was lost: {what}", hint=_LOST, output=answer.stderr)
        if answer.exited:
            raise _failed(what, answer, shown=live and answer.whole, hint=hint)
        if not answer.whole:
            hint = f"what does `{self._ssh()} true` print?"
            raise RemoteError(f"{what}: the answer is not whole", hint=hint, output=answer.stdout + answer.stderr)
        return answer

    def _ssh(self) -> str:
        """The command that logs in to it."""
        host, colon, port = self.name.rpartition(":")
        words = ["ssh", "-p", port, host] if colon and port.isdecimal() and ":" not in host else ["ssh", self.name]
        return shlex.join(words)

    def put(self, file: Path, path: str) -> None:
        """Send a file, and tell how far it is."""
        self._transfer(f"uploading {file.name}", lambda transport, *rest: send(transport, file, path, *rest))

    def get(self, path: str, file: Path) -> None:
        """Fetch a file, and tell how far it is."""
        self._transfer(f"fetching {path}", lambda transport, *rest: receive(transport, path, file, *rest))

    def _transfer(self, what: str, move: Callable[..., Answer]) -> None:
        with self._errors(what):
            answer = move(self._connection.client.get_transport(), secrets.token_hex(16), on_way(self.name))
        self._checked(answer, what, hint=_ROOM)

    def _connect(self) -> None:
        """Open the connection, with as many further attempts as the settings allow.

        A key that differs from the one in known_hosts is refused; whether one that is not there is, the settings say.
        """
        for left in range(self.settings.retries, -1, -1):
            client = self._connection.client
            client.load_system_host_keys()
            with contextlib.suppress(OSError):
                client.load_system_host_keys(SYSTEM_KNOWN_HOSTS)
            accept = self.settings.host_keys == "accept"
            client.set_missing_host_key_policy(UnknownKeys(self.name, self._ssh(), accept=accept))
            try:
                self._connection.open()
            except (AuthenticationException, BadHostKeyException):
                raise
            except (OSError, EOFError, SSHException) as error:
                if not left:
                    raise
                tell(f"{self.name}: cannot be reached, trying again: {str(error) or type(error).__name__}")
                time.sleep(_PAUSE)
            else:
                return

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Tell the errors of Fabric and paramiko in our words."""
        connected = self._connection.is_connected
        try:
            if not connected:
                self._connect()
                connected = True
            yield
        except AuthFailure as error:
            raise RemoteError(
                f"sudo wants another password: {what}", hint="fab --prompt-for-sudo-password asks for it"
            ) from error
        except BadHostKeyException as error:
            known = known_name(self._connection.host, self._connection.port)
            raise RemoteError(
                "its host key is not the one in known_hosts", hint=f"if that is right: ssh-keygen -R {known}"
            ) from error
        except (OSError, EOFError, SSHException) as error:
            reason = str(error) or type(error).__name__
            if not connected:
                hint = f"does `{self._ssh()} true` work?"
                raise RemoteError(f"cannot be reached: {reason}", hint=hint, code=1) from error
            raise RemoteError(f"{what} failed: {reason}", hint=_LOST) from error


_LOST = "see whether the host answers and has room; `fab releases` tells what is active there; then try again"
_NO_PROGRAM = "platter: {} is not there\nhint: deploy first; `install.sh --root` leaves it there"
# How install.sh and ROOT/platter say that another one holds a lock.
_LOCKED, _WAIT = 6, "hint: wait until"


def _no_room(folder: str, size: int, kilobytes: str, hint: str) -> RemoteError:
    free = human_size(int(kilobytes) * 1024)
    return RemoteError(f"{folder} has no room for {human_size(size)}: {free} are free", hint=hint, code=5)


def _failed(what: str, answer: Answer, *, shown: bool, hint: str | None) -> RemoteError:
    """The line that says what went wrong goes first; all lines are kept, unless they were shown."""
    said = [line.strip() for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]
    named = [line for line in said if line.startswith(f"{what}: ")]
    message = (named or said or [f"{what} ended with exit status {answer.exited}"])[-1]
    return RemoteError(
        message if named else f"{what} failed: {message}",
        hint=hint,
        output="" if shown else "\n".join(said),
        code=answer.exited,
    )
