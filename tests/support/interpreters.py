"""The Pythons of this machine that can be targets, and what poses as one."""

from __future__ import annotations

import functools
import json
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools._in_process import interpreter
from platter_setuptools.payload import describe, host

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.payload.host import Host

MINORS = range(8, 15)


@functools.cache
def find(minor: int) -> str | None:
    """The path of CPython 3.minor, if it is here; not of the script that a version manager has in PATH for it."""
    if minor == sys.version_info[1]:
        return sys.executable
    found = shutil.which(f"python3.{minor}")
    words = [found or "false", "-c", "import json, sys, zipfile; print(sys.executable)"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def each() -> pytest.MarkDecorator:
    """Parametrizes `python` with every interpreter from 3.8 on; those that are not here are skipped."""
    cases = []
    for minor in MINORS:
        found = find(minor)
        marks = () if found else pytest.mark.skip(reason=f"needs Python 3.{minor}")
        cases.append(pytest.param(found, id=f"3.{minor}", marks=marks))
    return pytest.mark.parametrize("python", cases)


def pretender(path: Path, facts: Host) -> Path:
    """A program that answers as an interpreter with these facts would when it is asked for them."""
    path.write_text(f"#!/bin/sh\ncat >/dev/null\ncat <<'END'\n{json.dumps(facts._asdict())}\nEND\n")
    path.chmod(0o755)
    return path


def description(minor: int, *, abi: str = "", **changes: Any) -> dict[str, Any]:
    """What the running interpreter would say of itself if it were CPython 3.minor with this ABI."""
    facts, version, abi = interpreter.describe(), f"3.{minor}", abi or f"cp3{minor}"
    full = {"python_full_version": f"{version}.0", "implementation_version": f"{version}.0"}
    markers = {**facts["markers"], **full, "python_version": version}
    here = host.examine()._replace(python=(3, minor, 0), abi=abi, debug="d" in abi, free_threaded="t" in abi)
    told = describe.description(here, facts["platform"], markers, facts["cache_tag"], facts["magic"])
    return {**facts, **told, **changes}


def target(path: Path, minor: int) -> Path:
    """The running interpreter, which tells builds that it is CPython 3.minor."""
    answer = f"cat <<'END'\n{json.dumps({**description(minor), 'executable': str(path)})}\nEND\n"
    question = f'case "$*" in "-I {interpreter.__file__}") {answer}exit ;; esac\n'
    path.write_text(f'#!/bin/sh\n{question}exec {shlex.quote(sys.executable)} "$@"\n')
    path.chmod(0o755)
    return path
