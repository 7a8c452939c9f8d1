"""What a build tells beside the bundle's path, and what the bundle tells of where it came from."""

from __future__ import annotations

import json
import re
import shutil
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from support import handmade, projects
from support.front_ends import PLATTER, info, output, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.front_ends import Yard
    from support.index import Index

_IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def commit(yard: Yard, project: Path) -> str:
    """Commit all that is there; gives the commit."""
    yard.run("git", "init", "--quiet", cwd=project)
    yard.run("git", "add", "--all", cwd=project)
    yard.run("git", *_IDENTITY, "commit", "--quiet", "--message=all", cwd=project)
    return yard.run("git", "rev-parse", "HEAD", cwd=project).stdout.strip()


@needs_git
class TestRevision:
    def test_from_the_commit_to_the_list_of_releases(self, yard: Yard) -> None:
        project = projects.hello(yard.folder / "project")
        made = commit(yard, project)
        bundle = yard.build(project, "--record-git-state")
        assert info(bundle)["revision"] == made
        assert f"  revision   {made}\n" in yard.platter("inspect", bundle, cwd=project).stdout
        assert json.loads(yard.platter("inspect", "--json", bundle, cwd=project).stdout)["revision"] == made

        root = yard.folder / "root"
        script = unpack(bundle, yard.folder / "server") / "install.sh"
        yard.run(script, "-p", sys.executable, "--quiet", "--root", root, cwd=yard.folder)
        assert output(root / "platter", "list").endswith(f"active  hello  {made[:12]}")
        assert json.loads(output(root / "platter", "list", "--json"))[0]["revision"] == made
        lines = [json.loads(line) for line in (root / "platter-journal.jsonl").read_text().splitlines()]
        assert [(line["what"], line["revision"]) for line in lines] == [("install", made), ("activate", made)]

    def test_a_change_that_is_not_committed(self, yard: Yard) -> None:
        project = projects.hello(yard.folder / "project")
        made = commit(yard, project)
        (project / "new.py").write_text("")  # what git does not track does not count, as with `git describe --dirty`
        (project / "hello.py").write_text(f"{projects.HELLO}\n")
        assert info(yard.build(project, "--record-git-state"))["revision"] == f"{made}-dirty"

    def test_the_same_by_every_front_end_and_in_every_folder(self, yard: Yard) -> None:
        setup = "[bdist_platter]\nrecord_git_state = yes\n"
        project = projects.hello(yard.folder / "project", {"setup.cfg": setup})
        made = commit(yard, project)
        yard.run("git", "clone", "--quiet", project, "copy", cwd=yard.folder)
        first, second = yard.build(project), yard.command(yard.folder / "copy")
        assert info(first)["revision"] == info(second)["revision"] == made
        assert first.read_bytes() == second.read_bytes()

    def test_what_has_no_commit(self, yard: Yard) -> None:
        project = projects.hello(yard.folder / "project")
        without = yard.platter("build", "--record-git-state", cwd=project)
        assert f"warning: record-git-state: git knows no commit of {project}" in without.stderr
        wheel = next(unpack(project / "dist" / without.stdout.strip(), yard.folder / "there").glob("data/hello*.whl"))
        commit(yard, project)
        shutil.copy(wheel, project)
        done = yard.run(PLATTER, "build", wheel.name, "--record-git-state", "--output=other", cwd=project)
        assert "what commit a finished wheel is of is unknown" in done.stderr
        assert info(project / done.stdout.strip())["revision"] is None

    def test_unasked_nothing_is_recorded(self, yard: Yard) -> None:
        project = projects.hello(yard.folder / "project")
        bundle = yard.build(project)
        before = bundle.read_bytes()
        commit(yard, project)
        assert yard.build(project).read_bytes() == before


class TestCommands:
    """A command whose module no wheel has."""

    def test_is_refused_by_every_front_end(self, yard: Yard) -> None:
        setup = projects.SETUP_PY.replace("hello:main", "helo:main")
        project = projects.hello(yard.folder / "project", {"setup.py": setup})
        line = "  hello = helo:main: no wheel of the bundle has helo (did you mean hello?)\n"
        said = yard.refuse(5, project)
        assert f"error: hello 1.0 has commands that cannot start:\n{line}" in said
        assert "hint: correct the entry point" in said
        assert line in yard.setup_py(project, "-q", "bdist_platter", code=1).stderr
        assert [path.suffix for path in (project / "dist").iterdir()] == [".whl"]
        (wheel,) = (project / "dist").iterdir()
        assert line in yard.platter("build", wheel, cwd=yard.folder, code=5).stderr

    def test_of_a_distribution_that_was_excluded_is_a_warning(self, yard: Yard) -> None:
        setup = projects.SETUP_PY.replace("hello:main", "leaf:main")
        project = projects.hello(yard.folder / "project", {"setup.py": setup})
        done = yard.platter("build", "--exclude=leaf", cwd=project)
        assert "warning: hello = leaf:main: no wheel of the bundle has leaf" in done.stderr

    def test_verify_tells(self, yard: Yard) -> None:
        wheel = handmade.wheel(yard.folder, "app", entry_points="[console_scripts]\napp = gone.cli:main\n")
        bundle = handmade.bundle(yard.folder / "made", [wheel])
        said = yard.platter("verify", bundle.path, cwd=yard.folder, code=5).stderr
        assert "app = gone.cli:main: no wheel of the bundle has gone.cli" in said

    def test_whose_module_lacks_what_it_calls_is_a_warning(self, yard: Yard) -> None:
        setup = projects.SETUP_PY.replace("hello:main", "hello:mian")
        project = projects.hello(yard.folder / "project", {"setup.py": setup})
        done = yard.platter("build", cwd=project)
        assert "warning: hello = hello:mian: hello does not seem to define it (did you mean main?)" in done.stderr


@needs_git
class TestForgotten:
    PACKAGE = 'from setuptools import setup\nsetup(name="app", version="1.0", packages=["app"])\n'

    def test_templates_that_setuptools_was_not_told_of(self, yard: Yard) -> None:
        files = {"app/__init__.py": "", "app/templates/base.html": "", "app/tests/one.json": "", "app/README": ""}
        project = projects.write(yard.folder / "project", {"setup.py": self.PACKAGE, **files})
        done = yard.platter("build", cwd=project)
        assert "warning" not in done.stderr
        commit(yard, project)
        (project / "app" / "notes.html").write_text("git does not track it\n")
        told = "warning: the wheel lacks 1 file that git tracks in its packages: app/templates/base.html: setuptools"
        assert told in yard.platter("build", cwd=project).stderr
        assert told in yard.setup_py(project, "-q", "bdist_platter").stderr
        (project / "setup.py").write_text(self.PACKAGE.replace("packages", "package_data={'': ['*/*']}, packages"))
        assert "warning" not in yard.platter("build", cwd=project).stderr


def test_all_that_a_failed_build_said_is_in_a_file(yard: Yard) -> None:
    noise = "print('x.c:3:1: error: boom at https://ada:secret@example.com'); print(*range(100), sep='\\n')"
    failing = f"import sys\nif 'bdist_wheel' in sys.argv:\n    {noise}; sys.exit('failed')\n{projects.EMPTY_SETUP_PY}"
    project = projects.hello(yard.folder / "project", {"setup.py": failing})
    said = yard.refuse(3, project)
    assert "    x.c:3:1: error: boom" in said
    log = yard.folder / "home" / ".local" / "state" / "platter" / "log" / "project.log"
    assert f"its build backend failed; all that it said is in {log}\n" in said
    lines = log.read_text().splitlines()
    assert {"x.c:3:1: error: boom at https://example.com", "0", "99", "failed"} <= set(lines)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    (project / "setup.py").write_text(projects.EMPTY_SETUP_PY)
    yard.build(project)
    assert not log.exists()


def test_what_is_fetched_for_the_tools_is_named(yard: Yard) -> None:
    project = projects.hello(yard.folder / "project")
    said = yard.platter("build", cwd=project, PLATTER_BUILD_WHEEL_CACHE=str(yard.folder / "empty")).stderr
    assert re.search(r"^Fetching \d+ files for virtualenv and pip$", said, re.MULTILINE)
    assert re.search(r"^Fetching 1 file$", said, re.MULTILINE)
    assert re.search(r"^  wheels +2: 0 from the wheel cache, 1 fetched, 1 built$", said, re.MULTILINE)


def test_newer_releases_for_later_patch_releases(yard: Yard, tmp_path: Path, open_index: Callable[..., Index]) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    handmade.wheel(tmp_path / "more", "patient")
    for version, asks in (("2.0", f">={python}.90"), ("3.0", f">={python}.999"), ("4.0", ">=4")):
        metadata = f"Metadata-Version: 2.1\nName: patient\nVersion: {version}\nRequires-Python: {asks}\n"
        handmade.wheel(tmp_path / "more", "patient", version, metadata=metadata)
    project = projects.hello(
        tmp_path / "project", {"setup.py": projects.SETUP_PY.replace("leaf", "patient"), "pylock.toml": ""}
    )
    where = {"PIP_INDEX_URL": open_index(tmp_path / "more").url}
    told = f"a later patch release than {python}.0 is needed: patient 2.0 (1.0 is taken)."
    done = yard.platter("build", "--format=dir", "--no-bytecode", cwd=project, code=0, **where)
    assert told in done.stderr
    assert "pylock.toml is not used: --lock pylock.toml takes it\n" in done.stderr
    # A lock is for these patch releases as well; it does not hear of its own file.
    done = yard.platter("lock", cwd=project, code=0, **where)
    assert told in done.stderr
    assert "is not used" not in done.stderr
    said = yard.platter("build", "--format=dir", "--lock=pylock.toml", cwd=project, code=0, **where).stderr
    assert "passed over" not in said
    assert "is not used" not in said
