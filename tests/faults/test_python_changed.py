"""Systems that are upgraded, or brought back from elsewhere, beneath an installed release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload import host
from support.interpreters import pretender

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.ledger import Trials
    from faults.server import Server

HERE = host.examine()
BROKEN = "#!/bin/sh\necho 'error while loading shared libraries: libpython' >&2\nexit 127\n"
CHANGES = {
    "gone": (None, "found nothing"),
    "does not start": (BROKEN, "found one that does not run: error while loading"),
    "no program": ("\0", "found one that does not run"),
    "another minor": (HERE._replace(python=(3, 99, 0), abi="cp399"), "found 3.99.0 (cp399)"),
    "free-threaded": (HERE._replace(abi=f"{HERE.abi}t"), f"({HERE.abi}t)"),
    "older glibc": (HERE._replace(glibc=(2, 5), musl=None), "or newer, found glibc 2.5"),
    "musl": (HERE._replace(glibc=None, musl=(1, 2)), "or newer, found musl 1.2"),
}


@pytest.mark.skipif(HERE.glibc is None, reason="plays with glibc's version")
@pytest.mark.parametrize("change", CHANGES)
def test_changed(trials: Trials, new_server: Callable[[], Server], change: str) -> None:
    replacement, finding = CHANGES[change]
    server = new_server()
    server.install()
    python, kept = server.dst / "bin" / "python", server.folder / "python"
    for trial in trials("the server's Python is another one", full=8, few=1):
        with trial:
            python.rename(kept)
            if isinstance(replacement, host.Host):
                pretender(python, replacement)
            elif replacement is not None:
                python.write_text(replacement)
                python.chmod(0o755)
            for options in (["--check"], []):
                assert server.start(*options).wait(60) == 5, server.said
                assert "cannot run any more" in server.said
                assert finding in server.said
                assert "--force" in server.said
            if trial.random.random() < 0.5:
                server.install("--force")
            else:
                python.unlink(missing_ok=True)
                kept.rename(python)
            assert server.start("--check").wait(60) == 0, server.said
            server.check_installed()
