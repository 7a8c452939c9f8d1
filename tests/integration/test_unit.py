"""`platter unit` for real bundles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.bundle.members import from_folder
from platter_setuptools.cli.command_line import main
from platter_setuptools.config.options import FORMATS
from platter_setuptools.thinning import make_thin
from support import handmade
from support.archives import write_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from support.index import Index

    Build: TypeAlias = Callable[..., Path]
    Said: TypeAlias = Callable[..., str]

EXAMPLES = Path(__file__).parents[2] / "examples" / "systemd"
ROOT = ("--root", "/srv/yourapp")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, index: Index, caches: dict[str, str]) -> Build:
    """Build a bundle of `yourapp` with these commands and options, and with `server`, which has commands, too."""

    def build(*commands: str, options: Sequence[str] = ()) -> Path:
        folder = tmp_path_factory.mktemp("built")
        server = handmade.wheel(
            folder / "goods",
            "server",
            entry_points="[console_scripts]\nserve = server:main\ngunicorn = server:main\n",
            scripts={"server-backup": "#!/bin/sh\n"},
        )
        entry_points = "[console_scripts]\n" + "".join(f"{name} = yourapp:main\n" for name in commands)
        app = handmade.wheel(folder / "app", "yourapp", entry_points=entry_points * bool(commands), requires=["server"])
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**caches, "PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": "/dev/null"}.items():
                patch.setenv(name, value)
            words = ["build", "-q", "--format=dir", "--no-pip", "-o", str(folder)]
            assert main([*words, f"--pip-option=--find-links={server.parent}", *options, str(app)]) == 0
        return next(path for path in folder.iterdir() if path.name.startswith("yourapp-1.0"))

    return build


@pytest.fixture(scope="module")
def built(build: Build) -> Path:
    return build("yourapp")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def run(code: int, *words: str | Path) -> str:
        """Run `platter unit`, see that it ends with this exit code; give the unit, or else the error."""
        capsys.readouterr()
        try:
            found = main(["unit", *map(str, words)])
        except SystemExit as error:  # of argparse
            found = int(error.code or 0)
        output, errors = capsys.readouterr()
        assert found == code, errors
        assert (output if code else errors) == ""
        return errors if code else output

    return run


def started(unit: str) -> str:
    found = re.search("^ExecStart=(.*)$", unit, re.MULTILINE)
    assert found
    return found[1]


def test_the_examples_are_what_it_prints(built: Path, said: Said) -> None:
    assert (EXAMPLES / "yourapp.service").read_text() == said(0, built, *ROOT)
    words = (built, "gunicorn", *ROOT, "--notify", "--arguments", "--workers 3 yourapp.wsgi")
    assert (EXAMPLES / "gunicorn" / "yourapp.service").read_text() == said(0, *words)
    assert (EXAMPLES / "gunicorn" / "yourapp.socket").read_text() == said(0, *words, "--socket", "127.0.0.1:8000")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format(built: Path, tmp_path: Path, kind: str, said: Said) -> None:
    small = handmade.small(built, tmp_path / "small" / built.name)
    path = write_archive(list(from_folder(small)), built.name, kind, tmp_path, 315532800)[0]
    expected = said(0, built, *ROOT)
    assert said(0, path, *ROOT) == expected
    thin = make_thin(path, [path], frozenset(), output=tmp_path / "thin", kind=kind, mtime=315532800)
    assert said(0, thin.path, *ROOT) == expected


def test_a_command_of_another_wheel(built: Path, said: Said) -> None:
    """The unit is called like the project. Words may stand in any order."""
    for words in ((*ROOT, built, "serve"), (built, "serve", *ROOT), (built, *ROOT, "serve")):
        unit = said(0, *words, "--arguments", "--port 80 'a b'")
        assert started(unit) == '/srv/yourapp/versions/current/bin/serve --port 80 "a b"'
        assert "systemctl restart yourapp'" in unit
    assert started(said(0, built, "server-backup", *ROOT)).endswith("/bin/server-backup")  # not an entry point
    assert "systemctl restart web'" in said(0, built, "serve", *ROOT, "--name", "web")


def test_which_command_is_meant(build: Build, built: Path, said: Said) -> None:
    assert started(said(0, build("worker"), *ROOT)).endswith("/bin/worker")
    assert started(said(0, build("worker", "yourapp"), *ROOT)).endswith("/bin/yourapp")
    errors = said(2, build("work", "wait"), *ROOT)
    assert "yourapp has several commands: wait, work" in errors or "several commands: work, wait" in errors
    assert "yourapp has no command\n" in said(2, build(), *ROOT)
    errors = said(2, built, "nothere", *ROOT)
    assert "has no command nothere\n" in errors
    assert "hint: it has gunicorn, serve, server-backup, yourapp\n" in errors


def test_what_releases_share(build: Build, said: Said, tmp_path: Path) -> None:
    """The service may write where the links of an installed release lead to, and reads its settings from there."""
    options = ("--shared=media/", "--shared=data/uploads/", "--shared=app.env", "--shared=settings.toml")
    bundle, root = build("yourapp", options=options), tmp_path / "root"
    assert "writes to shared folders: data/uploads/, media/\n" in said(2, bundle, *ROOT)
    unit = said(0, bundle, "--root", root, "--user", "daemon")
    written = re.findall("^ReadWritePaths=(.*)$", unit, re.MULTILINE)
    read = re.findall("^EnvironmentFile=(.*)$", unit, re.MULTILINE)
    assert (written, read) == ([f"{root}/shared/data/uploads {root}/shared/media"], [f"{root}/shared/app.env"])
    (root / "shared").mkdir(parents=True)
    for name in ("app.env", "settings.toml"):
        (root / "shared" / name).touch()
    done = handmade.run(handmade.Bundle(path=bundle, info={}), "--quiet", "--root", root)
    assert done.returncode == 0, done.stderr
    release = root / "versions" / "current"
    links = {one: str((release / one).resolve()) for one in ("data/uploads", "media", "app.env")}
    assert [links["data/uploads"], links["media"], links["app.env"]] == [*written[0].split(), *read]


def test_the_socket(built: Path, said: Said) -> None:
    unit = said(0, built, *ROOT, "--socket", "127.0.0.1:8000")
    assert "\n[Socket]\nListenStream=127.0.0.1:8000\n" in unit
    assert "ExecStart" not in unit
    assert "yourapp.socket, as" in unit
    assert "not an address" in said(2, built, *ROOT, "--socket", "localhost:8000")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "required: --root"),
        (["--root", "srv"], "not an absolute path"),
        ([*ROOT, "--name", "your app"], "your app: not a name for a unit"),
        ([*ROOT, "--name", "your app", "--socket", "8000"], "your app: not a name for a unit"),
        ([*ROOT, "--arguments", "'"], "--arguments: No closing quotation"),
        ([*ROOT, "--user", "no one"], "not a user's name"),
        (["yourapp", "more", *ROOT], "unrecognized arguments: more"),
    ],
)
def test_usage(built: Path, words: list[str], reason: str, said: Said) -> None:
    assert reason in said(2, built, *words)


def test_what_is_no_bundle(built: Path, tmp_path: Path, said: Said) -> None:
    assert "does not exist" in said(2, tmp_path / "none", *ROOT)
    (tmp_path / "file").write_text("no bundle")
    assert "cannot be read as a bundle" in said(6, tmp_path / "file", *ROOT)
    (tmp_path / "app").mkdir()
    info = json.loads((built / "info.json").read_text())
    del info["wheels"]
    (tmp_path / "app" / "info.json").write_text(json.dumps(info))
    for name in ("SHA256SUMS", "data"):
        (tmp_path / "app" / name).symlink_to(built / name)
    said(5, tmp_path / "app", *ROOT)
