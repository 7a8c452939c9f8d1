"""The next release: what it costs on a server that has the one before, and what has to be sent there."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.builds import Builds, only_file, unpack
from benchmarks.measure import BenchError, Figures, Pair, Side

if TYPE_CHECKING:
    from benchmarks.applications import Application
    from benchmarks.workbench import Workbench

# What the upgrade starts from: the other row's peer has what the index has now.
_OLDER = {"django": "django==5.2.6", "boto3": "boto3==1.40.30"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A bundle of one version: the file, and the folder that it unpacks to."""

    version: str
    artifact: Path
    bundle: Path


class Releases:
    """Two releases of one application, the second with one line changed, and the servers that they are installed on."""

    def __init__(self, bench: Workbench) -> None:
        self._bench, self._yard = bench, bench.yard
        self._builds = bench.builds
        self.first, self.second = self._build("1.0"), self._build("1.1")

    def _build(self, version: str, application: Application | None = None) -> Release:
        application = application or self._bench.large
        builds = Builds(yard=self._yard, peers=self._bench.peers, application=replace(application, version=version))
        side = builds.ours()
        side.prepare()
        side.run()
        folder = self._yard.fresh(f"release-{version}")
        made = only_file(self._yard.work / f"ours-{application.name}" / "project" / "dist", ".tar.gz")
        artifact = folder / made.name
        shutil.move(made, artifact)
        return Release(version=version, artifact=artifact, bundle=unpack(artifact, folder / "unpacked"))

    def older(self) -> Release:
        """A release from before Django and boto3 were upgraded."""
        large = self._bench.large
        dependencies = tuple(_OLDER.get(one, one) for one in large.dependencies)
        return self._build("0.9", replace(large, dependencies=dependencies))

    def next_release(self) -> Pair:
        """The second release beside the first / the first in an empty root."""
        return Pair(ours=self._second(), peer=self._first())

    def next_release_tar(self) -> Pair:
        """The second release beside the first / `tar -xf` of the tree that it makes."""
        tree = self._yard.gone("release-tree")
        self._install(self.second, tree, "--link-mode=copy")
        archive = self._yard.work / "release.tar"
        self._yard.run("tar", "-cf", archive, "-C", tree / "versions" / self.second.version, ".")
        shutil.rmtree(tree)
        folder = self._yard.work / "release-untarred"

        def prepare() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

        untar = Side(label="tar -xf", run=lambda: self._yard.run("tar", "-xf", archive, "-C", folder), prepare=prepare)
        return Pair(ours=self._second(), peer=untar)

    def disk(self) -> Pair:
        """What ROOT/versions takes with both releases / with the first."""
        root = self._yard.gone("disk-root")
        self._install(self.first, root)
        before = _used(root / "versions")
        self._install(self.second, root)
        after = _used(root / "versions")
        return Pair(
            ours=Side(label="versions/ with two releases", run=lambda: Figures(size=after)),
            peer=Side(label="versions/ with one", run=lambda: Figures(size=before)),
        )

    def thin_line(self) -> Pair:
        """The thin bundle of the second release against the first / its bundle, in bytes."""
        return self._thin_size(self.first, "thin bundle, one line changed")

    def thin_upgrade(self) -> Pair:
        """The thin bundle of the second release against one with an older Django and boto3 / its bundle."""
        return self._thin_size(self.older(), "thin bundle, Django and boto3 upgraded")

    def thin_time(self) -> Pair:
        """`platter thin` / a warm build with a lock."""
        peer = self._builds.ours(f"--lock={self._bench.lock}", label="python setup.py bdist_platter --lock")
        self._builds.warm_up(peer)
        return Pair(ours=self._thin(self.first, "platter thin"), peer=peer)

    def _thin_size(self, base: Release, label: str) -> Pair:
        thin = self._thin(base, label)
        thin.prepare()
        thin.run()
        made = only_file(self._yard.work / "thin", ".tar.gz").stat().st_size
        whole = self.second.artifact.stat().st_size
        return Pair(
            ours=Side(label=label, run=lambda: Figures(size=made)),
            peer=Side(label="the bundle", run=lambda: Figures(size=whole)),
        )

    def _thin(self, base: Release, label: str) -> Side:
        output = self._yard.work / "thin"
        program = self._bench.peers.ours / "platter"
        command: list[str | Path] = [program, "thin", self.second.artifact, "--base", base.artifact, "--output", output]
        return Side(
            label=label,
            run=lambda: self._yard.run(*command),
            prepare=lambda: shutil.rmtree(output, ignore_errors=True),
        )

    def _second(self) -> Side:
        root = self._yard.work / "next-root"

        def prepare() -> None:
            shutil.rmtree(root, ignore_errors=True)
            self._install(self.first, root)

        return Side(
            label="install.sh --root, the next release",
            run=lambda: self._install(self.second, root),
            prepare=prepare,
            check=lambda: self._check(root),
        )

    def _first(self) -> Side:
        root = self._yard.work / "first-root"
        return Side(
            label="install.sh --root, the first release",
            run=lambda: self._install(self.second, root),
            prepare=lambda: shutil.rmtree(root, ignore_errors=True),
            check=lambda: self._check(root),
        )

    def _install(self, release: Release, root: Path, *options: str) -> Figures:
        words: list[str | Path] = ["--quiet", "--python", self._yard.python, *options, "--root", root]
        return self._yard.run(release.bundle / "install.sh", *words, environ=self._bare())

    def _check(self, root: Path) -> None:
        """The application starts, and nothing in the root was changed since it was installed."""
        application = self._bench.large
        said = self._yard.output(root / "versions/current/bin" / application.name, environ=self._bare())
        if said != application.answer:
            raise BenchError(f"{application.name} said {said!r}")
        self._yard.output(root / "platter", "doctor", environ=self._bare())

    def _bare(self) -> dict[str, str]:
        environ = self._yard.environ()
        return {name: environ[name] for name in ("PATH", "TMPDIR")}


def _used(folder: Path) -> int:
    """Return what a folder takes on the disk, in bytes: a file with several names counts once."""
    sizes = {}
    for base, folders, names in os.walk(folder):
        for name in (".", *folders, *names):
            found = Path(base, name).lstat()
            sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())
