"""`python -m benchmarks`: run the comparisons, print the table, write results.json and chart.svg."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.chart import draw
from benchmarks.comparisons import COMPARISONS, Comparison
from benchmarks.measure import BenchError, alternate
from benchmarks.workbench import Workbench
from benchmarks.yard import ROOT, Yard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.report import Result

_HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives 1 if a comparison failed or missed its bar, so that a script can tell."""
    options = _parser().parse_args(arguments)
    chosen = [one for one in COMPARISONS if not options.only or one.name in options.only]
    output = options.output or (ROOT / "build" / "bench" if options.quick else _HERE)
    output.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    # An hour's work is often ended from outside, and its folder in memory must go then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as stack:
        try:
            yard = Yard(quick=options.quick)
        except BenchError as error:
            _tell(str(error))
            return 1
        stack.callback(yard.close)
        bench = Workbench(yard, stack)
        for comparison in chosen:
            runs = 1 if comparison.runs == 1 else options.runs or (2 if options.quick else comparison.runs)
            result = _measured(comparison, bench, runs)
            if result:
                results.append(result)
                _keep(output, result, bench.peers.all_versions())
    print(report.table(results))
    missed = [one.name for one in results if one.verdict == report.MISSED and not options.quick]
    return 1 if missed or len(results) < len(chosen) else 0


def _measured(comparison: Comparison, bench: Workbench, runs: int) -> Result | None:
    _tell(f"{comparison.name}: {comparison.title}")
    try:
        pair = comparison.make(bench)
        figures = alternate(pair, runs, _tell)
    except BenchError as error:
        _tell(f"{comparison.name} could not be measured: {error}")
        return None
    return report.result_of(comparison, pair, figures, _version())


def _keep(output: Path, result: Result, versions: Mapping[str, str]) -> None:
    """Write the results after each row: it takes long enough for something to come between."""
    known = {one.name: one for one in report.load(output / "results.json")} | {result.name: result}
    rows = [known[one.name] for one in COMPARISONS if one.name in known]
    (output / "results.json").write_text(report.dump(rows, versions), "utf-8")
    (output / "chart.svg").write_text(draw(rows), "utf-8")


def _version() -> str:
    """The commit that is measured, with a plus if the checkout has changed since."""
    words = ["git", "describe", "--always", "--abbrev=8", "--dirty=+", "--exclude=*"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare this project with its peers, in pairs, on tmpfs."
    )
    names = [one.name for one in COMPARISONS]
    parser.add_argument("--only", nargs="+", metavar="PAIR", choices=names, help=f"of {', '.join(names)}")
    parser.add_argument("--runs", type=int, metavar="N", help="times that each side runs")
    parser.add_argument(
        "--quick", action="store_true", help="two runs with small applications: to see that all works, not for figures"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="where results.json and chart.svg go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
