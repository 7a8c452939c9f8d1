"""Fixtures of the fault tests."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from faults.server import Server, application

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.handmade import Bundle


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


@pytest.fixture
def duration(new_server: Callable[[], Server]) -> float:
    """Seconds that an undisturbed installation takes here and now."""
    new_server().install()
    began = time.monotonic()
    assert new_server().start().wait(60) == 0
    return time.monotonic() - began
