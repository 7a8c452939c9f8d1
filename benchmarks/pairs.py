"""The pairs: what is run against what. README.md tells it in words, comparisons.py has the bars."""

from __future__ import annotations

import shutil
import sys
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import applications
from benchmarks.builds import Builds
from benchmarks.installs import Installs
from benchmarks.measure import BenchError, Figures, Pair, Side, timed_within
from benchmarks.yard import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workbench import Workbench
    from benchmarks.yard import Yard


def release(bench: Workbench) -> Pair:
    builds = bench.builds
    return builds.pair(builds.ours(), builds.pip_wheel())


def cross_target(bench: Workbench) -> Pair:
    """The same project under two names, so that each has notes of its own last build."""
    elsewhere = Builds(yard=bench.yard, peers=bench.peers, application=replace(bench.large, name="overseas"))
    target = f"--target=cp{sys.version_info[0]}{sys.version_info[1]}-manylinux_2_28_aarch64"
    ours = elsewhere.ours(target, label=f"python setup.py bdist_platter {target}")
    return bench.builds.pair(ours, bench.builds.ours(), same=False)


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


def first_answer_run(bench: Workbench) -> Pair:
    installs = bench.installs
    ours = installs.and_start(installs.run_file(bench.builds), "ours")
    # Both sides install into the same folder, in turns.
    return Pair(ours=ours, peer=installs.and_start(installs.with_tar(), "ours"))


def first_answer_run_uv(bench: Workbench) -> Pair:
    installs = bench.installs
    ours = installs.and_start(installs.run_file(bench.builds), "ours")
    return installs.pair(ours, installs.and_start(installs.uv_with_tar(), "uv"))


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


def memory_run(bench: Workbench) -> Pair:
    installs = Installs.unpacked(bench.huge)
    return Pair(ours=installs.run_file(bench.huge))


def next_release(bench: Workbench) -> Pair:
    return bench.releases.next_release()


def next_release_tar(bench: Workbench) -> Pair:
    return bench.releases.next_release_tar()


def next_release_disk(bench: Workbench) -> Pair:
    return bench.releases.disk()


def thin_line(bench: Workbench) -> Pair:
    return bench.releases.thin_line()


def thin_upgrade(bench: Workbench) -> Pair:
    return bench.releases.thin_upgrade()


def thin_time(bench: Workbench) -> Pair:
    return bench.releases.thin_time()


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
