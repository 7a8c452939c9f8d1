"""Signatures of bundles: OpenSSH makes and checks them, over SHA256SUMS, which covers every other file.

SHA256SUMS.sig is the output of `ssh-keygen -Y sign -n platter` (OpenSSH's PROTOCOL.sshsig); `ssh-keygen -Y verify`
checks it without this package.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools import payload
from platter_setuptools.bundle.members import Member, from_bytes
from platter_setuptools.errors import ArchiveError, CommandError, PlatterError, UsageError
from platter_setuptools.payload.checksums import FILE, SIGNATURE

if TYPE_CHECKING:
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.runtime.progress import Progress

NAMESPACE = "platter"
_NOT_STARTED = 127
_FAIL = 'fail() { printf "%s\\nhint: %s\\n" "$2" "$3" >&2; exit "$1"; }'
_USAGE = (2, 5)  # of install.sh: the file of allowed signers, and ssh-keygen


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A key, by its path, and ssh-keygen's title of it: `256 SHA256:… me@host (ED25519)`."""

    key: Path
    title: str
    run: Runner

    def sign(self, sums: Member, progress: Progress, work: Path) -> Member:
        """Return the signature of SHA256SUMS. ssh-keygen may ask the user for a passphrase. Raises PlatterError."""
        file = Path(tempfile.mkdtemp(prefix="sign-", dir=work)) / sums.name
        file.write_bytes(sums.content or b"")
        try:
            with progress.hand_over(f"Signing with {self.title}"):
                self.run(["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", self.key, file], terminal=True)
        except CommandError as error:
            raise PlatterError(
                f"the bundle is not signed: ssh-keygen cannot sign with {self.key}",
                hint="its words are above; a key with a passphrase needs a terminal, or an ssh-agent that holds it",
                output=error.output,
            ) from error
        return from_bytes(SIGNATURE, file.with_name(SIGNATURE).read_bytes())


def open_key(key: Path, run: Runner) -> Signer:
    """Return the signer with the key in this file, private or, for an ssh-agent, public. Raises UsageError."""
    try:
        title = run(["ssh-keygen", "-l", "-f", key]).strip()
    except CommandError as error:
        _check_installed(error, "sign-with")
        raise UsageError(
            f"{key} is no key that ssh-keygen can read",
            hint="name a private OpenSSH key, or the public one of a key that an ssh-agent holds",
            output=error.output,
        ) from error
    return Signer(key=key, title=title, run=run)


def check_signature(
    bundle: Path, sums: bytes, signature: bytes | None, allowed: Path | None, run: Runner, work: Path
) -> str:
    """Return who signed SHA256SUMS, by the name that the allowed signers file (ssh-keygen(1)) has for the key.

    Without such a file it only has to be a signature of these sums, and the name is empty. The installer's own shell
    function decides. Raises ArchiveError for a signature that is none, or of nobody who is allowed; UsageError if
    `allowed` is no such file, or ssh-keygen is missing or too old.
    """
    folder = Path(tempfile.mkdtemp(prefix="signature-", dir=work))
    for name, content in ((FILE, sums), (SIGNATURE, signature)):
        if content is not None:
            (folder / name).write_bytes(content)
    text = Path(payload.__file__).with_name("install.sh").read_text("utf-8")
    function = text.partition("\n# platter verify runs ")[2].partition("\n# End of check_signature.")[0]
    script = f'{_FAIL}\n# {function}\ncheck_signature "$@"\nprintf "%s" "$signer"\n'
    try:
        return run(["/bin/sh", "-euc", script, "sh", folder, allowed or "", bundle])
    except CommandError as error:
        message, _, hint = "\n".join(error.said).rpartition("\nhint: ")
        kind = UsageError if error.returncode in _USAGE else ArchiveError
        raise kind(message, hint=hint) from error


def _check_installed(error: CommandError, option: str) -> None:
    if error.returncode == _NOT_STARTED:
        raise UsageError(
            f"{option} needs ssh-keygen, which is not there",
            hint="install OpenSSH's client programs (openssh-client, openssh-clients)",
        ) from error
