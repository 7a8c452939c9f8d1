"""The help texts of all front ends, as the tests compare them with tests/golden.

`python tools/help_texts.py` writes tests/golden anew, for `git diff` to show.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "tests" / "golden"
PLATTER = ("-m", "platter_setuptools")
COMMANDS = {
    "platter": (*PLATTER, "--help"),
    "platter-audit": (*PLATTER, "audit", "--help"),
    "platter-build": (*PLATTER, "build", "--help"),
    "platter-config": (*PLATTER, "config", "--help"),
    "platter-completion": (*PLATTER, "completion", "--help"),
    "platter-man": (*PLATTER, "man", "--help"),
    "platter-diff": (*PLATTER, "diff", "--help"),
    "platter-cache": (*PLATTER, "cache", "--help"),
    "platter-cache-dir": (*PLATTER, "cache", "dir", "--help"),
    "platter-cache-info": (*PLATTER, "cache", "info", "--help"),
    "platter-cache-prune": (*PLATTER, "cache", "prune", "--help"),
    "platter-describe": (*PLATTER, "describe", "--help"),
    "platter-inspect": (*PLATTER, "inspect", "--help"),
    "platter-lock": (*PLATTER, "lock", "--help"),
    "platter-latest": (*PLATTER, "latest", "--help"),
    "platter-thin": (*PLATTER, "thin", "--help"),
    "platter-unit": (*PLATTER, "unit", "--help"),
    "platter-verify": (*PLATTER, "verify", "--help"),
    "platter-clean-cache": (*PLATTER, "clean-cache", "--help"),
    "bdist_platter": ("setup.py", "bdist_platter", "--help"),
    "bdist-formats": ("setup.py", "bdist", "--help-formats"),
}


def said(name: str) -> str:
    """Return the help text of a front end in 80 columns, without what setuptools adds."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "setup.py").write_text("from setuptools import setup\n\nsetup()\n", "utf-8")
        environ = {"PATH": os.environ["PATH"], "COLUMNS": "80", "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, *COMMANDS[name]]
        text = subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True, text=True).stdout
    if name == "bdist-formats":
        return "".join(line for line in text.splitlines(keepends=True) if "platter" in line)
    return (
        text.partition("\nusage: setup.py")[0][max(text.find("Options for 'bdist_platter'"), 0) :].rstrip("\n") + "\n"
    )


def words(text: str) -> list[str]:
    """What all versions of Python say alike: before 3.13 argparse said `-p PYTHON, --python PYTHON`."""
    return re.sub(r"(-\w) ([A-Z]+), (--[\w-]+) \2", r"\1, \3 \2", text).split()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in COMMANDS:
        (FOLDER / f"{name}.txt").write_text(said(name), "utf-8")
