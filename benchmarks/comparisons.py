"""The comparisons, one after the other: what is compared with what, and the bars."""

from __future__ import annotations

import functools
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import applications, synthetic
from benchmarks.builds import Builds
from benchmarks.installs import Installs
from benchmarks.loopback import serving
from benchmarks.measure import BenchError, Figures, Pair, Side, timed_within
from benchmarks.peers import Peers
from benchmarks.yard import ROOT, Yard

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.applications import Application

_HUGE = 2 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One row of the table.

    `bar` is the least that is asked for and `aim` is where we want to be: a ratio of medians, ours to the peer's, or
    without a peer, bytes. What is compared is one of the Figures: `wall`, `peak` or `size`.
    """

    name: str
    title: str
    make: Callable[[Workbench], Pair]
    bar: float | None = None
    aim: float | None = None
    figure: str = "wall"
    runs: int = 7


class Workbench:
    """What the comparisons share: each thing is made when the first of them needs it."""

    def __init__(self, yard: Yard, stack: contextlib.ExitStack) -> None:
        self.yard, self.peers, self._stack = yard, Peers(yard), stack

    @property
    def large(self) -> Application:
        return applications.SMALL if self.yard.quick else applications.LARGE

    @property
    def compiled(self) -> Application:
        return applications.COMPILED_QUICK if self.yard.quick else applications.COMPILED

    @functools.cached_property
    def builds(self) -> Builds:
        return Builds(yard=self.yard, peers=self.peers, application=self.large)

    @functools.cached_property
    def cold_builds(self) -> Builds:
        return Builds(yard=self.yard, peers=self.peers, application=self.large, cold=True)

    @functools.cached_property
    def installs(self) -> Installs:
        return Installs.unpacked(self.builds)

    @functools.cached_property
    def lock(self) -> Path:
        """A pylock.toml of the large application, by pip's own `pip lock`."""
        project = self.large.write(self.yard.work / "to-lock", 0)
        (project / "requirements.txt").write_text("".join(f"{line}\n" for line in self.large.dependencies), "utf-8")
        pip = self.peers.bin("pip") / "pip"
        command = (pip, "lock", "--quiet", "--requirement", "requirements.txt", "--output", "pylock.toml")
        self.yard.run(*command, cwd=project)
        return project / "pylock.toml"

    @functools.cached_property
    def tools(self) -> Path:
        """The wheels that every build needs besides the application's: for the index on loopback."""
        folder = self.yard.kept / "tools"
        if not folder.is_dir():
            part = self.yard.fresh("tools")
            names = ("virtualenv", "pip", "setuptools", "wheel")
            self.yard.run(self.peers.bin("pip") / "pip", "download", "--quiet", "--dest", part, *names)
            shutil.copytree(part, folder)
        return folder

    def swarm(self, count: int, *, cold: bool) -> Builds:
        """So many tiny wheels, from an index on loopback."""
        count = count // 10 if self.yard.quick else count
        folder = self.yard.work / "tiny"
        names = synthetic.tiny_wheels(folder, count)
        index = self._stack.enter_context(serving([folder, self.tools]))
        application = applications.swarm(names)
        return Builds(yard=self.yard, peers=self.peers, application=application, cold=cold, index=index)

    @functools.cached_property
    def huge(self) -> Builds:
        """The application that needs one huge wheel, from an index on loopback."""
        folder = self.yard.kept / "huge"
        synthetic.huge_wheel(folder, "boulder", _HUGE // 10 if self.yard.quick else _HUGE)
        index = self._stack.enter_context(serving([folder, self.tools]))
        return Builds(yard=self.yard, peers=self.peers, application=applications.HEAVY, index=index)


def release(bench: Workbench) -> Pair:
    builds = bench.builds
    return builds.pair(builds.ours(), builds.pip_wheel())


def release_with_lock(bench: Workbench) -> Pair:
    builds = bench.builds
    ours = builds.ours(f"--lock={bench.lock}", label="python setup.py bdist_platter --lock")
    return builds.pair(ours, builds.pip_wheel())


def release_small(bench: Workbench) -> Pair:
    _program, python = bench.peers.platter
    builds = Builds(yard=bench.yard, peers=bench.peers, application=applications.SMALL)
    ours = builds.ours(f"--python={python}", label="python setup.py bdist_platter --python python3.8")
    return builds.pair(ours, builds.platter())


def release_algorithm(bench: Workbench) -> Pair:
    builds = bench.builds
    return builds.pair(builds.ours(), builds.platter_algorithm())


def release_pex(bench: Workbench) -> Pair:
    return bench.builds.pair(bench.builds.ours(), bench.builds.pex(), same=False)


def release_shiv(bench: Workbench) -> Pair:
    return bench.builds.pair(bench.builds.ours(), bench.builds.shiv(), same=False)


def cold(bench: Workbench) -> Pair:
    builds = bench.cold_builds
    return builds.pair(builds.ours("--no-bytecode"), builds.pip_wheel())


def compiled(bench: Workbench) -> Pair:
    builds = Builds(yard=bench.yard, peers=bench.peers, application=bench.compiled, cold=True)
    return builds.pair(builds.ours(), builds.pip_wheel())


def bytecode(bench: Workbench) -> Pair:
    yard, wheels = bench.yard, bench.installs.bundle / "data"

    def ours() -> Figures:
        command = (bench.peers.ours / "python", ROOT / "benchmarks" / "steps.py", "compile", wheels, yard.fresh("step"))
        return timed_within(command, cwd=yard.work, environ=yard.environ())

    def unpack() -> None:
        folder = yard.fresh("modules")
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder, [name for name in archive.namelist() if name.endswith(".py")])

    def theirs() -> Figures:
        # It ends with 1 when a module does not compile: some wheels carry such ones for their tests.
        return yard.run(yard.python, "-m", "compileall", "-q", "-j2", yard.work / "modules", accepted=(0, 1))

    return Pair(
        ours=Side(label="compile step", run=ours),
        peer=Side(label="python -m compileall -j2", run=theirs, prepare=unpack),
    )


def archive(bench: Workbench) -> Pair:
    yard, bundle = bench.yard, bench.installs.bundle

    def ours() -> Figures:
        command = (bench.peers.ours / "python", ROOT / "benchmarks" / "steps.py", "archive", bundle, yard.work / "step")
        return timed_within(command, cwd=yard.work, environ=yard.environ())

    return Pair(
        ours=Side(label="archive step", run=ours, prepare=lambda: _empty(yard, "step")),
        peer=Side(
            label="cp -r",
            run=lambda: yard.run("cp", "-r", bundle, yard.work / "copy"),
            prepare=lambda: _empty(yard, "copy"),
        ),
    )


def size(bench: Workbench) -> Pair:
    installs = bench.installs
    data = installs.bundle / "data"
    packed = [*data.glob("*.whl"), *(data / "bytecode").glob("*.zip")]
    return Pair(
        ours=Side(label="bundle", run=lambda: Figures(size=installs.artifact.stat().st_size)),
        peer=Side(
            label="its wheels and bytecode", run=lambda: Figures(size=sum(path.stat().st_size for path in packed))
        ),
    )


def install_tar(bench: Workbench) -> Pair:
    return bench.installs.pair(bench.installs.ours(), bench.installs.tar())


def install_pip(bench: Workbench) -> Pair:
    return bench.installs.pair(bench.installs.ours(), bench.installs.pip())


def install_platter(bench: Workbench) -> Pair:
    return bench.installs.pair(bench.installs.with_tar(), bench.installs.pip(with_check=True))


def install_uv(bench: Workbench) -> Pair:
    return bench.installs.pair(bench.installs.ours(), bench.installs.uv(bytecode=True))


def install_uv_plain(bench: Workbench) -> Pair:
    return bench.installs.pair(bench.installs.ours(), bench.installs.uv(bytecode=False))


def install_plain(bench: Workbench) -> Pair:
    plain = Installs.unpacked(bench.builds, "--no-bytecode")
    return plain.pair(plain.ours(label="install.sh --no-bytecode bundle"), plain.uv(bytecode=False))


def first_start(bench: Workbench) -> Pair:
    installs, folder = bench.installs, bench.yard.work / "to-start"
    return Pair(
        ours=installs.start(folder, label="first start", prepare=lambda: installs.install_anew(folder)),
        peer=installs.start(folder, label="second start", prepare=lambda: None),
    )


def first_answer_pex(bench: Workbench) -> Pair:
    return _first_answer(bench, bench.builds.pex(), "pex", "PEX_ROOT")


def first_answer_pex_venv(bench: Workbench) -> Pair:
    return _first_answer(bench, bench.builds.pex("--venv"), "pex", "PEX_ROOT")


def first_answer_shiv(bench: Workbench) -> Pair:
    return _first_answer(bench, bench.builds.shiv(), "shiv", "SHIV_ROOT")


def _first_answer(bench: Workbench, side: Side, name: str, cache: str) -> Pair:
    """From the artifact on the server to the application's first answer."""
    yard, installs = bench.yard, bench.installs
    side.prepare()
    side.run()
    program = yard.work / f"{name}-{bench.large.name}" / "project" / "out"
    answer = yard.output(yard.python, program, environ=yard.environ(**{cache: yard.fresh("run-cache")}))
    if answer != bench.large.answer:
        raise BenchError(f"{name}'s file said {answer!r}")
    ours = installs.with_tar()

    def install_and_start() -> Figures:
        return ours.run() + yard.run(yard.work / "installed-ours" / "bin" / bench.large.name)

    return Pair(
        ours=Side(
            label="tar xzf, install.sh, first start", run=install_and_start, prepare=ours.prepare, check=ours.check
        ),
        peer=Side(
            label=f"{side.label}, first start",
            run=lambda: yard.run(yard.python, program, environ=yard.environ(**{cache: yard.work / "run-cache"})),
            prepare=lambda: _empty(yard, "run-cache"),
        ),
    )


def many_cold(bench: Workbench) -> Pair:
    more, fewer = bench.swarm(500, cold=True), bench.swarm(100, cold=True)
    return Pair(ours=more.ours(label="500 wheels, cold"), peer=fewer.ours(label="100 wheels, cold"))


def many_warm(bench: Workbench) -> Pair:
    more, fewer = bench.swarm(500, cold=False), bench.swarm(100, cold=False)
    ours, theirs = more.ours(label="500 wheels, warm"), fewer.ours(label="100 wheels, warm")
    more.warm_up(ours)
    fewer.warm_up(theirs)
    return Pair(ours=ours, peer=theirs)


def many_install(bench: Workbench) -> Pair:
    more, fewer = (Installs.unpacked(bench.swarm(count, cold=False)) for count in (500, 100))
    return Pair(ours=more.ours(label="install.sh, 500 wheels"), peer=fewer.ours(label="install.sh, 100 wheels"))


def memory_build(bench: Workbench) -> Pair:
    cold_build = Builds(
        yard=bench.yard, peers=bench.peers, application=applications.HEAVY, cold=True, index=bench.huge.index
    )
    return Pair(ours=cold_build.ours(label="bdist_platter, 2 GB wheel"))


def memory_install(bench: Workbench) -> Pair:
    installs = Installs.unpacked(bench.huge)
    return Pair(ours=installs.ours(label="install.sh, 2 GB wheel"))


def help_commands(bench: Workbench) -> Pair:
    project = applications.SMALL.write(bench.yard.work / "help", 0)

    def side(label: str, binaries: Path) -> Side:
        command = (binaries / "python", "setup.py", "--help-commands")
        return Side(label=label, run=lambda: bench.yard.run(*command, cwd=project))

    ours, peer = side("with platter-setuptools", bench.peers.ours), side("without", bench.peers.without_us)
    if "bdist_platter" not in bench.yard.output(
        bench.peers.ours / "python", "setup.py", "--help-commands", cwd=project
    ):
        raise BenchError("--help-commands does not list bdist_platter")
    for one in (ours, peer):
        one.run()
    return Pair(ours=ours, peer=peer)


def _empty(yard: Yard, name: str) -> None:
    shutil.rmtree(yard.work / name, ignore_errors=True)


COMPARISONS = (
    Comparison(name="release", title="warm bdist_platter / pip wheel", make=release, bar=0.25, aim=0.20),
    Comparison(
        name="release-lock", title="the same with a lock / pip wheel", make=release_with_lock, bar=0.14, aim=0.10
    ),
    Comparison(
        name="release-small",
        title="warm, small Flask project / Platter 1.0",
        make=release_small,
        bar=0.15,
        aim=0.10,
        runs=5,
    ),
    Comparison(name="cold", title="cold, --no-bytecode / pip wheel, cold", make=cold, bar=0.50, aim=0.35, runs=5),
    Comparison(name="bytecode", title="compiling bytecode / compileall -j2", make=bytecode, bar=1.1, aim=1.0, runs=5),
    Comparison(
        name="c-sdists", title="eight C sdists, cold / pip wheel, cold", make=compiled, bar=0.60, aim=0.45, runs=3
    ),
    Comparison(
        name="install-tar", title="install.sh / tar -xf of the tree", make=install_tar, bar=2.0, aim=1.3, runs=9
    ),
    Comparison(name="install-pip", title="install.sh / virtualenv + pip", make=install_pip, bar=0.10, aim=0.06, runs=3),
    Comparison(
        name="install-uv-bytecode", title="install.sh / uv, with bytecode", make=install_uv, bar=0.25, aim=0.16, runs=5
    ),
    Comparison(name="install-uv", title="install.sh / uv, without bytecode", make=install_uv_plain, bar=1.0, aim=0.8),
    Comparison(name="first-start", title="first start / second start", make=first_start, bar=1.1, aim=1.0, runs=9),
    Comparison(
        name="size", title="bundle's size / wheels and bytecode", make=size, bar=1.03, aim=1.01, figure="size", runs=1
    ),
    Comparison(name="archive", title="archive step / cp of the same bytes", make=archive, bar=3.0, aim=1.5, runs=9),
    Comparison(
        name="many-cold", title="building with 500 wheels / with 100, cold", make=many_cold, bar=5.5, aim=5.0, runs=3
    ),
    Comparison(
        name="many-warm", title="building with 500 wheels / with 100, warm", make=many_warm, bar=5.5, aim=5.0, runs=5
    ),
    Comparison(name="many-install", title="installing 500 wheels / 100", make=many_install, bar=5.5, aim=5.0, runs=7),
    Comparison(
        name="memory-build",
        title="peak memory of a build, 2 GB wheel",
        make=memory_build,
        bar=150e6,
        aim=100e6,
        figure="peak",
        runs=1,
    ),
    Comparison(
        name="memory-install",
        title="peak memory of an installation, 2 GB wheel",
        make=memory_install,
        bar=100e6,
        aim=60e6,
        figure="peak",
        runs=1,
    ),
    Comparison(
        name="help-commands", title="--help-commands with us / without", make=help_commands, bar=1.15, aim=1.05, runs=21
    ),
    # Without bars: what else there is.
    Comparison(name="release-platter", title="warm / Platter 1.1's algorithm", make=release_algorithm, runs=3),
    Comparison(name="release-pex", title="warm / pex", make=release_pex, runs=3),
    Comparison(name="release-shiv", title="warm / shiv", make=release_shiv, runs=3),
    Comparison(name="install-platter", title="tar + install.sh / Platter 1.1's way", make=install_platter, runs=3),
    Comparison(name="install-plain", title="bundle without bytecode / uv, without", make=install_plain, runs=5),
    Comparison(name="first-answer-pex", title="from the file to an answer / pex", make=first_answer_pex, runs=3),
    Comparison(
        name="first-answer-pex-venv",
        title="from the file to an answer / pex --venv",
        make=first_answer_pex_venv,
        runs=3,
    ),
    Comparison(name="first-answer-shiv", title="from the file to an answer / shiv", make=first_answer_shiv, runs=3),
)
