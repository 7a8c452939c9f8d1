"""Fixtures of the fault tests."""

from __future__ import annotations

import functools
import itertools
import os
import time
from typing import TYPE_CHECKING

import pytest

from faults.builds import Builder
from faults.server import Server, application

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.handmade import Bundle
    from support.index import Index


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle that is installed; nobody may change it."""
    return application(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def new_server(tmp_path: Path, bundle: Bundle) -> Callable[..., Server]:
    """Makes one server after the other."""
    numbers = itertools.count()

    def make(name: str = "1.0") -> Server:
        server = Server(folder=tmp_path / f"server{next(numbers)}", bundle=bundle, name=name)
        server.set_up()
        return server

    return make


@pytest.fixture(scope="session")
def duration(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> float:
    """Seconds that an undisturbed installation takes here: the second one, when all files are in memory."""
    for name in ("first", "second"):
        server = Server(folder=tmp_path_factory.mktemp(name), bundle=bundle)
        server.set_up()
        began = time.monotonic()
        assert server.start().wait(60) == 0
    return time.monotonic() - began


@pytest.fixture(scope="session")
def new_builder(
    tmp_path_factory: pytest.TempPathFactory,
    index: Index,
    caches: dict[str, str],
    cache_with_tools: Path,
    pytestconfig: pytest.Config,
) -> Callable[[], Builder]:
    """Makes one building machine after the other. Its wheel cache is empty, or has the tools of every build at most."""
    tools = None if pytestconfig.getoption("faults") == "full" else cache_with_tools
    environ = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.url,
        "UV_CACHE_DIR": caches["UV_CACHE_DIR"],
    }

    def make() -> Builder:
        builder = Builder(folder=tmp_path_factory.mktemp("builder"), environ=environ)
        builder.set_up(tools)
        return builder

    return make


@pytest.fixture(scope="session")
def warm(new_builder: Callable[[], Builder]) -> Builder:
    """A machine that has built before; nobody may change it."""
    builder = new_builder()
    builder.build()
    return builder


@pytest.fixture(scope="session")
def expected(new_builder: Callable[[], Builder], warm: Builder) -> Callable[[str], dict[str, str]]:
    """What an undisturbed build in a format puts into dist: every build has to make the same bytes."""

    @functools.cache
    def build(kind: str) -> dict[str, str]:
        builder = new_builder()
        builder.warm_up(warm)
        return builder.build(f"--format={kind}")

    return build
