"""The example application, by `python setup.py bdist_platter`, installed and visited on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.network

TESTS = Path(__file__).parents[1]
EXAMPLE = TESTS.parent / "examples" / "corkboard"
OWN_PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
BARE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def run(command: Sequence[str | Path], *, cwd: Path, bare: bool = False) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, check=False, cwd=cwd, env=BARE if bare else None, text=True, capture_output=True, timeout=600
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made_by_work = shutil.ignore_patterns("build", "dist", "*.egg-info", "*.so", "*.db*", "__pycache__", ".*_cache")
    return shutil.copytree(EXAMPLE, tmp_path / "source", ignore=made_by_work)


def test_from_setup_py_to_a_page(source: Path, tmp_path: Path) -> None:
    before = files_below(source)
    run([sys.executable, "setup.py", "bdist_platter"], cwd=source)

    dist = source / "dist"
    (wheel,) = dist.glob("*.whl")
    (archive,) = dist.glob("*.tar.gz")
    assert set(dist.iterdir()) == {wheel, archive}
    assert archive.name.startswith("corkboard-1.0-linux-")
    after = files_below(source)
    assert {name: after[name] for name in after if not name.startswith("dist/")} == before

    server = tmp_path / "server"
    server.mkdir()
    run(["tar", "-xzf", archive], cwd=server)
    unpacked = server / archive.name.removesuffix(".tar.gz")
    run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=unpacked)
    release = server / "versions" / "1.0"
    installed = run(["./install.sh", "--python", OWN_PYTHON, release], cwd=unpacked, bare=True)
    assert "corkboard 1.0" in installed.stdout + installed.stderr, "the step that setup.cfg added was not run"

    # The example's own tests, run by the installed interpreter: the code, the pages and the C extension.
    run([release / "bin" / "python", "-m", "unittest", "discover", "-s", source / "tests"], cwd=server, bare=True)

    seen = visit(release, server / "corkboard.db")
    board, found, about = seen["pages"]
    assert [page["status"] for page in seen["pages"]] == [200, 200, 200], seen
    assert "4 notes on the board" in board["text"]
    assert "1 of 4 notes" in found["text"]
    assert "Misspell it" in found["text"]
    assert "About this board" in about["text"]
    assert seen["exit_code"] == 0, seen["log"]


def visit(release: Path, database: Path) -> Any:
    plan = {
        "command": [str(release / "bin" / "gunicorn"), "--bind=127.0.0.1:0", "corkboard:create_app()"],
        "environment": BARE | {"CORKBOARD_DB": str(database), "HOME": str(database.parent)},
        "cwd": "/",
        "requests": [{"path": path, "form": {}} for path in ("/", "/?q=gunicron", "/about")],
    }
    visitor = TESTS / "servers" / "visit.py"
    return json.loads(run([sys.executable, "-I", visitor, json.dumps(plan)], cwd=release).stdout)
