"""OpenSSH keys and what is done with them, by ssh-keygen itself: our own code is not its own witness."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not here")


def make(folder: Path, kind: str = "ed25519", *, name: str = "", passphrase: str = "") -> Path:
    """A new key pair; gives the private key's file."""
    path = folder / (name or kind)
    command: list[str | Path] = [
        "ssh-keygen",
        "-q",
        "-t",
        kind,
        "-N",
        passphrase,
        "-C",
        f"{path.name}@test",
        "-f",
        path,
    ]
    subprocess.run(command, check=True, timeout=60)
    return path


def allow(file: Path, *keys: Path, who: str = "team@example.com", options: str = "") -> Path:
    """Write an allowed signers file."""
    public = [" ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2]) for key in keys]
    file.write_text("".join(f"{who} {options} {one}\n" for one in public))
    return file


def sign(bundle: Path, key: Path, *, namespace: str = "platter") -> Path:
    """Sign a bundle that is a folder; gives the bundle."""
    (bundle / "SHA256SUMS.sig").unlink(missing_ok=True)
    command: list[str | Path] = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key, bundle / "SHA256SUMS"]
    subprocess.run(command, check=True, timeout=60)
    return bundle


def fingerprint(key: Path) -> str:
    command: list[str | Path] = ["ssh-keygen", "-l", "-f", key]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()[1]
