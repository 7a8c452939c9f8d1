"""Ship the example to a "server" in build/demo and visit it there: `make demo`.

Needs Python 3.10, a C compiler and, for the dependencies, a package index; makes everything else itself. Standard
library only. Exits with 1 and one clear message when a step fails.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "corkboard"
WORK = ROOT / "build" / "demo"
BUILDER = WORK / "builder"
PROJECT = WORK / "corkboard"
SERVER = WORK / "server"

BARE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TITLE = "Restart gunicorn after a release"
TYPO = "gunicron"
START_SECONDS = 30
SEE_LOG = "Its log is build/demo/server/gunicorn.log."


class DemoError(Exception):
    """A step that did not work; the message says which and shows the last lines of what failed."""


class Page(NamedTuple):
    url: str
    text: str

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return unescape(found[1]) if found else "(no heading)"

    @property
    def notes(self) -> list[str]:
        return [unescape(title) for title in re.findall(r'<h2><a href="/notes/\d+">(.*?)</a>', self.text)]


def main() -> int:
    try:
        make_builder()
        bundle = build()
        release = install(bundle)
        with gunicorn(release) as address:
            visit(address)
    except DemoError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    say_what_is_left()
    return 0


def make_builder() -> None:
    step("Set up the building machine", f"a virtualenv with this checkout in {shown(BUILDER)}")
    python = BUILDER / "bin" / "python"
    if not works(python, "-c", "import pip"):
        # --clear: what an interrupted run or a since removed interpreter left there is of no use.
        quietly([sys.executable, "-m", "venv", "--clear", BUILDER])
    # setuptools would ship what older builds left there, modules that are gone from src as well.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    quietly([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROOT, "setuptools>=77"])


def build() -> Path:
    step("Build the bundle", f"in a copy of {shown(EXAMPLE)}: python setup.py bdist_platter")
    shutil.rmtree(PROJECT, ignore_errors=True)
    litter = shutil.ignore_patterns("build", "dist", "*.egg-info", "*.so", "*.db*", "__pycache__", ".*_cache")
    shutil.copytree(EXAMPLE, PROJECT, ignore=litter)
    command = [str(BUILDER / "bin" / "python"), "setup.py", "bdist_platter"]
    code = subprocess.run(command, cwd=PROJECT, check=False).returncode
    if code:
        raise DemoError(f"bdist_platter ended with exit code {code}; its message stands above.")
    bundles = list((PROJECT / "dist").glob("corkboard-*.tar.gz"))
    if len(bundles) != 1:
        raise DemoError(f"one bundle was expected in {shown(PROJECT / 'dist')}, {len(bundles)} are there.")
    return bundles[0]


def install(bundle: Path) -> Path:
    """Do on the server what its administrator would, and return the folder of the installed release."""
    shutil.rmtree(SERVER, ignore_errors=True)
    SERVER.mkdir(parents=True)
    step("Copy it to the server", f"{bundle.name} to {shown(SERVER)}")
    shutil.copy(bundle, SERVER)
    quietly(["tar", "xzf", bundle.name], cwd=SERVER)
    unpacked = SERVER / bundle.name.removesuffix(".tar.gz")
    version = (unpacked / "VERSION").read_text(encoding="utf-8").strip()
    release = SERVER / "versions" / version

    cut_off, how = without_network()
    step("Install it", how)
    command = ["./install.sh", *python_for_server(), str(release)]
    print(f"    $ {shlex.join([*cut_off, 'env', '-i', f'PATH={BARE_PATH}', *command])}", flush=True)
    code = subprocess.run([*cut_off, *command], cwd=unpacked, env=bare_environment(), check=False).returncode
    if code:
        raise DemoError(f"install.sh ended with exit code {code}; its message stands above.")
    current = SERVER / "current"
    current.symlink_to(release.relative_to(SERVER))
    print(f"    {shown(current)} -> {release.relative_to(SERVER)}")
    return release


def without_network() -> tuple[list[str], str]:
    """The words to put before a command so that it has no network, and a sentence about them."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if works(*command, "true"):
            return command, f"with an empty environment and no network ({shlex.join(command)})"
    return [], "with an empty environment; this machine does not let us take the network away (unshare -n)"


def python_for_server() -> list[str]:
    """How to tell install.sh of our own Python, when it is not one that it would find by itself."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in (f"python{ours}", "python3"):
        found = shutil.which(name, path=BARE_PATH)
        if found and works(found, "-c", f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{ours}')"):
            return []
    return ["--python", str(Path(sys.base_prefix, "bin", f"python{ours}"))]


@contextmanager
def gunicorn(release: Path) -> Iterator[str]:
    """Run the installed application on a free loopback port, yield its address, and stop it at the end."""
    log = SERVER / "gunicorn.log"
    command = [str(SERVER / "current" / "bin" / "gunicorn"), "--bind=127.0.0.1:0", "corkboard:create_app()"]
    step("Start it", f"{shown(Path(command[0]))} {shlex.join(command[1:])}")
    environment = bare_environment() | {"CORKBOARD_DB": str(SERVER / "corkboard.db"), "HOME": str(SERVER)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=release, env=environment, stdout=output, stderr=output)
    try:
        yield wait_until_listening(process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_listening(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        text = log.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"Listening at: (http://\S+)", text):
            return found[1]
        time.sleep(0.05)
    raise DemoError(f"gunicorn did not start; the end of {shown(log)}:\n{tail(log.read_text(errors='replace'))}")


def visit(address: str) -> None:
    step("Visit it", address)
    page = fetch(address, "/")
    saw(f"{page.heading}: {'; '.join(page.notes)}")
    expect("the first page shows the notes of welcome", "Welcome to the board" in page.notes)

    style = fetch(address, "/static/board.css")
    saw(f"{len(style.text)} characters of style")
    expect("the style sheet came along", ".note" in style.text)

    page = fetch(address, "/notes", title=TITLE, text="On every server, one after the other.", colour="leaf")
    saw(f"kept in the database and shown at {page.url.removeprefix(address)}: {page.heading}")
    expect("the pinned note comes back from the database", page.heading == TITLE)

    page = fetch(address, f"/?q={TYPO}")
    saw(f"{page.heading}: {'; '.join(page.notes)}")
    expect("the C extension finds the note in spite of the typo", TITLE in page.notes)

    page = fetch(address, "/healthz")
    saw(page.text.strip())
    expect("the application says that it is well", json.loads(page.text)["status"] == "ok")


def fetch(address: str, path: str, **form: str) -> Page:
    """Ask for a page, or send a form and follow where it leads. A status that is no success raises DemoError."""
    data = urllib.parse.urlencode(form).encode() if form else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business on loopback
    print(f"    {'POST' if form else 'GET'} {path}", flush=True)
    try:
        with opener.open(address + path, data, timeout=20) as answer:
            page = Page(answer.url, answer.read().decode())
            saw(f"{answer.status} {answer.reason}, {answer.headers['Content-Type']}")
            return page
    except OSError as error:
        raise DemoError(f"{path} could not be fetched: {error}. {SEE_LOG}") from error


def saw(text: str) -> None:
    print(f"        {text}", flush=True)


def expect(claim: str, holds: bool) -> None:
    if not holds:
        raise DemoError(f"it does not hold that {claim}. {SEE_LOG}")


def say_what_is_left() -> None:
    step("Stopped", "everything worked")
    print(f"""
Look at {shown(SERVER)}: the bundle, what it holds, versions/ and current.
Run it yourself, then open http://127.0.0.1:8000 in a browser:

    cd {shlex.quote(str(SERVER))}
    CORKBOARD_DB=corkboard.db current/bin/corkboard serve
""")


def step(title: str, detail: str) -> None:
    print(f"\n{title}: {detail}", flush=True)


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def bare_environment() -> dict[str, str]:
    return {"PATH": BARE_PATH}


def works(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def quietly(command: Sequence[str | Path], cwd: Path = ROOT) -> None:
    try:
        run = subprocess.run(command, cwd=cwd, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise DemoError(f"{command[0]} could not be started: {error}") from error
    if run.returncode:
        said = f"{shlex.join(map(str, command))} ended with exit code {run.returncode}"
        raise DemoError(f"{said}:\n{tail(run.stdout)}")


def tail(text: str, lines: int = 20) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
