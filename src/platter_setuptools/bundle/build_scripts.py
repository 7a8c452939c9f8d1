"""Build scripts: the user's commands before anything is built, and before the bundle is written.

As in Platter, a script runs in HERE, the folder that becomes the bundle, with these variables: HERE, DATA_DIR (the
bundle's `data`), SOURCE_DIR (the project), SCRATCHPAD (a temporary folder), INSTALL_SCRIPT (a file whose content runs
at the end of install.sh) and VIRTUAL_ENV, an active virtual environment of the target's interpreter.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.bundle.members import Member, from_bytes, from_folder
from platter_setuptools.errors import CommandError, ScriptError
from platter_setuptools.payload.checksums import SIGNATURE
from platter_setuptools.payload.install.activation_scripts import NAMES as SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.wheels.environments import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildScriptFolders:
    """The folders for build scripts; they exist only if there is a script."""

    here: Path
    source: Path
    environment: Environment
    run: Runner

    @property
    def data(self) -> Path:
        return self.here / "data"

    @property
    def install_script(self) -> Path:
        return self.here.with_name(f"{self.here.name}.install-script")

    def run_script(self, script: Path) -> None:
        """Run a build script by its own `#!` line, or by `sh -e` if it has none. Raises ScriptError."""
        scratchpad = self.here.with_name(f"{self.here.name}.scratchpad")
        for folder in (self.data, scratchpad):
            folder.mkdir(parents=True, exist_ok=True)
        self.install_script.touch()
        variables: dict[str, str | Path] = {
            **self.environment.make_extra_environ(),
            "HERE": self.here,
            "DATA_DIR": self.data,
            "SOURCE_DIR": self.source,
            "SCRATCHPAD": scratchpad,
            "INSTALL_SCRIPT": self.install_script,
        }
        environ = {name: os.fspath(value) for name, value in variables.items()} | {"PYTHONHOME": ""}
        try:
            self.run([*_interpreter_of(script), script], cwd=self.here, env=environ)
        except CommandError as error:
            raise ScriptError(
                f"the build script {script} failed: exit status {error.returncode}",
                hint="its last lines are above; verbose shows everything it prints",
                output=error.output,
            ) from error
        finally:
            shutil.rmtree(scratchpad, ignore_errors=True)

    def place(self, members: Iterable[Member]) -> None:
        """Put the bundle's files where the post-build script expects them."""
        for member in members:
            path = self.here / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, path.open("wb") as file:
                shutil.copyfileobj(source, file)

    def take(self, members: Sequence[Member]) -> list[Member]:
        """What the scripts added to the bundle, post-install.sh included.

        Raises ScriptError if they changed one of `members`, or took one of our names: what was checked is fixed.
        """
        added = []
        folders = {folder for member in members for folder in _folders_of(member)}
        fixed = dict.fromkeys(("SHA256SUMS", SIGNATURE, "post-install.sh", *SCRIPTS), "") | {
            member.name: member.sha256 for member in members
        }
        for member in from_folder(self.here):
            in_place_of_folder = member.name in folders and not member.is_folder
            if member.name not in fixed and not in_place_of_folder and fixed.keys().isdisjoint(_folders_of(member)):
                added.append(member)
            elif member.sha256 != fixed.get(member.name, ""):
                raise ScriptError(
                    f"a build script changed {member.name} in the bundle",
                    hint="files of its own may have any other name; wheels come from the project's requirements",
                )
        if self.install_script.is_file() and self.install_script.stat().st_size:
            added.append(from_bytes("post-install.sh", self.install_script.read_bytes(), executable=True))
        if telling := next((member.name for member in added if member.tells_secret()), None):
            raise ScriptError(
                f"a build script's {telling} holds a URL with a user or password in it",
                hint="everyone with the bundle could read it: put it into a file or a variable on the server",
            )
        return added


def _folders_of(member: Member) -> list[str]:
    parts = member.name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _interpreter_of(script: Path) -> list[str]:
    # Read as the kernel would, since a script in a repository often lacks its executable bit.
    with script.open("rb") as file:
        first = file.readline(256)
    return os.fsdecode(first[2:]).strip().split(None, 1) if first.startswith(b"#!") else ["sh", "-e"]
