"""What the manual lists is what there is: keys, files, exit codes, variables, and Platter's options."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.config.options import OPTIONS
from platter_setuptools.errors import PlatterError
from platter_setuptools.payload import errors, untrusted
from platter_setuptools.payload.install import install_state
from platter_setuptools.payload.interpreter import Interpreter
from platter_setuptools.payload.manifest import BundledWheel, Override
from platter_setuptools.thinning import make_thin
from support import projects
from support.front_ends import info, unpack
from support.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.front_ends import Yard

SEEN = """
    #!/bin/sh -e
    env | sed 's/=.*//' | sort >"$DATA_DIR/variables"
    cat >>"$INSTALL_SCRIPT" <<'EOF'
    env | sed 's/=.*//' | sort >"$VIRTUAL_ENV/variables"
    EOF
"""
# Platter 1.0 had these, and gave these to its scripts: from `platter build --help` and its sources.
PLATTERS_OPTIONS = (
    *("output", "python", "virtualenv-version", "wheel-version", "pip-option", "format", "prebuild-script"),
    *("postbuild-script", "wheel-cache", "no-wheel-cache", "no-download", "requirements"),
)
PLATTERS_VARIABLES = {"HERE", "DATA_DIR", "SOURCE_DIR", "SCRATCHPAD", "VIRTUAL_ENV", "INSTALL_SCRIPT"}


def listed(page: str, comment: str = "", heading: str = "") -> list[str]:
    """What stands in backticks in the first column of the table that follows the comment or the heading."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    start = f"<!-- {comment} -->\n" if comment else f"\n## {heading}\n"
    assert text.count(start) == 1
    table = re.search(r"(?:^\|.*\n)+", text.partition(start)[2], re.MULTILINE)
    assert table
    return [name for row in table[0].splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def numbers(page: str, heading: str) -> set[int]:
    text = (ROOT / "docs" / page).read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(map(int, re.findall(r"^\| (\d+) \|", text, re.MULTILINE)))


def same(keys: Iterable[str], table: list[str]) -> bool:
    return sorted(keys) == sorted(table)


@pytest.fixture
def bundle(yard: Yard) -> Path:
    project = projects.hello(yard.folder / "project", {"post.sh": SEEN})
    requirements = projects.write(yard.folder, {"more.txt": "sprout\n"}) / "more.txt"
    return unpack(yard.build(project, "--postbuild-script", "post.sh", "-r", requirements), yard.folder / "server")


def test_bundle_and_release(bundle: Path, yard: Yard) -> None:
    found = info(bundle)
    assert same({"pythons", "shared", *found}, listed("format.md", "keys of info.json"))
    of_several = {"requires_python", "wheels", "bytecode"}
    assert same(of_several | set(found["targets"][0]), listed("format.md", "keys of a target"))
    assert same(Override._fields, listed("format.md", "keys of an override"))
    assert same(Interpreter._fields, listed("format.md", "keys of an interpreter"))
    sometimes = {"libc", "libraries"}
    assert sometimes < set(BundledWheel._fields)
    assert all(same(sometimes | set(wheel), listed("format.md", "keys of a wheel")) for wheel in found["wheels"])
    made = make_thin(bundle, [bundle], frozenset(), output=yard.folder / "thin", kind="dir", mtime=315532800)
    assert same(json.loads((made.path / "thin.json").read_text()), listed("format.md", "keys of thin.json"))
    assert unknown_files(bundle) == ["data/variables"]
    script = set((bundle / "data" / "variables").read_text().split())
    assert script >= set(listed("building.md", heading="Build scripts")) == PLATTERS_VARIABLES

    root = yard.folder / "root"
    words = ("-p", sys.executable, "--quiet", "--root", root)
    yard.run(bundle / "install.sh", *words, cwd=yard.folder)
    release = root / "versions" / "1.0"
    assert same(
        json.loads((release / install_state.FILE).read_text()), listed("install.md", f"keys of {install_state.FILE}")
    )
    variables = set((release / "variables").read_text().split())
    around_a_switch = {"PLATTER_PREVIOUS", "PLATTER_RUN_ONCE"}
    assert variables >= set(listed("install.md", "variables of scripts and commands")) - around_a_switch
    assert not variables & around_a_switch
    rows: list[dict[str, Any]] = json.loads(yard.run(root / "platter", "list", "--json", cwd=root).stdout)
    assert same(rows[0], listed("install.md", "keys of list --json"))
    lines = (root / "platter-journal.jsonl").read_text().splitlines()
    assert all(same(json.loads(line), listed("install.md", "keys of the journal")) for line in lines)
    # During changes; with commands; with an interpreter; with shared paths.
    sometimes_there = {"ROOT/.platter-lock", "ROOT/.platter-journal-ahead.json"}
    sometimes_there |= {"ROOT/.platter-commands.json", "ROOT/pythons", "ROOT/shared"}
    there = {f"ROOT/{path.relative_to(root)}" for path in (*root.iterdir(), *(root / "versions").iterdir())}
    named = {name.replace("VERSION", "1.0") for name in listed("install.md", heading="Releases")}
    assert there - {"ROOT/versions"} == named - sometimes_there


def unknown_files(bundle: Path) -> list[str]:
    """The files of a bundle that the page does not know; and it knows none that is not there."""
    patterns = listed("format.md", heading="What is in it")
    files = [path.relative_to(bundle).as_posix() for path in sorted(bundle.rglob("*")) if path.is_file()]
    known = {pattern: [file for file in files if _matches(file, pattern)] for pattern in patterns}
    assert [pattern for pattern, found in known.items() if not found] == [
        "SHA256SUMS.sig",
        "pre-activate.sh",
        "post-activate.sh",
        "data/python/*.tar.gz",
    ]
    return [file for file in files if not any(file in found for found in known.values())]


def _matches(file: str, pattern: str) -> bool:
    if pattern.endswith("/"):
        return file.startswith(pattern)
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*"), file) is not None


def test_exit_codes() -> None:
    assert numbers("install.md", "Exit codes") == {0, *errors.BY_EXIT_CODE}
    assert numbers("commands.md", "Exit codes") == {0, 1, *(one.exit_code for one in PlatterError.__subclasses__())}


def test_migrating_leaves_nothing_out() -> None:
    table = listed("migrating.md", "Platter's options")
    assert {f"--{name}" for name in PLATTERS_OPTIONS} | {"platter clean-cache"} <= set(table)
    assert {one.name for one in OPTIONS} >= set(PLATTERS_OPTIONS)
    assert set(listed("migrating.md", "Platter's script variables")) == PLATTERS_VARIABLES


UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}


def test_limits() -> None:
    """Each limit of the code is in the table, with its value, and the table has no other."""
    text = (ROOT / "docs" / "format.md").read_text("utf-8").partition("\n## Limits\n")[2]
    said: dict[str, set[int]] = {}
    for line in re.findall(r"^\|.*`payload|^\| .*\|$", text, re.MULTILINE)[1:]:
        what, limit, names = line.strip("| ").rsplit(" | ", 2)
        found = re.findall(r"(\d+)\^(\d+)|(\d[\d,]*) ?(KiB|MiB)?", f"{limit} {what}")
        values = {
            int(base) ** int(power) if power else int(number.replace(",", "")) * UNITS.get(unit, 1)
            for base, power, number, unit in found
        }
        for name in re.findall(r"`([A-Z_]+)`", names):
            said[name] = values
    limits = {name: value for name, value in vars(untrusted).items() if name.isupper() and isinstance(value, int)}
    assert said.keys() == limits.keys()
    for name, value in limits.items():
        assert value in said[name], name
