"""Signatures: who vouches for a bundle. OpenSSH makes and checks them, over SHA256SUMS, which speaks for every file.

SHA256SUMS.sig is what `ssh-keygen -Y sign -n platter` writes (OpenSSH's PROTOCOL.sshsig); anybody can check it with
`ssh-keygen -Y verify`, without us.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import ArchiveError, CommandError, PlatterError, UsageError
from platter_setuptools.payload.checksums import SIGNATURE
from platter_setuptools.steps.bundle.members import Member, from_bytes

if TYPE_CHECKING:
    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner

NAMESPACE = "platter"
_NOT_STARTED = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A key, by the path that it was named by, and what ssh-keygen calls it: `256 SHA256:… me@host (ED25519)`."""

    key: Path
    title: str
    run: Runner

    def sign(self, sums: Member, progress: Progress, work: Path) -> Member:
        """The signature over SHA256SUMS. ssh-keygen may ask the user for a passphrase. Raises PlatterError."""
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
    """The signer with the key in this file, private or, for an ssh-agent, public. Raises UsageError if it is none."""
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


def maker_of(sums: bytes, signature: bytes, run: Runner, work: Path) -> str:
    """The key that signed SHA256SUMS, as ssh-keygen tells of it: `ED25519 key SHA256:…`.

    Raises ArchiveError if the signature is not one of these sums, UsageError if there is no ssh-keygen.
    """
    with tempfile.NamedTemporaryFile(prefix="signature-", dir=work) as file:
        file.write(signature)
        file.flush()
        try:
            made_by = run(
                ["ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", file.name],
                stdin=sums.decode("utf-8", "replace"),
            )
        except CommandError as error:
            _check_installed(error, "--allowed-signers")
            raise ArchiveError(
                f"{SIGNATURE} is no signature of this bundle's SHA256SUMS: {' '.join(error.output[:1])}",
                hint="the bundle was changed after it was signed: do not install it",
            ) from error
    return made_by.partition(" with ")[2].strip()


def check_signature(sums: bytes, signature: bytes, allowed: Path, run: Runner, work: Path) -> str:
    """Who signed SHA256SUMS, by the name that the allowed signers file (ssh-keygen(1)) has for the key.

    Raises ArchiveError if the signature is not one of these sums, or by nobody who is allowed.
    """
    made_by = maker_of(sums, signature, run, work)
    file = Path(tempfile.mkdtemp(prefix="signature-", dir=work)) / SIGNATURE
    file.write_bytes(signature)
    common = ("-n", NAMESPACE, "-s", os.fspath(file))
    try:
        principal = run(["ssh-keygen", "-Y", "find-principals", "-s", file, "-f", allowed]).splitlines()[0]
        run(
            ["ssh-keygen", "-Y", "verify", *common, "-f", allowed, "-I", principal],
            stdin=sums.decode("utf-8", "replace"),
        )
    except (CommandError, IndexError) as error:
        raise ArchiveError(
            f"the bundle is signed with {made_by}, which {allowed} does not allow",
            hint="do not install it unless you know whose key that is; then add it to that file",
            output=error.output if isinstance(error, CommandError) else (),
        ) from error
    return principal


def _check_installed(error: CommandError, option: str) -> None:
    if error.returncode == _NOT_STARTED:
        raise UsageError(
            f"{option} needs ssh-keygen, which is not there",
            hint="install OpenSSH's client programs (openssh-client, openssh-clients)",
        ) from error
