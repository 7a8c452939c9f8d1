"""The examples for continuous integration: valid for their services, and what their steps run, from build to hosts."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support import projects
from support.front_ends import PLATTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from support.front_ends import Yard
    from support.ssh import Fleet

    Tool = Callable[[str, str], tuple[str, ...]]

EXAMPLES = Path(__file__).parents[2] / "examples"
GITHUB = EXAMPLES / "github-actions" / "release.yml"
GITLAB = EXAMPLES / "gitlab-ci" / ".gitlab-ci.yml"
INSTALL_US = "python -m pip install --quiet platter-setuptools"
# What stands for the part of a service that a step talks to: it writes down how it was called.
RECORD = '#!/bin/sh\nprintf "%s\\n" "$@" >"$CALLED"\n'


@pytest.mark.network
@pytest.mark.parametrize(("file", "schema"), [(GITHUB, "vendor.github-workflows"), (GITLAB, "vendor.gitlab-ci")])
def test_schema(file: Path, schema: str, tool: Tool, tmp_path: Path) -> None:
    check = [*tool("check-jsonschema", "check-jsonschema"), "--builtin-schema", schema]
    done = subprocess.run([*check, file], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / file.name
    wrong.write_text(file.read_text().replace("environment:", "environments:"))
    assert subprocess.run([*check, wrong], check=False, capture_output=True).returncode == 1


@pytest.mark.network
def test_workflow_is_safe(tool: Tool, tmp_path: Path) -> None:
    """No template in a shell step, no permission too many; which commit of an action to pin is up to its user."""
    rules = tmp_path / "zizmor.yml"
    rules.write_text("rules: {unpinned-uses: {config: {policies: {'*': ref-pin}}}}\n")
    command: list[str | Path] = [*tool("zizmor", "zizmor"), "--offline", "--config", rules, GITHUB]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Runner:
    """A machine that runs the steps of a job: in a checkout, with the programs that its image has."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self.checkout = projects.hello(yard.folder / "project")
        self.bin = yard.folder / "bin"
        self.bin.mkdir()
        self.bin.joinpath("platter").symlink_to(PLATTER)

    def program(self, name: str, text: str) -> None:
        self.bin.joinpath(name).write_text(text)
        self.bin.joinpath(name).chmod(0o755)

    def run(self, script: str, environ: Mapping[str, str] | None = None, *, code: int = 0) -> str:
        """Run the text of a step as both services do, after what installs platter, which is here already."""
        path = f"{self.bin}{os.pathsep}{self._yard.environ['PATH']}"
        words = ("bash", "-e", "-o", "pipefail", "-c", script)
        variables = {**(environ or {}), "PATH": path}
        done = self._yard.run_at_all(*words, cwd=self.checkout, **variables)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def runner(yard: Yard) -> Runner:
    return Runner(yard)


def github(job: str, name: str) -> str:
    """What a step runs. It gets what is not constant by its environment only."""
    steps = yaml.safe_load(GITHUB.read_text())["jobs"][job]["steps"]
    (step,) = [step for step in steps if step.get("name") == name]
    assert "${{" not in step["run"]
    return str(step["run"])


def gitlab(job: str) -> str:
    jobs: dict[str, Any] = yaml.safe_load(GITLAB.read_text())
    found = jobs[job]
    return "\n".join(found.get("script") or jobs[found["extends"]]["script"])


def without_installation(script: str) -> str:
    assert script.startswith(INSTALL_US + "\n")
    return script.removeprefix(INSTALL_US + "\n")


def test_github_builds_verifies_and_attaches(runner: Runner, tmp_path: Path) -> None:
    runner.run(without_installation(github("build", "Build")))
    (bundle,) = (runner.checkout / "bundle").iterdir()
    runner.run(github("build", "Verify"))
    runner.program("gh", RECORD)
    runner.run(github("release", "Attach the bundle to a release"), {"TAG": "v1.0", "CALLED": str(tmp_path / "called")})
    called = ["release", "create", "v1.0", "--verify-tag", "--generate-notes", f"bundle/{bundle.name}"]
    assert (tmp_path / "called").read_text().splitlines() == called
    with bundle.open("r+b") as file:
        file.seek(-5000, os.SEEK_END)
        file.write(b"altered")
    runner.run(github("build", "Verify"), code=5)


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_gitlab_builds_verifies_and_attaches(runner: Runner) -> None:
    runner.run(without_installation(gitlab("build")))
    (bundle,) = (runner.checkout / "bundle").iterdir()
    variables = {"CI_PROJECT_ID": "7", "CI_COMMIT_TAG": "v1.0", "CI_JOB_TOKEN": "token"}
    with forge(refuse="") as (url, received):
        runner.run(gitlab("release"), {"CI_API_V4_URL": url, **variables})
    package = f"/projects/7/packages/generic/yourapp/v1.0/{bundle.name}"
    assert received[package] == bundle.read_bytes()
    links = [{"name": bundle.name, "url": f"{url}{package}"}]
    assert json.loads(received["/projects/7/releases"]) == {"tag_name": "v1.0", "assets": {"links": links}}
    with forge(refuse=package) as (url, received):
        runner.run(gitlab("release"), {"CI_API_V4_URL": url, **variables}, code=22)
    assert "/projects/7/releases" not in received


@contextmanager
def forge(refuse: str) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    """A service that takes what is sent to it with the job's token, but for one path; gives its address, and that."""
    received: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            allowed = self.headers["JOB-TOKEN"] == "token" and self.path != refuse
            if allowed:
                received[self.path] = body
            self.send_response(201 if allowed else 403)
            self.end_headers()

        do_POST = do_PUT  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


@pytest.mark.servers
@pytest.mark.parametrize("hosts", [3], indirect=True)
@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_deploy(service: str, hosts: Fleet, runner: Runner, tmp_path: Path) -> None:
    """To all hosts of an environment, up to one that fails."""
    root = f"{hosts.disk}/app"
    script = github("staging", "Deploy") if service == "github" else gitlab("staging")
    assert script == (github("production", "Deploy") if service == "github" else gitlab("production"))
    restart = f"date >{hosts.disk}/restarted"
    for old, new in {"/srv/yourapp": root, "sudo -n systemctl restart yourapp": restart}.items():
        assert old in script
        script = script.replace(old, new)
    # Hosts with an address of their own, and homes, need none of this.
    script = script.replace("sh yourapp.run", f"sh yourapp.run -p {sys.executable}").replace(
        "yourapp.run", f"{hosts.disk}/yourapp.run"
    )
    case = "\n".join(f"  web{number}) port={port};;" for number, port in enumerate(hosts.ports, 1))
    for name, flag in (("ssh", "-p"), ("scp", "-P")):
        runner.program(
            name,
            "#!/bin/bash\n"
            'for word; do [[ "$word" =~ ^web[0-9] ]] && host=${word%%:*}; done\n'
            f'case "$host" in\n{case}\nesac\n'
            f'exec {shutil.which(name)} {flag} "$port" -o HostName=127.0.0.1 "$@"\n',
        )
    keys = {}
    scanned = [
        subprocess.run(["ssh-keyscan", "-p", str(port), "127.0.0.1"], check=True, capture_output=True, text=True).stdout
        for port in hosts.ports
    ]
    contents = {"SSH_KEY": hosts.identity.read_text().rstrip("\n"), "KNOWN_HOSTS": "".join(scanned)}
    for name, text in contents.items():
        keys[name] = text
        if service == "gitlab":  # variables of the type file
            (tmp_path / name).write_text(text + "\n")
            keys[name] = str(tmp_path / name)
    runner.run(without_installation(github("build", "Build")))

    assert "the environment has no HOSTS" in runner.run(script, {"HOSTS": "", **keys}, code=1)
    hosts.run(1, "mkdir", "-p", f"{root}/versions/1.0/of-somebody")
    runner.run(script, {"HOSTS": "web1 web2 web3", **keys}, code=6)
    greet = f"{root}/versions/current/bin/hello"
    assert hosts.run(0, greet) == "hello from leaf 2.0"
    hosts.run(0, "test", "-s", f"{hosts.disk}/restarted")
    assert hosts.run(2, "ls", hosts.disk) == ""
    hosts.run(1, "rm", "-r", root)
    runner.run(script, {"HOSTS": "web1 web2 web3", **keys})
    for number in range(3):
        assert hosts.run(number, greet) == "hello from leaf 2.0"
        assert hosts.run(number, "ls", hosts.disk) == "app\nrestarted"
    # A host with another key is not given anything.
    keys["KNOWN_HOSTS"] = "" if service == "github" else os.devnull
    said = runner.run(script, {"HOSTS": "web1", **keys}, code=255)
    assert "Host key verification failed" in said
