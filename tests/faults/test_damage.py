"""Bundles that were damaged on their way: whatever bit or byte it is, install.sh refuses, and names the file."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support import handmade

if TYPE_CHECKING:
    from pathlib import Path

    from faults.ledger import Trial, Trials
    from support.handmade import Bundle

BUNDLE_DAMAGED = 4
SUMS = "SHA256SUMS"


class Damaged:
    """A bundle with one file changed, which is mended afterwards."""

    def __init__(self, bundle: Bundle, name: str, content: bytes) -> None:
        self.path, self.content = bundle.path / name, content
        self.before = self.path.read_bytes()

    def __enter__(self) -> None:
        self.path.write_bytes(self.content)

    def __exit__(self, *_error: object) -> None:
        self.path.write_bytes(self.before)


@pytest.fixture
def own(bundle: Bundle, tmp_path: Path) -> Bundle:
    """A copy to damage."""
    copy = handmade.Bundle(path=tmp_path / "bundle", info=bundle.info)
    subprocess.run(["cp", "-R", bundle.path, copy.path], check=True)
    return copy


def files(bundle: Bundle) -> list[str]:
    return sorted(str(path.relative_to(bundle.path)) for path in bundle.path.rglob("*") if path.is_file())


def choose(trial: Trial, bundle: Bundle) -> str:
    """A file that is not empty; every second time one of those at the top, each of which is read in its own way."""
    names = [name for name in files(bundle) if (bundle.path / name).stat().st_size]
    return trial.random.choice(names if trial.number % 2 else [name for name in names if "/" not in name])


def refused(bundle: Bundle, name: str, dst: Path) -> None:
    """The bundle is refused, with the name of the damaged file, and nothing was touched."""
    done = handmade.run(bundle, dst, stdin=subprocess.DEVNULL, cwd=dst.parent, errors="replace")
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    if name != "install.sh":  # who cannot read it, or the text that it hands to Python, has words and codes of its own
        assert "Traceback" not in said
        assert done.returncode == BUNDLE_DAMAGED, said
        # A wrong checksum shows in the file that it is of.
        assert name in said or (name == SUMS and any(one in said for one in files(bundle))), said
    assert list(dst.parent.iterdir()) == []


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    (tmp_path / "releases").mkdir()
    return tmp_path / "releases" / "1.0"


@pytest.mark.parametrize("part", [1, 2, 3])
def test_flipped_bits(trials: Trials, own: Bundle, dst: Path, part: int) -> None:  # noqa: ARG001
    for trial in trials("bundle: one bit flipped", full=100, few=5):
        with trial:
            name = choose(trial, own)
            content = bytearray((own.path / name).read_bytes())
            content[trial.random.randrange(len(content))] ^= 1 << trial.random.randrange(8)
            with Damaged(own, name, bytes(content)):
                refused(own, name, dst)


@pytest.mark.parametrize("part", [1, 2])
def test_truncations(trials: Trials, own: Bundle, dst: Path, part: int) -> None:  # noqa: ARG001
    for trial in trials("bundle: one file cut off", full=100, few=5):
        with trial:
            name = choose(trial, own)
            content = (own.path / name).read_bytes()
            # A script of which no command is left says nothing, whatever it said before.
            least = len("#!/bin/sh\n{ ") if name == "install.sh" else 0
            with Damaged(own, name, content[: trial.random.randrange(least, len(content))]):
                refused(own, name, dst)


def test_flips_in_install_sh(trials: Trials, own: Bundle, dst: Path) -> None:
    """The one file that runs before anybody has looked at it: it fails, or what it starts refuses."""
    for trial in trials("bundle: one bit flipped in install.sh", full=150, few=5):
        with trial:
            content = bytearray(own.script.read_bytes())
            content[trial.random.randrange(len(content))] ^= 1 << trial.random.randrange(8)
            with Damaged(own, "install.sh", bytes(content)):
                refused(own, "install.sh", dst)


def test_install_sh_cut_off(trials: Trials, own: Bundle, dst: Path) -> None:
    whole = own.script.read_bytes()
    for trial in trials("bundle: install.sh cut off", full=100, few=5):
        with trial, Damaged(own, "install.sh", whole[: trial.random.randrange(len("#!/bin/sh\n{ "), len(whole))]):
            refused(own, "install.sh", dst)


def test_flips_in_the_version_that_install_sh_looks_for(trials: Trials, own: Bundle, dst: Path) -> None:
    """The one line of info.json that is read before the file is compared with its checksum."""
    whole = (own.path / "info.json").read_bytes()
    line = re.search(rb'^  "python": .*\n', whole, re.MULTILINE)
    assert line
    bits = [(place, bit) for place in range(*line.span()) for bit in range(8)]
    for trial in trials("bundle: one bit flipped in its version of Python", full=len(bits), few=5):
        with trial:
            place, bit = bits.pop(trial.random.randrange(len(bits)))
            content = bytearray(whole)
            content[place] ^= 1 << bit
            with Damaged(own, "info.json", bytes(content)):
                refused(own, "info.json", dst)
