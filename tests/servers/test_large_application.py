"""An application with 67 dependencies, many of them compiled, from a bundle built here to a bare Debian."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .roots import NOBODY, SYSTEM_PATH

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Bundle, NewServer
    from .visit import Plan

pytestmark = [pytest.mark.servers, pytest.mark.network]

RELEASE = "/opt/depot/versions/2.0"

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "depot"
version = "2.0"
requires-python = ">=3.10"
dependencies = [
    "django", "djangorestframework", "celery[redis]", "psycopg[binary]", "gunicorn", "sentry-sdk", "boto3", "pillow",
    "requests", "cryptography", "pandas", "sqlalchemy", "pydantic", "rich", "lxml", "docopt", "python-json-logger",
    "uvicorn[standard]", "httpx", "jinja2", "markdown", "reportlab",
]

[project.scripts]
depot = "depot:main"

[tool.setuptools]
py-modules = ["depot"]
"""

# Every package does a little of its real work, so that its compiled parts and its data files are used as well.
MODULE = '''\
"""depot: prints what its dependencies can do; depot:application says the same over HTTP."""

import io
import json
import sys
from importlib.metadata import distributions

import boto3, celery, cryptography.fernet, docopt, httpx, jinja2, lxml.html, markdown, pandas, PIL.Image, psycopg
import pydantic, pythonjsonlogger, redis, reportlab.pdfgen.canvas, requests, rest_framework, rich.console
import sentry_sdk, sqlalchemy, uvicorn, uvloop
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path


class Crate(pydantic.BaseModel):
    weight: int


def report():
    picture, paper, console = io.BytesIO(), io.BytesIO(), rich.console.Console(file=io.StringIO())
    PIL.Image.new("RGB", (8, 8), "teal").save(picture, "JPEG")
    canvas = reportlab.pdfgen.canvas.Canvas(paper)
    canvas.drawString(72, 720, "Depot")
    canvas.save()
    console.print("[bold]Depot[/bold]")
    with sqlalchemy.create_engine("sqlite://").connect() as connection:
        six = connection.scalar(sqlalchemy.text("SELECT 1 + 5"))
    box = cryptography.fernet.Fernet(cryptography.fernet.Fernet.generate_key())
    return {
        "boto3": len(boto3.Session().get_available_services()) > 100,
        "celery": celery.Celery("depot", broker="redis://localhost").conf.broker_url,
        "cryptography": box.decrypt(box.encrypt(b"crate")).decode(),
        "distributions": len({found.name for found in distributions()}),
        "docopt": docopt.docopt("Usage: depot NAME", ["ada"])["NAME"],
        "httpx": str(httpx.URL("http://depot/").join("crates")),
        "jinja2": jinja2.Template("{{ 6 * 7 }}").render(),
        "lxml": lxml.html.fromstring("<p>crate</p>").text,
        "markdown": markdown.markdown("*crate*"),
        "pandas": int(pandas.DataFrame({"weight": [1, 2, 3]}).weight.sum()),
        "pillow": picture.getvalue()[:3].hex(),
        "psycopg": psycopg.pq.__impl__,
        "pydantic": Crate(weight="6").weight,
        "reportlab": paper.getvalue()[:5].decode(),
        "rich": console.file.getvalue(),
        "sqlalchemy": six,
        "uvloop": uvloop.new_event_loop().close(),
    }


settings.configure(ROOT_URLCONF="depot", ALLOWED_HOSTS=["127.0.0.1"], INSTALLED_APPS=["rest_framework"])
urlpatterns = [path("report", lambda request: JsonResponse(report()))]
application = get_wsgi_application()


def main():
    json.dump(report(), sys.stdout)
'''

EXPECTED = {
    "boto3": True,
    "celery": "redis://localhost",
    "cryptography": "crate",
    "docopt": "ada",
    "httpx": "http://depot/crates",
    "jinja2": "42",
    "lxml": "crate",
    "markdown": "<p><em>crate</em></p>",
    "pandas": 6,
    "pillow": "ffd8ff",
    "psycopg": "binary",
    "pydantic": 6,
    "reportlab": "%PDF-",
    "rich": "Depot\n",
    "sqlalchemy": 6,
    "uvloop": None,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "depot"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (folder / "depot.py").write_text(MODULE, encoding="utf-8")
    return folder


def test_it_runs_on_bookworm(project: Path, server: NewServer, bundle: Bundle) -> None:
    debian = server("bookworm")
    archive = bundle(project, "3.11")
    unpacked = debian.unpack(archive, "/opt/depot", user=NOBODY)
    debian.check_run("./install.sh", RELEASE, user=NOBODY, cwd=unpacked)

    printed = json.loads(debian.check_run(f"{RELEASE}/bin/depot", user=NOBODY))
    assert printed.pop("distributions") >= 68
    assert printed == EXPECTED

    plan: Plan = {
        "command": [f"{RELEASE}/bin/gunicorn", "--bind=127.0.0.1:0", "depot:application"],
        "environment": {"PATH": SYSTEM_PATH},
        "cwd": "/",
        "requests": [{"path": "/report", "form": {}}],
    }
    seen = debian.visit(plan, user=NOBODY)
    assert [page["status"] for page in seen["pages"]] == [200], seen
    served = json.loads(seen["pages"][0]["text"])
    assert {name: served[name] for name in EXPECTED} == EXPECTED

    debian.check_run(f"{RELEASE}/bin/python", "-m", "pip", "check", user=NOBODY)
