"""How each side builds: what is run, in which caches, and which wheels come out."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.agreement import Set, agree, needed_elsewhere, wheels_in
from benchmarks.measure import BenchError, Figures, Pair, Side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.applications import Application
    from benchmarks.peers import Peers
    from benchmarks.yard import Yard


@dataclass(frozen=True, kw_only=True)
class Builds:
    """Builds of one application. A `cold` build begins with empty caches, another one with what the last left."""

    yard: Yard
    peers: Peers
    application: Application
    cold: bool = False
    index: str | None = None  # else pip's own
    made: dict[str, Set] = field(default_factory=dict)

    def ours(self, *options: str, label: str = "") -> Side:
        """`python setup.py bdist_platter`."""
        place = f"ours-{self.application.name}"
        project = self.yard.work / place / "project"
        dist = project / "dist"
        settings = {
            "PLATTER_BUILD_WHEEL_CACHE": self._cache(place, "store"),
            "UV_CACHE_DIR": self._cache(place, "uv"),
        }
        if self.application.from_source:
            options = (*options, f"--pip-option=--no-binary={','.join(self.application.from_source)}")

        def run() -> Figures:
            binaries = self.peers.ours
            return self.yard.run(
                binaries / "python", "setup.py", "bdist_platter", *options, cwd=project, environ=self._environ(settings)
            )

        def check() -> None:
            self.made["ours"] = wheels_in(unpack(only_file(dist, ".tar.gz"), self.yard.fresh("to-compare")) / "data")

        words = ("python setup.py bdist_platter", *(option for option in options if option.startswith("--no-bytecode")))
        return Side(
            label=label or " ".join(words),
            run=run,
            prepare=lambda: self._prepare(project, settings),
            check=check,
        )

    def pip_wheel(self) -> Side:
        """`pip wheel .`."""
        place = f"pip-{self.application.name}"
        project, output = self.yard.work / place / "project", self.yard.work / place / "wheels"
        settings = {"PIP_CACHE_DIR": self._cache(place, "pip")}
        options = [f"--no-binary={','.join(self.application.from_source)}"] if self.application.from_source else []

        def prepare() -> None:
            self._prepare(project, settings)
            shutil.rmtree(output, ignore_errors=True)

        def run() -> Figures:
            pip = self.peers.bin("pip") / "pip"
            command: list[str | Path] = [pip, "wheel", "--quiet", "--wheel-dir", output, *options, "."]
            return self.yard.run(*command, cwd=project, environ=self._environ(settings))

        def check() -> None:
            self.made["pip"] = wheels_in(output)

        return Side(label="pip wheel .", run=run, prepare=prepare, check=check)

    def platter(self) -> Side:
        """Platter 1.0 itself, with the wheel cache that it always has."""
        program, python = self.peers.platter
        place = f"platter-{self.application.name}"
        project = self.yard.work / place / "project"
        # The pip of its time fails over a constraint of something that it does not meet.
        settings: dict[str, str | Path] = {"PIP_CACHE_DIR": self._cache(place, "pip"), "PIP_CONSTRAINT": os.devnull}

        def run() -> Figures:
            options: list[str | Path] = [
                "-p",
                python,
                *self.peers.platter_options,
                "--wheel-cache",
                self._cache(place, "wheels"),
            ]
            return self.yard.run(program, "build", *options, ".", cwd=project, environ=self._environ(settings))

        def check() -> None:
            artifact = only_file(project / "dist", ".tar.gz")
            # The wheels that its virtualenv is made with are in several versions.
            self.made["platter"] = wheels_in(unpack(artifact, self.yard.fresh("of-platter")) / "data")

        return Side(label="Platter 1.0", run=run, prepare=lambda: self._prepare(project, settings), check=check)

    def platter_algorithm(self) -> Side:
        """What Platter 1.1 does, with today's tools: a build virtualenv, pip wheel with a wheel cache, tar.gz."""
        place = f"algorithm-{self.application.name}"
        base = self.yard.work / place
        project, wheels = base / "project", base / "wheels"
        # Platter puts wheel and what that requires in with the rest; here they lie apart, since they are not compared.
        venv, data, extra, scratch = base / "venv", base / "data", base / "extra", base / "scratch"
        environ = self._environ({"PIP_CACHE_DIR": self._cache(place, "pip")})
        tools = self.peers.bin("pip")

        def prepare() -> None:
            self._prepare(project, {})
            wheels.mkdir(exist_ok=True)
            for folder in (venv, data, extra, scratch):
                shutil.rmtree(folder, ignore_errors=True)
            data.mkdir()

        def run() -> Figures:
            links = ("--quiet", "--find-links", wheels)
            commands: list[tuple[str | Path, ...]] = [
                (tools / "pip", "download", *links, "--dest", scratch, "virtualenv"),
                (tools / "virtualenv", "--quiet", "--python", self.yard.python, venv),
                (venv / "bin" / "pip", "install", *links, "wheel", "setuptools"),
                (venv / "bin" / "python", "setup.py", "--version"),
                (venv / "bin" / "python", "setup.py", "--name", "--version", "--fullname"),
                (venv / "bin" / "pip", "download", *links, "--dest", extra, "wheel"),
                (venv / "bin" / "pip", "wheel", *links, "--wheel-dir", data, "."),
                ("cp", "-a", "-u", f"{data}/.", f"{extra}/.", wheels),
                (venv / "bin" / "python", "-m", "tarfile", "--create", base / "bundle.tar.gz", data, extra),
            ]
            total = Figures()
            for command in commands:
                total += self.yard.run(*command, cwd=project, environ=environ)
            return total

        def check() -> None:
            self.made["algorithm"] = wheels_in(data)

        return Side(label="Platter 1.1's algorithm", run=run, prepare=prepare, check=check)

    def pex(self, *options: str) -> Side:
        """One executable file, by pex."""
        return self._zipapp(
            "pex",
            (*options, "--use-pip-config", "--script", self.application.name, "."),
            label=" ".join(["pex", *options]),
        )

    def shiv(self) -> Side:
        """One executable file, by shiv."""
        return self._zipapp("shiv", ("--quiet", "--console-script", self.application.name, "."))

    def _zipapp(self, name: str, options: Sequence[str], *, label: str = "") -> Side:
        place = f"{name}-{self.application.name}"
        project = self.yard.work / place / "project"
        settings = {"PIP_CACHE_DIR": self._cache(place, "pip"), "PEX_ROOT": self._cache(place, "pex")}

        def run() -> Figures:
            program = self.peers.bin(name) / name
            # pip is found by shiv through the interpreter that runs it, by pex inside of itself.
            command: list[str | Path] = [program, *options[:-1], "--output-file", project / "out", options[-1]]
            return self.yard.run(*command, cwd=project, environ=self._environ(settings))

        def check() -> None:
            found = only_file(project, "out")
            if not zipfile.is_zipfile(found):
                raise BenchError(f"{name} made no zipapp")

        return Side(label=label or name, run=run, prepare=lambda: self._prepare(project, settings), check=check)

    def warm_up(self, *sides: Side) -> None:
        """One run of each that does not count: it fills the caches."""
        for side in sides:
            side.prepare()
            side.run()

    def pair(self, ours: Side, peer: Side, *, same: bool = True) -> Pair:
        """Both, warmed up unless they are cold; in the end they must have made the same set of wheels."""
        if not self.cold:
            self.warm_up(ours, peer)
        return Pair(ours=ours, peer=peer, check=self._agree if same else lambda: None)

    def _agree(self) -> None:
        data = next((self.yard.work / "to-compare").glob("*/data"))
        agree(self.made, needed_elsewhere(data))

    def _prepare(self, project: Path, settings: Mapping[str, str | Path]) -> None:
        """A new release of the project, in a clean tree; and empty caches, if they are to be."""
        self.application.write(project, self.yard.next_number())
        if self.cold:
            for folder in settings.values():
                shutil.rmtree(folder, ignore_errors=True)

    def _cache(self, place: str, name: str) -> Path:
        return self.yard.work / "caches" / place / ("cold" if self.cold else "warm") / name

    def _environ(self, settings: Mapping[str, str | Path]) -> dict[str, str]:
        environ = self.yard.environ(**settings)
        if self.index:
            # Nothing but this index: what pip is configured for here has no part in it.
            for name in [name for name in environ if name.startswith("PIP_") and name not in settings]:
                del environ[name]
            environ |= {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": self.index}
        return environ


def only_file(folder: Path, suffix: str) -> Path:
    """The one file in a folder whose name ends like this. Raises BenchError."""
    found = [path for path in folder.iterdir() if path.name.endswith(suffix)]
    if len(found) != 1:
        raise BenchError(f"expected one {suffix} in {folder}, found {len(found)}")
    return found[0]


def unpack(artifact: Path, folder: Path) -> Path:
    """Unpack a bundle into a folder; gives the bundle."""
    with tarfile.open(artifact) as archive:
        archive.extractall(folder, filter="data")
    (bundle,) = folder.iterdir()
    return bundle
