"""The example application, from a bundle built here to a page served by a bare Debian without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .roots import NOBODY, ROOT, SYSTEM_PATH, UNLISTED

if TYPE_CHECKING:
    from .conftest import Bundle, NewServer
    from .roots import Server
    from .visit import Plan, Request

pytestmark = [pytest.mark.servers, pytest.mark.network]

EXAMPLE = Path(__file__).parents[2] / "examples" / "corkboard"
HOME = "/srv/corkboard"
RELEASE = f"{HOME}/versions/1.0"


@pytest.mark.parametrize(
    ("suite", "python", "user"),
    [
        pytest.param("bullseye", "3.9", ROOT, id="bullseye-root"),
        pytest.param("bookworm", "3.11", NOBODY, id="bookworm-nobody"),
        pytest.param("bookworm", "3.11", UNLISTED, id="bookworm-unlisted"),
        pytest.param("trixie", "3.13", ROOT, id="trixie-root"),
    ],
)
def test_it_runs_on(suite: str, python: str, user: int, server: NewServer, bundle: Bundle) -> None:
    debian = server(suite)
    archive = bundle(EXAMPLE, python)
    unpacked = debian.unpack(archive, HOME, user=user)

    run = debian.run("./install.sh", RELEASE, user=user, cwd=unpacked)
    assert run.returncode == 0, run.stderr
    assert "corkboard 1.0" in run.stdout + run.stderr, "the step that setup.cfg added was not run"

    seen = debian.visit(plan(), user=user)
    assert [page["status"] for page in seen["pages"]] == [200, 200, 200, 200, 200], seen
    board, image, pinned, found, health = seen["pages"]
    assert "4 notes on the board" in board["text"]
    assert image["kind"] == "image/png"
    assert (pinned["url"], "<h1>Fit a new pin</h1>" in pinned["text"]) == ("/notes/5", True)
    assert "1 of 5 notes" in found["text"]
    assert "Fit a new pin" in found["text"]
    assert json.loads(health["text"]) == {"status": "ok", "version": "1.0", "notes": 5}
    assert seen["exit_code"] == 0, seen["log"]

    check_environment(debian, python, user)


def plan() -> Plan:
    def get(path: str) -> Request:
        return {"path": path, "form": {}}

    return {
        "command": [f"{RELEASE}/bin/gunicorn", "--bind=127.0.0.1:0", "--workers=2", "corkboard:create_app()"],
        "environment": {"PATH": SYSTEM_PATH, "CORKBOARD_DB": f"{HOME}/corkboard.db"},
        "cwd": "/",
        "requests": [
            get("/"),
            get("/static/cork.png"),
            {"path": "/notes", "form": {"title": "Fit a new pin", "text": "This one is bent."}},
            get("/?q=bennt+pinn"),
            get("/healthz"),
        ],
    }


def check_environment(debian: Server, python: str, user: int) -> None:
    def output(*command: str) -> str:
        environment = {"CORKBOARD_DB": f"{HOME}/corkboard.db", "HOME": HOME}
        return debian.check_run(*command, user=user, environment=environment)

    where = "import sys; print('%d.%d' % sys.version_info[:2], sys.prefix, sys.base_prefix)"
    assert output(f"{RELEASE}/bin/python", "-c", where).split() == [python, RELEASE, "/usr"]
    if python != "3.9":  # bullseye's python3 lacks most of distutils, which pip needs below Python 3.10
        assert "No broken requirements" in output(f"{RELEASE}/bin/python", "-m", "pip", "check")
    assert output(f"{RELEASE}/bin/corkboard", "find", "gunicron").endswith("Misspell it\n")
    assert output(f"{RELEASE}/bin/corkboard-backup", f"{HOME}/copy.db") == f"{HOME}/copy.db: 5 notes\n"
    assert "CORKBOARD_DB" in output("cat", f"{RELEASE}/share/corkboard/corkboard.service")
