"""What several folders of tests share: a package index on this machine, and a yard to build in."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

from support import projects
from support.front_ends import PLATTER, Yard
from support.index import Index, tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest_plugins = ["faults.ledger"]  # for its options, which must be known before its folder is looked into
pytest.register_assert_rewrite("faults.server", "faults.builds")

# What this starts inherits it: under nohup no installation would end when its terminal does.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# The same with SIGINT, which a shell script lets its background commands ignore.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return no workers for single files and tests, and as many as there are processors for all the others."""
    return 0 if all(Path(one.partition("::")[0]).is_file() for one in config.args) else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    # In CI an index has to be there: a test that is skipped for want of it would look like one that passes.
    if item.get_closest_marker("network") and not os.environ.get("CI") and not _index_answers():
        pytest.skip("no package index answers")


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """What runs in this process may end by ignoring signals, and whatever is started later would inherit that."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@functools.cache
def _index_answers() -> bool:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "six"]
    return subprocess.run(command, check=False, capture_output=True, timeout=120).returncode == 0


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder for all processes of this test run, and for no other run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def tool_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels that every build needs."""
    return tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the distributions that the mini-projects depend on."""
    return projects.shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="session")
def index(tool_wheels: Path, shelf: Path) -> Iterator[Index]:
    """The index that most tests use; who wants to count, to stop it or to make it lie uses `open_index`."""
    running = Index(tool_wheels, shelf)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def open_index(tool_wheels: Path, shelf: Path) -> Iterator[Callable[..., Index]]:
    """Opens indexes with the same distributions, and with those of more folders; they end with the test."""
    with contextlib.ExitStack() as stack:

        def open_one(*folders: Path, user: str = "", password: str = "") -> Index:
            opened = Index(tool_wheels, shelf, *folders, user=user, password=password)
            opened.start()
            stack.callback(opened.stop)
            return opened

        yield open_one


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Caches that all tests of this process share, for speed."""
    folder = tmp_path_factory.mktemp("caches")
    return {"UV_CACHE_DIR": str(folder / "uv"), "PLATTER_BUILD_WHEEL_CACHE": str(folder / "wheels")}


@pytest.fixture(scope="session")
def cache_with_tools(tmp_path_factory: pytest.TempPathFactory, index: Index, caches: dict[str, str]) -> Path:
    """A wheel cache that holds what every build needs, compiled: half of the time of a first build goes into that."""
    folder = tmp_path_factory.mktemp("cache-with-tools")
    pyproject = projects.QUICK.replace('"leaf"', "")
    project = projects.hello(folder / "project", {"pyproject.toml": pyproject, "backend/tiny.py": projects.BACKEND})
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.url,
        **caches,
        "PLATTER_BUILD_WHEEL_CACHE": str(folder / "wheels"),
    }
    subprocess.run([PLATTER, "build", "--quiet"], cwd=project, env=environ, check=True, stdout=subprocess.DEVNULL)
    return folder / "wheels"


@pytest.fixture
def own_caches(cache_with_tools: Path, tmp_path: Path) -> dict[str, str]:
    """Caches that no other test uses: nothing but the tools of every build is in the wheel cache."""
    shutil.copytree(cache_with_tools, tmp_path / "wheels")
    return {"UV_CACHE_DIR": str(tmp_path / "uv"), "PLATTER_BUILD_WHEEL_CACHE": str(tmp_path / "wheels")}


@pytest.fixture
def yard(tmp_path: Path, index: Index, caches: dict[str, str]) -> Iterator[Yard]:
    """A place to build in, offline. Sees that nothing is left in TMPDIR when the test ends."""
    environ = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.url,
        "PLATTER_BUILD_NO_PIP": "yes",  # its thousand files are most of what a small bundle installs
        **caches,
    }
    yield from _opened(tmp_path, environ)


@pytest.fixture
def network_yard(tmp_path: Path, caches: dict[str, str]) -> Iterator[Yard]:
    """A place to build in with the index that this machine is configured for."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PLATTER_", "UV_CACHE"))}
    yield from _opened(tmp_path, {**environ, **caches})


@pytest.fixture(scope="session")
def tool(shared_folder: Path) -> Callable[[str, str], tuple[str, ...]]:
    """The words that run a program of a distribution that is no friend of ours in one environment."""
    cache = shared_folder / "uv-tools"

    def words(distribution: str, program: str) -> tuple[str, ...]:
        # As this machine's uv is configured, also where a test has an environment of its own.
        ours = [f"{key}={value}" for key, value in os.environ.items() if key.startswith(("UV_", "SSL_"))]
        base = (
            "env",
            *ours,
            uv.find_uv_bin(),
            "tool",
            "run",
            "--quiet",
            "--cache-dir",
            str(cache),
            "--python",
            sys.executable,
        )
        return *base, "--from", distribution, program

    return words


def _opened(folder: Path, environ: dict[str, str]) -> Iterator[Yard]:
    yard = Yard(
        folder=folder / "yard",
        environ={**environ, "HOME": str(folder / "yard" / "home"), "TMPDIR": str(folder / "yard" / "scratch")},
    )
    for name in ("home", "scratch"):
        (yard.folder / name).mkdir(parents=True)
    yield yard
    assert list(yard.scratch.iterdir()) == []
