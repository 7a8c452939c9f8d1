"""One project, one bundle: whatever the caches hold, whoever asks, the result is that of empty caches.

The index is one in which the order of requirements decides: the newest `ark` and the newest `bow` exclude each other.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import handmade, projects
from support.front_ends import WITH_PIP, wheels

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.front_ends import Yard
    from support.index import Index

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
ON_LATER_PATCHES = f"later; python_full_version >= '{PYTHON}.900'"  # no resolver takes it for the Python at hand
FIRST = {"ark": "2.0", "bow": "1.0", "core": "1.0"}  # of what is asked for first, the newest
SECOND = {"ark": "1.0", "bow": "2.0", "core": "2.0"}


@pytest.fixture
def picky(tmp_path: Path, open_index: Callable[..., Index]) -> Index:
    folder = tmp_path / "picky"
    for name, core in (("ark", "<2"), ("bow", ">=2")):
        handmade.wheel(folder, name, "1.0", requires=("core",))
        handmade.wheel(folder, name, "2.0", requires=(f"core{core}",))
    for version in ("1.0", "2.0"):
        handmade.wheel(folder, "core", version)
    handmade.wheel(folder, "later", "1.0")
    return open_index(folder)


def write(folder: Path, *requires: str, **about: str) -> Path:
    return projects.declared(folder, *requires, **{"name": "app", **about})


def chosen(bundle: Path) -> dict[str, str]:
    return {name: version for name, version in wheels(bundle).items() if name in FIRST}


@dataclass(kw_only=True)
class Door:
    """One way to a bundle; each has an output folder of its own."""

    yard: Yard
    folder: Path
    index: Index
    name: str
    state: str = "warm"
    turn: int = 0

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PIP_INDEX_URL": self.index.url,
            "UV_CACHE_DIR": str(self.folder / self.state / "uv"),
            "PLATTER_BUILD_WHEEL_CACHE": str(self.folder / self.state / "wheels"),
        }

    def write(self, folder: Path, *requires: str, **about: str) -> Path:
        backend = "platter_setuptools.build_meta" if self.name == "build" else "setuptools.build_meta"
        return write(folder, *requires, backend=backend, **about)

    def build(self, project: Path, **options: str) -> Path:
        self.turn += 1
        options["output"] = str(self.folder / f"out{self.turn}")
        if self.name == "build":
            settings = ["-Cplatter=true", *(f"-Cplatter.{name}={value}" for name, value in options.items())]
            self.yard.run(
                *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", options["output"], *settings),
                cwd=project,
                **self.environ,  # type: ignore[arg-type]
            )
        else:
            words = [word for name, value in options.items() for word in (f"--{name}", value) if word]
            self.yard.platter("build", "-q", *words, cwd=project, code=0, **self.environ)
        (bundle,) = Path(options["output"]).glob("*.tar.gz")
        return bundle


@pytest.mark.parametrize("name", ["platter", "build"])
def test_any_state_of_the_caches(yard: Yard, tmp_path: Path, picky: Index, name: str) -> None:
    front_end = Door(yard=yard, folder=tmp_path, index=picky, name=name)
    project, other = tmp_path / "project", front_end.write(tmp_path / "other", "bow", "ark", name="other")
    requires = ("ark", "bow", *([ON_LATER_PATCHES] if name == "platter" else []))

    def same(**options: str) -> None:
        bundle = front_end.build(front_end.write(project, *requires), **options)
        assert chosen(bundle) == FIRST
        assert bundle.read_bytes() == cold

    front_end.state = "cold"
    first = front_end.build(front_end.write(project, *requires))
    cold = first.read_bytes()
    assert ("later" in wheels(first)) == (len(requires) > 2)
    front_end.state = "warm"
    assert chosen(front_end.build(other)) == SECOND
    same()
    if name != "platter":  # the flow behind the front ends is one: what else may have happened is tried with the first
        return
    assert chosen(front_end.build(front_end.write(project, "bow", "ark", version="1.1"))) == SECOND  # another commit
    same()
    lock = tmp_path / "pylock.toml"
    yard.platter("lock", "-o", lock, cwd=write(tmp_path / "locked", *requires), code=0, **front_end.environ)
    same(lock=str(lock))
    picky.stop()
    same(**{"no-download": "yes" if name == "build" else ""})


def test_without_a_network_there_is_the_same_or_nothing(yard: Yard, tmp_path: Path, picky: Index) -> None:
    environ = {
        "PIP_INDEX_URL": picky.url,
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "PLATTER_BUILD_WHEEL_CACHE": str(tmp_path / "wheels"),
    }
    project = write(tmp_path / "project", "ark", "bow")
    yard.build(project, **environ)
    write(project, "core")
    said = yard.refuse(4, project, "--no-download", **environ)
    assert "the wheel cache has no answer of a resolver to app, core" in said
    yard.build(project, **environ)
    write(project, "bow", "ark")
    yard.refuse(4, project, "--no-download", **environ)
    write(project, "ark", "bow", version="1.1")  # a new version that asks for the same
    assert chosen(yard.build(project, "--no-download", **environ)) == FIRST


def test_what_an_index_has_since_is_seen(yard: Yard, tmp_path: Path, picky: Index) -> None:
    environ = {
        "PIP_INDEX_URL": picky.url,
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "PLATTER_BUILD_WHEEL_CACHE": str(tmp_path / "wheels"),
    }
    project = write(tmp_path / "project", "core")
    assert chosen(yard.build(project, **environ)) == {"core": "2.0"}
    handmade.wheel(tmp_path / "picky", "core", "2.1")
    assert chosen(yard.build(project, **environ)) == {"core": "2.1"}
    handmade.wheel(tmp_path / "picky", "pip", "99.0", files={"pip/__init__.py": ""})
    lock = tmp_path / "pylock.toml"
    yard.platter("lock", "-o", lock, cwd=project, code=0, **environ)
    for words in ((), ("--lock", lock)):  # a lock does not say which pip: it is that of an empty cache, too
        assert wheels(yard.build(project, *words, **environ, **WITH_PIP))["pip"] == "99.0"
