"""The comparisons, one after the other, and their bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Pair
    from benchmarks.workbench import Workbench


@dataclass(frozen=True, slots=True)
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
    runs: int = 7
    figure: str = "wall"


COMPARISONS = (
    Comparison("release", "warm bdist_platter / pip wheel", pairs.release, 0.25, 0.20),
    Comparison("release-lock", "the same with a lock / pip wheel", pairs.release_with_lock, 0.14, 0.10),
    Comparison("release-small", "warm, small Flask project / Platter 1.0", pairs.release_small, 0.15, 0.10, runs=5),
    Comparison("cross-target", "warm, for another machine / for this one", pairs.cross_target, 1.2, 1.0),
    Comparison("cold", "cold, --no-bytecode / pip wheel, cold", pairs.cold, 0.50, 0.35, runs=5),
    Comparison("bytecode", "compiling bytecode / compileall -j2", pairs.bytecode, 1.1, 1.0, runs=5),
    Comparison("c-sdists", "eight C sdists, cold / pip wheel, cold", pairs.compiled, 0.60, 0.45, runs=3),
    Comparison("install-tar", "install.sh / tar -xf of the tree", pairs.install_tar, 2.0, 1.3, runs=9),
    Comparison("install-pip", "install.sh / virtualenv + pip", pairs.install_pip, 0.10, 0.06, runs=3),
    Comparison("install-uv-bytecode", "install.sh / uv, with bytecode", pairs.install_uv, 0.25, 0.16, runs=5),
    Comparison("install-uv", "install.sh / uv, without bytecode", pairs.install_uv_plain, 1.0, 0.8),
    Comparison("first-start", "first start / second start", pairs.first_start, 1.1, 1.0, runs=9),
    Comparison("size", "bundle's size / wheels and bytecode", pairs.size, 1.03, 1.01, runs=1, figure="size"),
    Comparison("archive", "archive step / cp of the same bytes", pairs.archive, 3.0, 1.5, runs=9),
    Comparison("many-cold", "building with 500 wheels / with 100, cold", pairs.many_cold, 5.5, 5.0, runs=3),
    Comparison("many-warm", "building with 500 wheels / with 100, warm", pairs.many_warm, 5.5, 5.0, runs=5),
    Comparison("many-install", "installing 500 wheels / 100", pairs.many_install, 5.5, 5.0),
    Comparison(
        "memory-build", "peak memory of a build, 2 GB wheel", pairs.memory_build, 150e6, 100e6, runs=1, figure="peak"
    ),
    Comparison(
        "memory-install",
        "peak memory of an installation, 2 GB wheel",
        pairs.memory_install,
        100e6,
        60e6,
        runs=1,
        figure="peak",
    ),
    Comparison("first-answer-run", "from the file to an answer: .run / tar.gz", pairs.first_answer_run, 0.70, 0.60),
    Comparison(
        "first-answer-run-uv",
        "from the file to an answer: .run / uv, with bytecode",
        pairs.first_answer_run_uv,
        0.25,
        0.15,
        runs=5,
    ),
    Comparison("memory-run", "peak memory of a .run, 2 GB wheel", pairs.memory_run, 100e6, 60e6, runs=1, figure="peak"),
    Comparison("help-commands", "--help-commands with us / without", pairs.help_commands, 1.15, 1.05, runs=21),
    Comparison(
        "next-release", "install.sh --root of the next release / of the first", pairs.next_release, 0.45, 0.30, runs=9
    ),
    Comparison("next-release-tar", "the next release / tar -xf of its tree", pairs.next_release_tar, 1.6, 1.0, runs=9),
    Comparison(
        "next-release-disk",
        "disk with two releases / with one",
        pairs.next_release_disk,
        1.03,
        1.02,
        runs=1,
        figure="size",
    ),
    Comparison(
        "thin-line", "thin bundle, one line changed / bundle", pairs.thin_line, 0.01, 0.003, runs=1, figure="size"
    ),
    Comparison(
        "thin-upgrade",
        "thin bundle, Django and boto3 upgraded / bundle",
        pairs.thin_upgrade,
        0.25,
        0.20,
        runs=1,
        figure="size",
    ),
    Comparison("thin-time", "platter thin / warm build with a lock", pairs.thin_time, 0.5, 0.2, runs=5),
    # Without bars: what else there is.
    Comparison("release-platter", "warm / Platter 1.1's algorithm", pairs.release_algorithm, runs=3),
    Comparison("release-pex", "warm / pex", pairs.release_pex, runs=3),
    Comparison("release-shiv", "warm / shiv", pairs.release_shiv, runs=3),
    Comparison("install-platter", "tar + install.sh / Platter 1.1's way", pairs.install_platter, runs=3),
    Comparison("install-plain", "bundle without bytecode / uv, without", pairs.install_plain, runs=5),
    Comparison("first-answer-pex", "from the file to an answer / pex", pairs.first_answer_pex, runs=3),
    Comparison("first-answer-pex-venv", "from the file to an answer / pex --venv", pairs.first_answer_pex_venv, runs=3),
    Comparison("first-answer-shiv", "from the file to an answer / shiv", pairs.first_answer_shiv, runs=3),
)
