"""The page of `platter inspect --html` in a real browser."""

from __future__ import annotations

import dataclasses
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.inspect.html import page
from platter_setuptools.inspect.summary import BundleSummary, Part
from platter_setuptools.payload.manifest import Manifest
from platter_setuptools.payload.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")

HOSTILE = "</script><img src=x onerror='hacked = 1'><b>{{data}}"
SIZES = {"app": 4, "web": 4000, "forms": 900, "colours": 250, "images": 2500, "pip": 1700, "extra": 30}
REQUIRES = {"app": ("images", "web"), "web": ("colours", "forms"), "forms": ("colours",), "colours": ("web",)}
PATHS = {
    "app": ("app",),
    "web": ("app", "web"),
    "images": ("app", "images"),
    "colours": ("app", "web", "colours"),
    "forms": ("app", "web", "forms"),
    "extra": ("extra",),
    "pip": ("pip",),
}


def bundle_summary(*, licence: str = "MIT", name: str = "app") -> BundleSummary:
    """A bundle with a circle among its requirements, and with two wheels that the project does not lead to."""
    target = Target(
        implementation="cpython",
        python="3.11",
        abi="cp311",
        platform="linux_x86_64",
        cache_tag="cpython-311",
        magic="a70d0d0a",
        debug=False,
        free_threaded=False,
    )
    about = Manifest(
        name=name,
        version="1.0",
        platform="linux-x86_64",
        requires_python=">=3.9",
        targets=(target,),
        wheels=(),
        installed_size=9_000_000,
        installed_files=321,
        created_by="platter-setuptools",
    )
    parts = [
        Part(
            name=one,
            version="1.0",
            file=f"{one}-1.0-py3-none-any.whl",
            sha256="0" * 64,
            size=size * 1000,
            installed_size=size * 2000,
            licence="" if one == "extra" else "BSD-3-Clause" if one == "web" else licence,
            libc="",
            libraries=(),
            scripts=(f"run-{one}",),
            requires=REQUIRES.get(one, ()),
            path=PATHS[one],
        )
        for one, size in sorted(SIZES.items(), key=lambda item: -item[1])
    ]
    roots = ("app", "extra", "pip")
    return BundleSummary(about=about, size=9_500_000, signed=False, roots=roots, parts=tuple(parts), bill="", sums={})


class Browser:
    """Opens a page and runs a script in it, whose value is given back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, text: str, script: str, *options: str, anchor: str = "") -> Any:
        file = self.folder / "page.html"
        ending = f"""<script>
            const result = document.createElement("pre");
            result.id = "result";
            (async () => {{ {script} }})().catch(error => `${{error}}`).then(value => {{
                result.textContent = JSON.stringify(value ?? null);
                document.body.append(result);
            }});
        </script>"""
        file.write_text(text.replace("</body>", f"{ending}</body>"), "utf-8")
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]
        command += [f"--user-data-dir={self.folder / 'profile'}", "--window-size=1280,900", *options]
        command += ["--virtual-time-budget=5000", f"{file.as_uri()}{anchor}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        match = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
        assert match, done.stdout[-2000:] + done.stderr
        return json.loads(html.unescape(match[1]))


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


def test_everything_is_drawn(browser: Browser) -> None:
    found = browser.run(
        page(dataclasses.replace(bundle_summary(), sums={"post-activate.sh": "0" * 64, "pre-activate.sh": "1" * 64})),
        """
        const text = selector => [...document.querySelectorAll(selector)].map(one => one.textContent);
        const map = document.getElementById("map").getBoundingClientRect();
        return {
            title: document.title, heading: text("h1")[0], nodes: text("#graph g text").sort(),
            edges: document.querySelectorAll("#graph path").length, licences: text("#licences strong"),
            facts: text("#facts dd"),
            rows: text("tbody td:first-child"), why: text("tbody td:last-child"), count: text("#count")[0],
            cells: [...document.querySelectorAll(".cell")].map(one => {
                const box = one.getBoundingClientRect();
                return [one.dataset.name, box.width * box.height / map.width / map.height];
            }),
        };""",
    )
    by_size = sorted(SIZES, key=lambda name: -SIZES[name])
    assert found["title"] == found["heading"] == "app 1.0 for linux-x86_64"
    assert found["nodes"] == sorted(SIZES)
    assert found["edges"] == sum(map(len, REQUIRES.values()))
    assert found["licences"] == ["MIT (5)", "BSD-3-Clause (1)", "unknown (1)"]
    assert "9.5 MB, 9.4 MB of it wheels" in found["facts"]
    assert "pre-activate.sh, post-activate.sh (the project's, on the server)" in found["facts"]
    assert found["rows"] == by_size
    assert found["why"][by_size.index("forms")] == "app > web > forms"
    assert found["why"][by_size.index("extra")] == "asked for beside the project > extra"
    assert found["count"] == "7 wheels"
    assert [name for name, _share in found["cells"]] == by_size
    for name, share in found["cells"]:
        assert share == pytest.approx(SIZES[name] / sum(SIZES.values()), abs=0.003)


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_sticks_out(browser: Browser, width: int) -> None:
    found = browser.run(
        page(bundle_summary()),
        f"""
        document.body.style.width = "{width}px";  // no window is narrower than 500
        drawMap();
        const sticksOut = one => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight;
        const labelled = [...document.querySelectorAll(".cell")].filter(one => one.textContent);
        return [document.body.scrollWidth, document.querySelector(".wide").scrollWidth,
            labelled.filter(sticksOut).map(one => one.dataset.name), labelled.length];""",
        f"--window-size={max(width, 500)},900",
    )
    *widths, cut, labelled = found
    assert max(widths) <= width
    assert cut == []
    assert 0 < labelled < len(SIZES)


def test_an_edge_within_a_column_crosses_no_box(browser: Browser) -> None:
    script = """
        const path = document.querySelector("#graph path[data-from=forms][data-to=colours]");
        return [...document.querySelectorAll("#graph rect")].filter(box => {
            const [left, top] = [box.x.baseVal.value, box.y.baseVal.value], end = path.getTotalLength();
            return [...Array(99).keys()].some(step => {
                const {x, y} = path.getPointAtLength(end * (step + 1) / 100);
                return x > left && x < left + box.width.baseVal.value && y > top && y < top + box.height.baseVal.value;
            });
        }).length;"""
    here = bundle_summary()
    parts = tuple(
        dataclasses.replace(one, path=("app", one.name), requires=("colours",) if one.name == "forms" else ())
        if one.name in {"forms", "colours"}
        else one
        for one in here.parts
    )
    assert browser.run(page(dataclasses.replace(here, parts=parts)), script) == 0


def test_one_licence_in_several_spellings(browser: Browser) -> None:
    spellings = [
        "MIT",
        "MIT License",
        "The MIT license",
        "Apache-2.0",
        "Apache License, Version 2.0",
        "BSD License",
        "BSD",
    ]
    here = bundle_summary()
    parts = tuple(dataclasses.replace(one, licence=two) for one, two in zip(here.parts, spellings, strict=True))
    script = 'return [...document.querySelectorAll("#licences strong")].map(one => one.textContent);'
    assert browser.run(page(dataclasses.replace(here, parts=parts)), script) == [
        "MIT (3)",
        "Apache-2.0 (2)",
        "BSD (2)",
    ]


def test_search_sort_and_choose(browser: Browser) -> None:
    found = browser.run(
        page(bundle_summary()),
        """
        const search = document.getElementById("search"), names = selector =>
            [...document.querySelectorAll(selector)].map(one => one.dataset.name || one.textContent);
        const rows = () => names("tbody tr:not([hidden]) td:first-child");
        const say = text => { search.value = text; search.dispatchEvent(new Event("input")); };
        const seen = {};
        say("bsd");
        seen.licence = [rows(), names(".cell:not(.off)"), names("#licences li:not([hidden]) p"), count.textContent];
        say("RUN-images");
        seen.command = rows();
        say("nothing like it");
        seen.none = [rows(), count.textContent];
        say("");
        document.querySelector("th button").click();
        seen.sorted = rows();
        document.querySelector("#graph g[data-name=forms]").dispatchEvent(new MouseEvent("click"));
        seen.related = names("#graph g:not(.off)").sort();
        seen.chosen = [names(".cell.chosen"), location.hash, document.getElementById("detail").textContent];
        document.getElementById("installed").click();
        seen.after = names(".cell.chosen");
        return seen;""",
    )
    assert found["licence"] == [["web"], ["web"], ["web"], "1 of 7 wheels"]
    assert found["command"] == ["images"]
    assert found["none"] == [[], "0 of 7 wheels"]
    assert found["sorted"] == sorted(SIZES)
    assert found["related"] == ["app", "colours", "forms", "web"]
    assert found["chosen"][:2] == [["forms"], "#forms"]
    assert "app > web > forms" in found["chosen"][2]
    assert found["after"] == ["forms"]


def test_the_keyboard_reaches_everything(browser: Browser) -> None:
    found = browser.run(
        page(bundle_summary()),
        """
        const press = key => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        const detail = document.getElementById("detail"), seen = {};
        for (const group of ["map", "graph"]) {
            const stops = [...document.getElementById(group).querySelectorAll("[tabindex='0']")];
            stops[0].focus();
            press("ArrowRight");
            const second = document.activeElement.dataset.name;
            press("End");
            press("ArrowDown");
            const last = document.activeElement.dataset.name;
            press("Enter");
            seen[group] = [stops.length, second, last, detail.hidden, detail.querySelector("h3").textContent];
            press("Escape");
            seen[group].push(detail.hidden);
        }
        press("/");
        seen.search = document.activeElement.id;
        seen.stops = [...document.querySelectorAll("button, input, [role=button]")].filter(one => !one.ariaLabel &&
            !one.textContent.trim() && !one.closest("label")).length;
        return seen;""",
    )
    assert found["map"] == [1, "images", "app", False, "app 1.0", True]
    assert found["graph"] == [1, "extra", "forms", False, "forms 1.0", True]
    assert found["search"] == "search"
    assert found["stops"] == 0, "something that can be focused has no name"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_both_be_read(browser: Browser, scheme: str) -> None:
    found = browser.run(
        page(bundle_summary()),
        """
        const light = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
        const contrast = (one, other) => {
            const [low, high] = [light(one), light(other)].sort((first, second) => first - second);
            return (high + 0.05) / (low + 0.05);
        };
        const style = getComputedStyle(document.body);
        return [light(style.backgroundColor), contrast(style.color, style.backgroundColor),
            ...[...document.querySelectorAll(".cell")].map(getComputedStyle)
                .map(cell => contrast(cell.color, cell.backgroundColor))];""",
        f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
    )
    assert (found[0] > 0.5) == (scheme == "light")
    assert min(found[1:]) >= 4.5  # WCAG 2.2, level AA


class TestAlone:
    def test_it_loads_nothing_and_cannot(self, browser: Browser, server: list[str], address: str) -> None:
        found = browser.run(
            page(bundle_summary()),
            f"""
            const before = performance.getEntriesByType("resource").length;
            const image = new Image();
            image.src = "{address}/image";
            const failed = await fetch("{address}/fetch").then(() => "", error => error.name);
            return [before, failed];""",
        )
        assert found == [0, "TypeError"]
        assert server == []

    def test_hostile_names_are_only_shown(self, browser: Browser) -> None:
        text = page(bundle_summary(licence=HOSTILE, name=HOSTILE))
        found = browser.run(
            text,
            """return [typeof hacked, document.images.length, document.querySelector("h1").textContent,
                document.querySelector("#licences strong").textContent];""",
        )
        assert found == ["undefined", 0, f"{HOSTILE} 1.0 for linux-x86_64", f"{HOSTILE} (5)"]

    def test_a_link_chooses(self, browser: Browser) -> None:
        script = 'return document.querySelector("#detail h3").textContent;'
        assert browser.run(page(bundle_summary()), script, anchor="#web") == "web 1.0"


@pytest.fixture
def server() -> list[str]:
    """The requests that came."""
    return []


@pytest.fixture
def address(server: list[str]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.append(self.path)
            self.send_error(404)

        def log_message(self, *_arguments: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()
