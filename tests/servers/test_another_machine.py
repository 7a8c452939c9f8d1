"""A bundle for another kind of machine, built here: described by that machine, and installed on it; qemu runs it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import zipfile
from pathlib import Path

import platformdirs
import pytest

from platter_setuptools._in_process import compile as compiler
from support import handmade

from .conftest import find_python
from .once import once
from .roots import outcome

pytestmark = [
    pytest.mark.servers,
    pytest.mark.network,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="qemu runs aarch64 here"),
]

TOOL = Path(__file__).parents[2].parent / "shared" / "tools" / "foreign-python"
APP = """
def main():
    import platform, markupsafe._speedups, yaml._yaml
    print(platform.machine(), markupsafe.escape("<b>"), yaml.CSafeLoader.__name__)
"""


@pytest.fixture(scope="module")
def foreign() -> Path:
    """CPython 3.11 for aarch64, which is kept between runs beside the bare roots."""
    if os.geteuid() != 0 or not TOOL.exists():
        pytest.skip("only root can make a Python for aarch64, with a tool that is not on every machine")
    home = os.environ.get("PLATTER_TEST_ROOTS")
    folder = Path(home).absolute() if home else platformdirs.user_cache_path("platter-setuptools-tests") / "roots"

    def make(partial: Path) -> None:
        run = outcome(["bash", str(TOOL), "arm64", str(partial)])
        if run.returncode:
            pytest.skip(f"no Python for aarch64 could be made: {(run.stderr.splitlines() or ['it said nothing'])[-1]}")
        wrapper = partial / "root" / "usr" / "bin" / "python3.11"
        wrapper.write_text(wrapper.read_text().replace(str(partial), str(folder / "arm64")))

    python = once(folder / "arm64", make) / "bin" / "python3.11"
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-aarch64-static is not on this machine")
    return python


def run(*command: str | Path) -> str:
    done = outcome([str(word) for word in command])
    assert done.returncode == 0, done.stderr
    return done.stdout


def platter(*words: str | Path) -> str:
    return run(sys.executable, "-m", "platter_setuptools", *words)


def test_it_is_described_built_for_and_installed_on(foreign: Path, tmp_path: Path) -> None:
    wheel = handmade.wheel(
        tmp_path,
        "app",
        files={"app.py": APP},
        requires=("markupsafe", "pyyaml", "not-there; platform_machine != 'aarch64'"),
        entry_points="[console_scripts]\napp = app:main\n",
    )
    first = handmade.wheel(tmp_path, "first")
    here = platter("build", "-q", "--format=dir", "-o", tmp_path / "here", "--no-pip", first).strip()
    described = tmp_path / "server.json"
    described.write_text(run(Path(here) / "install.sh", "--describe", "-p", foreign))
    assert described.read_text() == platter("describe", "-p", foreign)
    facts = json.loads(described.read_text())
    assert (facts["markers"]["platform_machine"], facts["platform"]) == ("aarch64", "linux-aarch64")

    bundle = Path(platter("build", "-q", "--format=dir", "-o", tmp_path, f"--target={described}", wheel).strip())
    assert bundle.name == "app-1.0-linux-aarch64"
    run(bundle / "install.sh", "-p", foreign, tmp_path / "server")
    assert run(tmp_path / "server" / "bin" / "app").split() == ["aarch64", "&lt;b&gt;", "CSafeLoader"]
    refused = outcome([str(bundle / "install.sh"), "-p", sys.executable, str(tmp_path / "other")])
    assert refused.returncode in {3, 5}
    assert not (tmp_path / "other").exists()


def test_its_bytecode_is_the_same(foreign: Path, tmp_path: Path) -> None:
    ask = "import platform; print(platform.python_version())"
    version = run(foreign, "-c", ask).strip()
    ours = [Path("/usr/bin/python3.11"), *filter(None, [find_python("3.11")])]
    alike = [one for one in ours if one.exists() and run(one, "-c", ask).strip() == version]
    if not alike:
        pytest.skip(f"there is no Python {version} on this machine")
    files = {f"{path.stem}.py": path.read_bytes() for path in Path(json.__file__).parent.glob("*.py")}
    wheel = handmade.wheel(tmp_path, files=files)
    made = []
    for number, python in enumerate((foreign, alike[0])):
        output = tmp_path / f"{number}.zip"
        jobs = [{"wheel": str(wheel), "output": str(output), "check": "time"}]
        request = json.dumps({"processes": 1, "jobs": jobs}).encode()
        assert outcome([str(python), "-s", "-B", compiler.__file__], stdin=request).returncode == 0
        with zipfile.ZipFile(output) as archive:
            made.append({name: archive.read(name) for name in archive.namelist()})
    assert made[0] == made[1]
    assert len(made[0]) > len(files)
