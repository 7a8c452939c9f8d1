"""The benchmark's arithmetic and what it publishes: a wrong figure there would be believed."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import sys
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from packaging.utils import NormalizedName

from benchmarks import agreement, chart, comparisons, loopback, measure, report, synthetic

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "benchmarks" / "results.json"
SVG = "{http://www.w3.org/2000/svg}"


def row(
    name: str = "release", *, ours: tuple[float, ...], peer: tuple[float, ...] | None, **more: Any
) -> report.Result:
    values: dict[str, Any] = {
        "title": "one / other",
        "figure": "wall",
        "bar": 0.5,
        "aim": 0.3,
        "measured": "2024-02-29",
        "version": "abc",
        **more,
    }
    return report.Result(
        name=name,
        ours=report.Series(label="we & us", values=ours, user=1.0, system=0.5),
        peer=report.Series(label="they", values=peer) if peer else None,
        **values,
    )


def test_the_ratio_is_that_of_the_medians_and_the_spread_that_of_the_pairs() -> None:
    result = row(ours=(1.0, 2.0, 6.0), peer=(4.0, 5.0, 12.0))
    assert result.ratio == pytest.approx(2.0 / 5.0)
    assert result.spread == pytest.approx((1.0 / 4.0, 6.0 / 12.0))


@pytest.mark.parametrize(("ours", "verdict"), [(3.0, "aim met"), (5.0, "met"), (5.1, report.MISSED)])
def test_the_bar_itself_is_still_met(ours: float, verdict: str) -> None:
    assert row(ours=(ours,), peer=(10.0,)).verdict == verdict


def test_without_a_peer_the_figure_is_compared_with_the_bar() -> None:
    result = row(ours=(90e6,), peer=None, figure="peak", bar=100e6, aim=60e6)
    assert result.verdict == "met"
    assert "90.0 MB" in report.table([result])


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [row(ours=(1.0, 2.0), peer=(3.0, 4.0)), row("memory-build", ours=(5e6,), peer=None, figure="peak")]
    path = tmp_path / "results.json"
    path.write_text(report.dump(rows, {"pip": "1"}), "utf-8")
    assert [one.name for one in report.load(path)] == ["release", "memory-build"]
    assert [(one.ours, one.peer, one.verdict) for one in report.load(path)] == [
        (one.ours, one.peer, one.verdict) for one in rows
    ]


def test_results_of_another_machine_are_not_mixed_in(tmp_path: Path) -> None:
    content = json.loads(report.dump([row(ours=(1.0,), peer=(3.0,))], {}))
    content["machine"]["cores"] += 1
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content), "utf-8")
    assert report.load(path) == []


def test_bars_of_the_chart_are_as_long_as_their_times() -> None:
    svg = chart.draw([row(ours=(1.0,), peer=(4.0,)), row("release-pex", ours=(9.0,), peer=(2.0,))])
    picture = ET.fromstring(svg)
    widths = [float(one.attrib["width"]) for one in picture.iter(f"{SVG}rect")]
    # Of two rows with one label the first counts.
    assert widths[0] * 4 == pytest.approx(widths[1], abs=4)
    assert len(widths) == 2
    texts = [one.text for one in picture.iter(f"{SVG}text")]
    assert texts[1:3] == ["we & us", "1.00 s"]


def test_a_chart_without_figures_is_still_a_picture() -> None:
    assert ET.fromstring(chart.draw([])).tag == f"{SVG}svg"


@pytest.mark.skipif(not PUBLISHED.exists(), reason="no figures are published yet")
def test_what_is_published_names_no_machine_and_no_person() -> None:
    text = PUBLISHED.read_text("utf-8")
    content = json.loads(text)
    assert not re.search(r"/(home|root|tmp|work|dev|usr|opt)\b|https?:|@", text)
    assert {one["name"] for one in content["comparisons"]} <= {one.name for one in comparisons.COMPARISONS}


def test_every_bar_has_an_aim_that_is_no_easier() -> None:
    judged = [one for one in comparisons.COMPARISONS if one.bar is not None]
    assert len(judged) == 29
    assert all(one.aim is not None and one.bar is not None and one.aim <= one.bar for one in judged)


def test_every_comparison_is_described() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    missing = [one.name for one in comparisons.COMPARISONS if one.name not in text and "first-answer" not in one.name]
    assert missing == []


def test_sets_may_differ_by_tools_and_by_what_other_patch_releases_need() -> None:
    old, new, pip = NormalizedName("old"), NormalizedName("new"), NormalizedName("pip")
    agreement.agree({"ours": {old: "1", new: "2", pip: "3"}, "peer": {old: "1"}}, [new])
    with pytest.raises(measure.BenchError, match="new"):
        agreement.agree({"ours": {old: "1", new: "2"}, "peer": {old: "1"}}, [])
    with pytest.raises(measure.BenchError, match="old"):
        agreement.agree({"ours": {old: "1"}, "peer": {old: "2"}}, [old])


def test_a_failing_command_is_told_with_its_last_words(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; print('help'); sys.exit(3)"]
    with pytest.raises(measure.BenchError, match=r"(?s)ended with 3.*help"):
        measure.run(words, cwd=tmp_path, environ=os.environ)
    assert measure.run(words, cwd=tmp_path, environ=os.environ, accepted=(3,)).peak > 1 << 20


def test_sides_take_turns_and_the_last_run_is_checked() -> None:
    events: list[str] = []

    def side(label: str) -> measure.Side:
        def run() -> measure.Figures:
            events.append(label)
            return measure.Figures(wall=len(events))

        return measure.Side(label=label, run=run, check=lambda: events.append(f"{label} is right"))

    ours, peers = measure.alternate(measure.Pair(ours=side("a"), peer=side("b")), 2, lambda _text: None)
    assert events == ["a", "b", "a", "a is right", "b", "b is right"]
    assert ([one.wall for one in ours], [one.wall for one in peers]) == ([1, 3], [2, 5])


def test_synthetic_wheels_are_what_their_record_says(tmp_path: Path) -> None:
    synthetic.tiny_wheels(tmp_path, 2)
    synthetic.huge_wheel(tmp_path, "boulder", 8 << 20)
    wheels = sorted(tmp_path.iterdir())
    assert [path.name for path in wheels] == [
        f"{one}-1.0-py3-none-any.whl" for one in ("boulder", "tiny_000", "tiny_001")
    ]
    assert wheels[0].stat().st_size == pytest.approx(8 << 20, rel=0.01)
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            (record,) = (name for name in archive.namelist() if name.endswith("/RECORD"))
            rows = [one for one in csv.reader(io.StringIO(archive.read(record).decode())) if one[1]]
            assert {one[0] for one in rows} == set(archive.namelist()) - {record}
            for name, digest, size in rows:
                content = archive.read(name)
                encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                assert (digest, int(size)) == (f"sha256={encoded}", len(content))


def test_the_index_on_loopback_serves_what_its_pages_promise(tmp_path: Path) -> None:
    synthetic.tiny_wheels(tmp_path, 1)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with loopback.serving([tmp_path]) as url:
        with opener.open(f"{url}tiny-000/") as answer:
            page = answer.read().decode()
        found = re.search(r'href="(/files/[^"#]+)#sha256=(\w+)" data-core-metadata="sha256=(\w+)"', page)
        assert found is not None
        base = url.removesuffix("/simple/")
        for path, digest in ((found[1], found[2]), (f"{found[1]}.metadata", found[3])):
            with opener.open(base + path) as answer:
                assert hashlib.sha256(answer.read()).hexdigest() == digest
        with pytest.raises(urllib.request.HTTPError) as missing:
            opener.open(f"{url}nothing/")
        missing.value.close()
