"""install.sh under every shell that may be a server's /bin/sh."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import handmade

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.ledger import Trials
    from faults.server import Server

SHELLS = ["dash", "bash", "bash --posix", "busybox sh", "mksh", "yash", "yash --posix", "posh"]
FAULT = "shells"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    name, *options = request.param.split()
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here")
    return [found, *options]


def test_install(trials: Trials, new_server: Callable[[], Server], shell: list[str]) -> None:
    with trials.one(FAULT):
        server = new_server()
        server.install(shell=shell, env={})
        server.install(shell=shell, env={})  # it is there already


def test_refusals(trials: Trials, new_server: Callable[[], Server], shell: list[str]) -> None:
    """The exit codes of what the shell script decides itself."""
    with trials.one(FAULT):
        server = new_server()
        assert server.start(shell=shell, python="/nonexistent").wait(60) == 3
        assert server.start("--python=", shell=shell, python="").wait(60) == 2
        few = server.folder / "few programs"
        few.mkdir()
        for name in ("printf", "echo", "[", "cat"):  # which not every shell has built in
            (few / name).symlink_to(shutil.which(name) or "")
        assert server.start(shell=shell, python="", env={"PATH": str(few)}).wait(60) == 3
        server.check_untouched()


def test_words(trials: Trials, bundle: handmade.Bundle, shell: list[str]) -> None:
    with trials.one(FAULT):
        done = handmade.run(bundle, "--help", shell=shell, python=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "--force" in done.stdout
        done = handmade.run(bundle, "--version", shell=shell, python=False, env={"PATH": "/usr/bin:/bin"})
        assert (done.returncode, done.stdout, done.stderr) == (0, "greet 1.0\n", "")


def test_odd_words(trials: Trials, new_server: Callable[[str], Server], shell: list[str]) -> None:
    with trials.one(FAULT):
        server = new_server("$(touch pwned) `touch pwned` 'x' \"y\" \\ * ~ -p")
        found = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        server.install("--quiet", shell=shell, cwd=server.folder, python="", env={"PATH": found})
        assert not list(server.folder.rglob("pwned"))
        assert server.said == ""
