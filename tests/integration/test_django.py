"""The guide for Django, with its example: from the project to a bundle, two releases with a migration, and back."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from support.front_ends import PLATTER, unpack
from support.load import Load
from support.pages import ROOT
from support.service import Service

if TYPE_CHECKING:
    from support.front_ends import Done

EXAMPLE = ROOT / "examples" / "django"
GUIDE = ROOT / "docs" / "django.md"
# The next release has one field more. The release before does not know it, so the database has its default.
FIELD = "    done = models.BooleanField(default=False, db_default=False)\n"
MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('notes', '{before}')]
    operations = [{operation}]
"""
ADD = "migrations.AddField('note', 'done', models.BooleanField(default=False, db_default=False))"
FAIL = "migrations.RunSQL('INSERT INTO nowhere VALUES (1)')"


@pytest.mark.parametrize(
    ("file", "text"),
    re.findall(
        r"\(\.\./examples/django/([^)]+)\)[^\n]*\n(?:[^\n]+\n)*\n```\w+\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL
    ),
)
def test_the_guide_shows_the_example(file: str, text: str) -> None:
    assert text in (EXAMPLE / file).read_text()


def bundle(folder: Path, version: str) -> Path:
    """Build the example, or what its authors make of it later; gives the unpacked bundle."""
    project = folder / f"project-{version}"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))

    def change(name: str, old: str, new: str) -> None:
        path = project / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    change("pyproject.toml", 'version = "1.0"', f'version = "{version}"')
    change("notes/templates/notes/index.html", "<h1>Notes", f"<h1>Notes {version}")
    migrations = project / "notes" / "migrations"
    if version != "1.0":
        change("notes/models.py", "\n    def __str__", f"{FIELD}\n    def __str__")
        (migrations / "0002_done.py").write_text(MIGRATION.format(before="0001_initial", operation=ADD))
    if version == "1.2":
        (migrations / "0003_fails.py").write_text(MIGRATION.format(before="0002_done", operation=FAIL))
    built = run(PLATTER, "build", "--quiet", project).stdout.removesuffix("\n")
    return unpack(Path(built), folder / "unpacked")


def run(*words: str | Path, code: int = 0) -> Done:
    done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("django")
    return {version: bundle(folder, version) for version in ("1.0", "1.1", "1.2")}


class Site:
    """The root of a server, and what a browser does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shared = root / "shared"

    def install(self, bundle: Path, *words: str, code: int = 0) -> Done:
        return run(bundle / "install.sh", "-p", sys.executable, "--root", self.root, *words, code=code)

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / "platter-journal.jsonl").read_text().splitlines()]

    def variables(self) -> dict[str, str]:
        """Those of app.env, as a shell reads them."""
        script = 'set -a; . "$1"; exec "$2" -I -c "import json, os; print(json.dumps(dict(os.environ)))"'
        command: list[str | Path] = ["env", "-i", "sh", "-c", script, "sh", self.shared / "app.env", sys.executable]
        found: dict[str, str] = json.loads(run(*command).stdout)
        return {name: value for name, value in found.items() if name not in {"PWD", "LC_CTYPE"}}


def get(service: Service, path: str = "") -> str:
    answer = urllib3.request("GET", service.url + path, retries=False, timeout=60)
    assert answer.status == 200, answer.data
    return answer.data.decode()


def add(service: Service, text: str, picture: bytes) -> None:
    """Fill in the form and send it."""
    page = urllib3.request("GET", service.url, retries=False, timeout=60)
    (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.data.decode())
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    fields = {"csrfmiddlewaretoken": token, "text": text, "picture": ("cork.png", picture)}
    sent = urllib3.request(
        "POST", service.url, fields=fields, headers={"Cookie": cookie}, retries=False, redirect=False
    )
    assert sent.status == 302, sent.data


def words_of(unit: str, root: Path) -> list[str]:
    """The command of a service; without what the unit says around it, it is run as systemd does."""
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert f"EnvironmentFile={root}/shared/app.env\n" in unit
    assert f"ReadWritePaths={root}/shared/db {root}/shared/media\n" in unit
    return shlex.split(line)


@pytest.mark.network
def test_from_build_to_rollback(bundles: dict[str, Path], tmp_path: Path) -> None:
    site = Site(tmp_path / "mysite")
    # What is missing is named before anything is done.
    said = site.install(bundles["1.0"], code=5).stderr
    assert f"{site.shared}/app.env" in said
    assert not (site.root / "versions").exists()
    site.shared.mkdir(parents=True)
    example = (EXAMPLE / "deploy" / "app.env.example").read_text()
    (secret,) = re.findall(r"^SECRET_KEY='(.*)'$", example, re.MULTILINE)
    text = example.replace(secret, r"se$cret `#\ key")
    (site.shared / "app.env").write_text(text)
    (site.shared / "app.env").chmod(0o600)
    assert site.variables()["SECRET_KEY"] == r"se$cret `#\ key"
    assert "127.0.0.1" in site.variables()["ALLOWED_HOSTS"]

    site.install(bundles["1.0"])
    assert (site.shared / "db" / "db.sqlite3").exists()
    unit = run(PLATTER, "unit", bundles["1.0"], *unit_words(), "--root", site.root).stdout
    folder = tmp_path / "service"
    folder.mkdir()
    command = words_of(unit, site.root)
    with Service(folder, command, activated=True, environ=site.variables()) as service:
        assert service.start(), service.log.read_text()
        page = get(service)
        assert "<h1>Notes 1.0</h1>" in page
        (style,) = re.findall(r'href="/(static/notes/notes\.\w{12}\.css)"', page)
        assert "font-family" in get(service, style)
        add(service, "the first", b"\x89PNG")
        commands = [
            "--health-check",
            health_check(),
            "--reload",
            service.restart_command,
            "--ready",
            service.ask_command(5),
        ]
        with Load(service.url) as load:
            site.install(bundles["1.1"], *commands)
            new = get(service)
            assert "<h1>Notes 1.1</h1>" in new
            assert "the first" in new
            assert "migrat" in site.install(bundles["1.2"], *commands, code=7).stderr
            assert "<h1>Notes 1.1</h1>" in get(service)
            run(site.root / "platter", "rollback")
            old = get(service)
            assert "<h1>Notes 1.0</h1>" in old
        assert load.lost == {}
        add(service, "the second", b"more")
        assert "the second" in get(service)
    assert (site.shared / "media" / "pictures" / "cork.png").read_bytes() == b"\x89PNG"
    results = [(line["what"], line["to"], line["result"]) for line in site.journal()]
    assert [one for one in results if one[1] == "1.2" and one[2] != "done"] != []
    assert results[-1] == ("rollback", "1.0", "done")


@pytest.mark.network
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_has_nothing_to_say_of_its_units(bundles: dict[str, Path], tmp_path: Path) -> None:
    """The service and the socket as the guide makes them, on a server that is as the guide prepares it."""
    root, units = tmp_path / "mysite", tmp_path / "units"
    for path in (root / "versions" / "current" / "bin" / "gunicorn", root / "shared" / "app.env", units / "none"):
        path.parent.mkdir(parents=True)
    program = root / "versions" / "current" / "bin" / "gunicorn"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    shutil.copy(EXAMPLE / "deploy" / "app.env.example", root / "shared" / "app.env")
    for name in ("mysite.service", "mysite.socket"):
        words = shlex.split(guide(rf"^\$ platter unit \S+ (gunicorn .*) >{name}$"))
        words[words.index("--root") + 1] = str(root)
        (units / name).write_text(run(PLATTER, "unit", bundles["1.0"], *words).stdout)
    assert f"ExecStart={program} " in (units / "mysite.service").read_text()
    assert "ListenStream=127.0.0.1:8000\n" in (units / "mysite.socket").read_text()
    done = run("systemd-analyze", "verify", *sorted(units.iterdir()))
    assert [line for line in done.stderr.splitlines() if "mysite" in line] == []


def guide(pattern: str) -> str:
    (found,) = re.findall(pattern, GUIDE.read_text("utf-8"), re.MULTILINE)
    return str(found)


def unit_words() -> list[str]:
    """What the guide gives `platter unit` after the bundle."""
    words = shlex.split(guide(r"^\$ platter unit \S+ (gunicorn .*) >mysite.service$"))
    place = words.index("--root")
    assert words[place + 1] == "/srv/mysite"
    return words[:place] + words[place + 2 :]


def health_check() -> str:
    return guide(r"--health-check '([^']+)'")
