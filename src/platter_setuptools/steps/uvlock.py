"""uv.lock, uv's own lock: uv itself turns it into a pylock.toml, without resolving anything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import CommandError, DependencyError
from platter_setuptools.steps.lock import Lock, read_lock
from platter_setuptools.steps.resolver import uv_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platter_setuptools.ground.run import Runner

NAME = "uv.lock"


def export(path: Path, name: str, *, extras: Sequence[str], groups: Sequence[str], run: Runner, work: Path) -> Lock:
    """What a uv.lock holds for one project of its workspace, with these extras and groups. Raises DependencyError."""
    file = Path(tempfile.mkdtemp(prefix="exported-", dir=work)) / "pylock.toml"
    command: list[str | Path] = [
        *uv_command(),
        *("export", "--frozen", "--quiet", "--format", "pylock.toml", "--no-header", "--no-python-downloads"),
        *("--package", name, "--no-emit-package", name, "--no-default-groups", "--output-file", file),
        *(word for extra in extras for word in ("--extra", extra)),
        *(word for group in groups for word in ("--group", group)),
    ]
    try:
        run(command, cwd=path.parent)
    except CommandError as error:
        raise DependencyError(
            f"{path} holds no lock of {name}",
            hint="see what uv says above; uv.lock has to lie where `uv lock` has put it, beside its pyproject.toml",
            output=error.output,
        ) from error
    return read_lock(file)
