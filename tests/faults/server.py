"""A server: a folder of releases, one of them current, into which a bundle is installed while things go wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import handmade

if TYPE_CHECKING:
    from collections.abc import Sequence

MARKER = ".platter-release.json"
POST_INSTALL = 'set -eu\nprintf "%s\\n" "$VIRTUAL_ENV" >"$VIRTUAL_ENV/last-word"\n'


def application(folder: Path) -> handmade.Bundle:
    """A bundle with a bit of everything that real ones have, small enough to be installed hundreds of times."""
    requires = ["engine", "words", "plugin-one", "plugin-two"]
    files = {f"greet/part{number}.py": f"number = {number}\n" * 40 for number in range(12)}
    files |= {
        "greet/__init__.py": "import engine.gear, words\n\n\ndef main():\n    print('hello,', engine.gear.NAME)\n",
        "greet/static/page.html": "<p>" * 2000,
    }
    wheels = folder / "wheels"
    made = [
        handmade.wheel(
            wheels,
            "greet",
            files=files,
            entry_points="[console_scripts]\ngreet = greet:main\ngreet-admin = greet:main\n",
            requires=requires,
        ),
        handmade.wheel(
            wheels,
            "engine",
            files={
                "engine/__init__.py": "",
                "engine/gear.py": "NAME = 'gear'\n",
                "engine/_fast.so": bytes(range(256)) * 1200,
                **{f"engine/table{number}.py": f"T = {list(range(500))}\n" for number in range(10)},
            },
            scripts={
                "engine-tune": "#!python\nimport engine.gear\nprint(engine.gear.NAME)\n",
                "engine.sh": "#!/bin/sh\n",
            },
            data={"etc/engine.conf": "oil = yes\n"},
            headers={"engine.h": "/* */\n"},
        ),
        handmade.wheel(
            wheels, "words", files={"words/__init__.py": "", "words/ünïcödé.txt": "ä", "words/l.py": "x = 1\n"}
        ),
        # Two that share a folder, as plugins do.
        handmade.wheel(wheels, "plugin-one", files={"plugins/one.py": "", "plugins/common.py": "who = 1\n"}),
        handmade.wheel(wheels, "plugin-two", files={"plugins/two.py": "", "plugins/common.py": "who = 2\n"}),
    ]
    return handmade.bundle(folder, made, bytecode=True, post_install=POST_INSTALL)


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where one try happens."""

    folder: Path
    bundle: handmade.Bundle
    name: str = "1.0"

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    @property
    def dst(self) -> Path:
        return self.releases / self.name

    @property
    def current(self) -> Path:
        return self.folder / "current"

    def set_up(self) -> None:
        """An older release, which is current and must stay so."""
        older = self.releases / "0.9"
        (older / "bin").mkdir(parents=True)
        (older / "bin" / "greet").write_text("#!/bin/sh\necho older\n")
        self.current.symlink_to("releases/0.9")

    def occupy(self) -> None:
        """Something of the user's own at DST, which --force replaces."""
        (self.dst / "precious").mkdir(parents=True)
        (self.dst / "precious" / "thing").write_text("x")

    def start(
        self,
        *options: str,
        shell: Sequence[str] = ("sh",),
        python: str = sys.executable,
        dst: str = "",
        **process: Any,
    ) -> subprocess.Popen[bytes]:
        """An installation in a process group of its own. What it says goes to the file `said`."""
        words = [*shell, self.bundle.script, *(["-p", python] if python else []), *options, "--", dst or self.dst]
        with (self.folder / "said").open("wb") as said:
            streams = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said}
            return subprocess.Popen(words, start_new_session=True, **{**streams, **process})

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def install(self, *options: str, **how: Any) -> None:
        """An installation that has to succeed."""
        assert self.start(*options, **how).wait(120) == 0, self.said
        self.check_installed()

    def state(self) -> str:
        """What DST is: absent, empty, unfinished, complete, or theirs."""
        if not os.path.lexists(self.dst):
            return "absent"
        names = {path.name for path in self.dst.iterdir()}
        if names <= {f"{MARKER}.new"}:
            return "empty"
        if MARKER not in names:
            return "theirs" if names == {"precious"} else f"half of something: {sorted(names)}"
        return str(json.loads((self.dst / MARKER).read_text())["state"])

    def check_bystanders(self) -> None:
        """What stands beside DST is as it was."""
        assert self.current.readlink() == Path("releases/0.9")
        assert contents(self.releases / "0.9") == ["bin", "bin/greet"]

    def check_installed(self) -> None:
        """DST is a complete installation that works, and nothing else is left."""
        self.check_bystanders()
        assert self.state() == "complete"
        assert run_bare(self.dst / "bin" / "greet") == "hello, gear\n"
        assert run_bare(self.dst / "bin" / "engine-tune") == "gear\n"
        assert (self.dst / "last-word").read_text() == f"{self.dst}\n"
        assert modes_and_names(self.dst) == expected_tree(self.bundle)
        self.check_no_litter("0.9", Path(self.name).parts[0])

    def check_untouched(self, state: str = "absent") -> None:
        """DST is as it was before."""
        self.check_bystanders()
        assert self.state() == state
        self.check_no_litter("0.9", *(["1.0"] if state != "absent" else []))

    def check_no_litter(self, *names: str) -> None:
        assert sorted(path.name for path in self.releases.iterdir()) == sorted(names)


def run_bare(*words: str | Path) -> str:
    """What a program prints that finds nothing in its environment."""
    done = subprocess.run(words, env={}, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def modes_and_names(folder: Path) -> list[str]:
    """One line for all that is below a folder."""
    return sorted(f"{stat.filemode(path.lstat().st_mode)} {path.relative_to(folder)}" for path in folder.rglob("*"))


_trees: dict[Path, list[str]] = {}


def expected_tree(bundle: handmade.Bundle) -> list[str]:
    """What `modes_and_names` gives for an installation of this bundle: taken from the first one in this process."""
    if bundle.path not in _trees:
        dst = bundle.path.parent / "reference"
        assert handmade.run(bundle, dst).returncode == 0
        _trees[bundle.path] = modes_and_names(dst)
    return _trees[bundle.path]


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def end_group(process: subprocess.Popen[bytes], number: int, *, alone: bool = False) -> None:
    """Send a signal to a whole process group, or to its leader alone, and wait for that."""
    with contextlib.suppress(ProcessLookupError):
        (os.kill if alone else os.killpg)(process.pid, number)
    process.wait(60)


def told_of_signal(status: int, number: int, said: str) -> bool:
    """Whether the exit status of a program that said this tells that the signal ended it.

    An interpreter that SIGINT interrupts while it starts ends with status 1 and an error of its own.
    """
    starting = said.startswith(("Fatal Python error: init_", "Could not import runpy module"))
    return status == -number or (status == 1 and number == signal.SIGINT and starting)
