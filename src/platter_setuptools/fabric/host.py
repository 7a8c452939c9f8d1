"""One host behind ssh: uploading to it, and running there what the bundle and ROOT/platter offer."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import time
from typing import TYPE_CHECKING

from invoke.exceptions import AuthFailure
from paramiko.ssh_exception import BadHostKeyException, SSHException

from platter_setuptools.fabric.fleet import tell
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
_EVERY = 2.0  # seconds between two lines about an upload
# What is there under that name, the room in kB, and where that is. The project's uploads of more than a week ago go,
# and what was cut off more than a day ago; nothing else, for the folder may be anybody's.
_LOOK = """\
umask 077 && mkdir -p {folder} && cd {folder} || exit 1
find . ! -name . -prune -type f -name {kin} \\( -mtime +7 -o -name '*.part' -mtime +0 \\) -exec rm -f {{}} +
{{ sha256sum {name} 2>/dev/null || echo none; }} | cut -d ' ' -f 1
df -Pk . | awk 'NR == 2 {{ print $4 }}'
pwd
"""
_ARRIVE = "sha256sum {part} | cut -d ' ' -f 1"
# Readable for whom the root belongs to; nobody else could have put a folder of that name there.
_UNPACK = """\
umask 022
folder=$(mktemp -d "${{TMPDIR:-/var/tmp}}/platter.XXXXXXXXXX") && chmod 755 "$folder" || exit 1
tar -xf {archive} -C "$folder" && ls -d "$folder"/*/install.sh && exit
rm -rf "$folder"
tar -tf {archive} >/dev/null 2>&1 || exit 4  # it is the archive's fault
exit 1
"""


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
        )
        found, free, folder = self.run(look, "the folder for uploads").stdout.splitlines()[-3:]
        path = f"{folder}/{bundle.name}"
        if found == digest:
            tell(f"{self.name}: has {bundle.name} already")
            return path
        if size > int(free) * 1024:
            raise RemoteError(
                f"{folder} has no room for {human_size(size)}: {human_size(int(free) * 1024)} are free",
                hint='make room, or set "uploads" to a folder on another disk',
                code=5,
            )
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

    def install(self, archive: str) -> str:
        """Install and activate the uploaded bundle; gives the last words of install.sh."""
        script = self.run(_UNPACK.format(archive=shlex.quote(archive)), f"unpacking {archive}").stdout.strip()
        folder = script.rsplit("/", 2)[0]
        try:
            # A mount without exec is no hindrance to `sh install.sh`.
            said = self.run(shlex.join(["sh", script, *self.settings.installing()]), "install.sh", as_owner=True)
        finally:
            with contextlib.suppress(RemoteError):  # a connection that is lost was told of
                self.run(f"rm -rf {shlex.quote(folder)}", "cleaning up")
        lines = (said.stdout + said.stderr).strip().splitlines()
        return lines[-1].strip() if lines else ""

    def operate(self, *words: str) -> str:
        """Run ROOT/platter; gives what it says."""
        program = f"{self.settings.root}/platter"
        script = (
            f"[ -x {shlex.quote(program)} ] || {{ echo {shlex.quote(_NO_PROGRAM.format(program))} >&2; exit 6; }}\n"
        )
        said = self.run(script + shlex.join([program, *words]), "platter", as_owner=True)
        return (said.stdout + said.stderr).strip()

    def run(self, script: str, what: str, *, as_owner: bool = False, live: bool = False) -> Result:
        """Run a script with sh. Raises RemoteError that begins with what failed, and has its exit code.

        `as_owner` runs it as the user who owns the root; with `live` standard error is shown while it comes.
        """
        command = f"sh -c {shlex.quote(script)}"
        options = {"hide": "stdout" if live else True, "warn": True, "in_stream": False, "err_stream": standard_error()}
        with self._errors(what):
            if as_owner and self.settings.sudo_user:
                command = f"sh -c {shlex.quote('cd / && ' + script)}"  # our home may be closed to that user
                result: Result = self._connection.sudo(command, user=self.settings.sudo_user, **options)
            else:
                result = self._connection.run(command, **options)
        if result.exited < 0:
            raise RemoteError(f"the connection was lost: {what}", hint=_LOST, output=result.stderr)
        if result.exited:
            raise _failed(what, result, shown=live)
        return result

    def put(self, file: Path, path: str) -> None:
        """Send a file, and tell how far it is."""
        with self._errors(f"uploading {file.name}"):
            self._connection.sftp().put(str(file), path, callback=self._on_way())

    def get(self, path: str, file: Path) -> None:
        with self._errors(f"fetching {path}"):
            self._connection.sftp().get(path, str(file), callback=self._on_way())

    def _on_way(self) -> Callable[[int, int], None]:
        told = time.monotonic()

        def tell_how_far(sent: int, size: int) -> None:
            nonlocal told
            if time.monotonic() - told >= _EVERY and sent < size:
                told = time.monotonic()
                tell(f"{self.name}: {100 * sent // size} % of {human_size(size)}")

        return tell_how_far

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Tell the errors of Fabric and paramiko in our words."""
        connected = self._connection.is_connected
        try:
            if not connected:
                # A key that differs from the known one is refused; one that is not known is up to Fabric: it accepts.
                self._connection.client.load_system_host_keys()
                self._connection.open()
                connected = True
            yield
        except AuthFailure as error:
            raise RemoteError(
                f"sudo wants another password: {what}", hint="fab --prompt-for-sudo-password asks for it"
            ) from error
        except BadHostKeyException as error:
            raise RemoteError(
                "its host key is not the one in known_hosts", hint=f"if that is right: ssh-keygen -R {self.name}"
            ) from error
        except (OSError, EOFError, SSHException) as error:
            reason = str(error) or type(error).__name__
            if not connected:
                hint = f"does `ssh {self.name} true` work?"
                raise RemoteError(f"cannot be reached: {reason}", hint=hint, code=1) from error
            raise RemoteError(f"{what} failed: {reason}", hint=_LOST) from error


_LOST = "see whether the host answers and has room; `fab releases` tells what is active there; then try again"
_NO_PROGRAM = "platter: {} is not there\nhint: deploy first; `install.sh --root` leaves it there"


def _failed(what: str, result: Result, *, shown: bool) -> RemoteError:
    """The line that says what went wrong goes first; all lines are kept, unless they were shown."""
    said = [line.strip() for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    named = [line for line in said if line.startswith(f"{what}: ")]
    message = (named or said or [f"{what} ended with exit status {result.exited}"])[-1]
    return RemoteError(
        message if named else f"{what} failed: {message}", output="" if shown else "\n".join(said), code=result.exited
    )
