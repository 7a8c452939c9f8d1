"""The comparisons, one after the other, and their bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Pair
    from benchmarks.workbench import Workbench


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


COMPARISONS = (
    Comparison(name="release", title="warm bdist_platter / pip wheel", make=pairs.release, bar=0.25, aim=0.20),
    Comparison(
        name="release-lock", title="the same with a lock / pip wheel", make=pairs.release_with_lock, bar=0.14, aim=0.10
    ),
    Comparison(
        name="release-small",
        title="warm, small Flask project / Platter 1.0",
        make=pairs.release_small,
        bar=0.15,
        aim=0.10,
        runs=5,
    ),
    Comparison(name="cold", title="cold, --no-bytecode / pip wheel, cold", make=pairs.cold, bar=0.50, aim=0.35, runs=5),
    Comparison(
        name="bytecode", title="compiling bytecode / compileall -j2", make=pairs.bytecode, bar=1.1, aim=1.0, runs=5
    ),
    Comparison(
        name="c-sdists", title="eight C sdists, cold / pip wheel, cold", make=pairs.compiled, bar=0.60, aim=0.45, runs=3
    ),
    Comparison(
        name="install-tar", title="install.sh / tar -xf of the tree", make=pairs.install_tar, bar=2.0, aim=1.3, runs=9
    ),
    Comparison(
        name="install-pip", title="install.sh / virtualenv + pip", make=pairs.install_pip, bar=0.10, aim=0.06, runs=3
    ),
    Comparison(
        name="install-uv-bytecode",
        title="install.sh / uv, with bytecode",
        make=pairs.install_uv,
        bar=0.25,
        aim=0.16,
        runs=5,
    ),
    Comparison(
        name="install-uv", title="install.sh / uv, without bytecode", make=pairs.install_uv_plain, bar=1.0, aim=0.8
    ),
    Comparison(
        name="first-start", title="first start / second start", make=pairs.first_start, bar=1.1, aim=1.0, runs=9
    ),
    Comparison(
        name="size",
        title="bundle's size / wheels and bytecode",
        make=pairs.size,
        bar=1.03,
        aim=1.01,
        figure="size",
        runs=1,
    ),
    Comparison(
        name="archive", title="archive step / cp of the same bytes", make=pairs.archive, bar=3.0, aim=1.5, runs=9
    ),
    Comparison(
        name="many-cold",
        title="building with 500 wheels / with 100, cold",
        make=pairs.many_cold,
        bar=5.5,
        aim=5.0,
        runs=3,
    ),
    Comparison(
        name="many-warm",
        title="building with 500 wheels / with 100, warm",
        make=pairs.many_warm,
        bar=5.5,
        aim=5.0,
        runs=5,
    ),
    Comparison(
        name="many-install", title="installing 500 wheels / 100", make=pairs.many_install, bar=5.5, aim=5.0, runs=7
    ),
    Comparison(
        name="memory-build",
        title="peak memory of a build, 2 GB wheel",
        make=pairs.memory_build,
        bar=150e6,
        aim=100e6,
        figure="peak",
        runs=1,
    ),
    Comparison(
        name="memory-install",
        title="peak memory of an installation, 2 GB wheel",
        make=pairs.memory_install,
        bar=100e6,
        aim=60e6,
        figure="peak",
        runs=1,
    ),
    Comparison(
        name="help-commands",
        title="--help-commands with us / without",
        make=pairs.help_commands,
        bar=1.15,
        aim=1.05,
        runs=21,
    ),
    # Without bars: what else there is.
    Comparison(name="release-platter", title="warm / Platter 1.1's algorithm", make=pairs.release_algorithm, runs=3),
    Comparison(name="release-pex", title="warm / pex", make=pairs.release_pex, runs=3),
    Comparison(name="release-shiv", title="warm / shiv", make=pairs.release_shiv, runs=3),
    Comparison(
        name="install-platter", title="tar + install.sh / Platter 1.1's way", make=pairs.install_platter, runs=3
    ),
    Comparison(name="install-plain", title="bundle without bytecode / uv, without", make=pairs.install_plain, runs=5),
    Comparison(name="first-answer-pex", title="from the file to an answer / pex", make=pairs.first_answer_pex, runs=3),
    Comparison(
        name="first-answer-pex-venv",
        title="from the file to an answer / pex --venv",
        make=pairs.first_answer_pex_venv,
        runs=3,
    ),
    Comparison(
        name="first-answer-shiv", title="from the file to an answer / shiv", make=pairs.first_answer_shiv, runs=3
    ),
)
