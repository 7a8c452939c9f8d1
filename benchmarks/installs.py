"""How each side installs what was built, and how what it installed starts."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.agreement import Set, agree, needed_elsewhere
from benchmarks.builds import only_file, unpack
from benchmarks.measure import BenchError, Figures, Pair, Side

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.applications import Application
    from benchmarks.builds import Builds
    from benchmarks.peers import Peers
    from benchmarks.yard import Yard

_DISTRIBUTIONS = """\
import importlib.metadata, json, re
names = {re.sub("[-_.]+", "-", d.metadata["Name"]).lower(): d.version for d in importlib.metadata.distributions()}
print(json.dumps(names))
"""


@dataclass(frozen=True, kw_only=True)
class Installs:
    """Installations of one application out of one bundle, that `unpacked` gave."""

    yard: Yard
    peers: Peers
    application: Application
    bundle: Path
    installed: dict[str, Set] = field(default_factory=dict)

    @classmethod
    def unpacked(cls, builds: Builds, *options: str) -> Installs:
        """Build the bundle, as warm as it may be, and unpack it."""
        side = builds.ours(*options)
        side.prepare()
        side.run()
        artifact = only_file(builds.yard.work / f"ours-{builds.application.name}" / "project" / "dist", ".tar.gz")
        folder = builds.yard.fresh(f"unpacked-{builds.application.name}{'-plain' if options else ''}")
        bundle = unpack(artifact, folder)
        shutil.move(artifact, folder)
        return cls(yard=builds.yard, peers=builds.peers, application=builds.application, bundle=bundle)

    @property
    def artifact(self) -> Path:
        """The bundle as one file."""
        return only_file(self.bundle.parent, ".tar.gz")

    def ours(self, *options: str, label: str = "install.sh") -> Side:
        """`./install.sh DST`."""

        def run(folder: Path) -> Figures:
            command: list[str | Path] = [
                self.bundle / "install.sh",
                "--quiet",
                "--python",
                self.yard.python,
                *options,
                folder,
            ]
            return self.yard.run(*command, environ=self._bare())

        return self._side("ours", label, run)

    def with_tar(self) -> Side:
        """From the one file: `tar xzf` and `./install.sh DST`."""

        def run(folder: Path) -> Figures:
            place = self.yard.fresh("ours-from-tar")
            unpacking = self.yard.run("tar", "-xzf", self.artifact, "-C", place)
            script = place / self.bundle.name / "install.sh"
            command: list[str | Path] = [script, "--quiet", "--python", self.yard.python, folder]
            return unpacking + self.yard.run(*command, environ=self._bare())

        return self._side("ours", "tar xzf + install.sh", run)

    def run_file(self, builds: Builds) -> Side:
        """From the one file: `sh STEM.run DST`."""
        side = builds.ours("--format=run")
        side.prepare()
        side.run()
        built = only_file(self.yard.work / f"ours-{self.application.name}" / "project" / "dist", ".run")
        artifact = self.yard.fresh(f"run-{self.application.name}") / built.name
        shutil.move(built, artifact)

        def run(folder: Path) -> Figures:
            command: list[str | Path] = ["sh", artifact, "--quiet", "--python", self.yard.python, folder]
            return self.yard.run(*command, environ=self._bare())

        return self._side("ours", "sh STEM.run", run)

    def tar(self) -> Side:
        """`tar -xf` of the finished tree: no installer can do less."""
        archive = self.yard.work / f"finished-{self.application.name}.tar"
        tree = self.yard.gone("tree")
        self.yard.run(self.bundle / "install.sh", "--quiet", "--python", self.yard.python, tree, environ=self._bare())
        self.yard.run("tar", "-cf", archive, "-C", tree, ".")

        def run(folder: Path) -> Figures:
            folder.mkdir()
            return self.yard.run("tar", "-xf", archive, "-C", folder)

        # Its scripts name the folder that the tree was made in, so they are not run.
        return self._side("tar", "tar -xf", run, checked=False)

    def pip(self, *, with_check: bool = False) -> Side:
        """virtualenv, then pip install from the bundle's wheels; with `pip check` it is what Platter did."""
        tools = self.peers.bin("pip")

        def run(folder: Path) -> Figures:
            total = self.yard.run(tools / "virtualenv", "--quiet", "--python", self.yard.python, folder)
            pip = folder / "bin" / "pip"
            command: list[str | Path] = [
                pip,
                "install",
                "--quiet",
                "--no-index",
                "--find-links",
                self._wheels,
                self.application.name,
            ]
            total += self.yard.run(*command)
            return total + self.yard.run(pip, "check") if with_check else total

        label = "virtualenv + pip install" + (" + pip check" if with_check else "")
        return self._side("pip", label, run)

    def uv(self, *, bytecode: bool) -> Side:
        """A `uv venv`, then `uv pip install` from the bundle's wheels, without a cache."""
        options = ("--compile-bytecode",) if bytecode else ()

        def run(folder: Path) -> Figures:
            uv = self.peers.bin("uv") / "uv"
            total = self.yard.run(uv, "venv", "--quiet", "--no-project", "--python", self.yard.python, folder)
            install: list[str | Path] = [
                uv,
                "pip",
                "install",
                "--quiet",
                "--no-cache",
                "--no-index",
                "--find-links",
                self._wheels,
            ]
            return total + self.yard.run(*install, *options, "--python", folder, self.application.name)

        return self._side("uv", f"uv venv + uv pip install{' --compile-bytecode' if bytecode else ''}", run)

    def uv_with_tar(self) -> Side:
        """From the one file: `tar xzf` of the wheels, `uv venv`, `uv pip install --compile-bytecode`."""
        wheels = self.yard.work / f"wheels-{self.application.name}.tar.gz"
        self.yard.run("tar", "-czf", wheels, "-C", self._wheels, *(path.name for path in self._wheels.glob("*.whl")))

        def run(folder: Path) -> Figures:
            uv, place = self.peers.bin("uv") / "uv", self.yard.fresh("uv-from-tar")
            total = self.yard.run("tar", "-xzf", wheels, "-C", place)
            total += self.yard.run(uv, "venv", "--quiet", "--no-project", "--python", self.yard.python, folder)
            install: list[str | Path] = [uv, "pip", "install", "--quiet", "--no-cache", "--no-index"]
            more: list[str | Path] = [
                "--find-links",
                place,
                "--compile-bytecode",
                "--python",
                folder,
                self.application.name,
            ]
            return total + self.yard.run(*install, *more)

        return self._side("uv", "tar xzf + uv venv + uv pip install --compile-bytecode", run)

    def and_start(self, side: Side, who: str) -> Side:
        """A side's installation, then the application's first answer."""

        def run() -> Figures:
            program = self.yard.work / f"installed-{who}" / "bin" / self.application.name
            return side.run() + self.yard.run(program, environ=self._bare())

        return Side(label=f"{side.label}, first start", run=run, prepare=side.prepare, check=side.check)

    def pair(self, ours: Side, peer: Side) -> Pair:
        return Pair(ours=ours, peer=peer, check=self._agree)

    def start(self, folder: Path, *, label: str, prepare: Callable[[], None]) -> Side:
        """The application's start from an installation."""

        def run() -> Figures:
            return self.yard.run(folder / "bin" / self.application.name, environ=self._bare())

        return Side(label=label, run=run, prepare=prepare)

    def install_anew(self, folder: Path) -> None:
        """An installation that is not measured."""
        shutil.rmtree(folder, ignore_errors=True)
        self.yard.run(self.bundle / "install.sh", "--quiet", "--python", self.yard.python, folder, environ=self._bare())

    @property
    def _wheels(self) -> Path:
        return self.bundle / "data"

    def _side(self, who: str, label: str, install: Callable[[Path], Figures], *, checked: bool = True) -> Side:
        name = f"installed-{who}"

        def check() -> None:
            folder = self.yard.work / name
            self.installed[who] = self._examine(folder)

        return Side(
            label=label,
            run=lambda: install(self.yard.work / name),
            prepare=lambda: shutil.rmtree(self.yard.work / name, ignore_errors=True),
            check=check if checked else lambda: None,
        )

    def _examine(self, folder: Path) -> Set:
        """What is installed there, after it has been seen to start, and to satisfy `pip check`."""
        said = self.yard.output(folder / "bin" / self.application.name, environ=self._bare())
        if said != self.application.answer:
            raise BenchError(f"{self.application.name} said {said!r}")
        python = folder / "bin" / "python"
        self.yard.output(self.peers.bin("pip") / "pip", "--python", python, "check")
        found: Set = json.loads(self.yard.output(python, "-I", "-c", _DISTRIBUTIONS))
        return found

    def _agree(self) -> None:
        agree(self.installed, needed_elsewhere(self._wheels))

    def _bare(self) -> dict[str, str]:
        """What a server's shell has."""
        environ = self.yard.environ()
        return {name: environ[name] for name in ("PATH", "TMPDIR")}
