"""Projects as a build server gets them: sdists from the index, unpacked, with no version control around them."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.network

PLATTER = (sys.executable, "-m", "platter_setuptools")
COMMAND = (sys.executable, "setup.py", "bdist_platter")
BARE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def run(command: Sequence[str | Path], *, cwd: Path, bare: bool = False) -> str:
    done = subprocess.run(
        command, check=False, cwd=cwd, env=BARE if bare else None, text=True, capture_output=True, timeout=600
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def installed(name: str, build: Sequence[str], folder: Path) -> Path:
    """The virtualenv that a bundle of the sdist, built with `build` in its folder, was installed into."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name, name]
    run(download, cwd=folder)
    (sdist,) = folder.glob(f"{name}-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    before = names_below(source)
    run(build, cwd=source)
    (bundle,) = (source / "dist").glob("*linux*.tar.gz")
    assert {path for path in names_below(source) if not path.startswith("dist")} == before
    with tarfile.open(bundle) as archive:
        archive.extractall(folder / "server", filter="data")
    release = folder / "release"
    run([folder / "server" / bundle.name.removesuffix(".tar.gz") / "install.sh", "-q", release], cwd=folder)
    run([release / "bin" / "pip", "check"], cwd=folder, bare=True)
    return release / "bin"


def names_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_supervisor_runs_a_program(tmp_path: Path) -> None:
    # Its version stands in a data file: package data has to be complete.
    programs = installed("supervisor", COMMAND, tmp_path)
    user = "user=root\n" if os.geteuid() == 0 else ""
    program = "[program:touch]\ncommand=/usr/bin/touch done\nstartsecs=0\nautorestart=false\n"
    (tmp_path / "supervisord.conf").write_text(f"[supervisord]\nnodaemon=true\n{user}{program}")
    command: list[str | Path] = [programs / "supervisord", "-c", tmp_path / "supervisord.conf"]
    with subprocess.Popen(command, cwd=tmp_path, env=BARE, stdout=subprocess.DEVNULL) as supervisord:
        try:
            wait_for((tmp_path / "done").exists)
        finally:
            supervisord.terminate()


def test_httpbin_answers(tmp_path: Path) -> None:
    programs = installed("httpbin", (*PLATTER, "build", "."), tmp_path)
    ask = "import httpbin; print(httpbin.app.test_client().get('/get?from=a-bundle').json['args'])"
    assert run([programs / "python", "-I", "-c", ask], cwd=tmp_path, bare=True) == "{'from': 'a-bundle'}\n"


def test_gunicorn_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # its setup.py imports it to find its version
    programs = installed("gunicorn", (*PLATTER, "build"), tmp_path)
    (tmp_path / "hello.py").write_text("def app(environ, start):\n    start('200 OK', [])\n    return [b'hello']\n")
    log = tmp_path / "log"
    command: list[str | Path] = [programs / "gunicorn", "--bind=127.0.0.1:0", f"--log-file={log}", "hello:app"]
    with subprocess.Popen(command, cwd=tmp_path, env=BARE | {"HOME": str(tmp_path)}) as gunicorn:
        try:
            wait_for(lambda: log.exists() and "Listening at" in log.read_text())
            (port,) = re.findall(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
            connection.close()
        finally:
            gunicorn.terminate()


def test_celery_runs_a_task(tmp_path: Path) -> None:
    programs = installed("celery", COMMAND, tmp_path)
    (tmp_path / "tasks.py").write_text(
        "from celery import Celery\n"
        "app = Celery('tasks', broker='memory://', backend='cache+memory://')\n"
        "app.conf.task_always_eager = True\n"
        "@app.task\ndef add(x, y):\n    return x + y\n"
    )
    ask = "import sys; sys.path.insert(0, '.'); import tasks; print(tasks.add.delay(2, 3).get())"
    assert run([programs / "python", "-I", "-c", ask], cwd=tmp_path, bare=True) == "5\n"
    assert re.match(r"\d+\.\d+", run([programs / "celery", "--version"], cwd=tmp_path, bare=True))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
