"""What build servers and release scripts do around a build: versions from git, uploads of what is in dist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import projects

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.front_ends import Yard
    from support.index import Index

ROOT = Path(__file__).parents[2]
GIT = ("git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")


class TestVersionsFromGit:
    """What `git archive` writes has no history, from which setuptools-scm takes the version."""

    FAILURE = "LookupError: setuptools-scm was unable to detect version for /somewhere."

    def test_the_hint(self, yard: Yard) -> None:
        backend = f"""
            [build-system]
            requires = ["tinybackend"]
            build-backend = "tinybackend"

            [tool.tiny]
            name = "hello"
            version = "1.0"
            fail = "{self.FAILURE}"
        """
        project = projects.write(yard.folder / "project", {"pyproject.toml": backend})
        said = yard.refuse(3, project)
        assert "hint: there is no git history to derive the version from: set SETUPTOOLS_SCM_PRETEND_VERSION" in said

    @pytest.mark.network
    def test_the_ways(self, network_yard: Yard) -> None:
        project = projects.write(
            network_yard.folder / "project",
            {
                "pyproject.toml": projects.PYPROJECT.replace('["setuptools"]', '["setuptools", "setuptools-scm"]')
                .replace('version = "1.0"', 'dynamic = ["version"]')
                .replace('["leaf"]', "[]")
                + "\n    [tool.setuptools_scm]\n",
                "hello.py": "def main():\n    print('hello')\n",
            },
        )
        projects.commit(project)
        bare = self.unpacked(project, "bare")
        # What it says about a project without a version is what our hint looks for.
        assert "set SETUPTOOLS_SCM_PRETEND_VERSION, or commit a .git_archival.txt" in network_yard.refuse(3, bare)
        bundle = network_yard.build(bare, SETUPTOOLS_SCM_PRETEND_VERSION="1.5")
        assert bundle.name.startswith("hello-1.5-")
        docs = (ROOT / "docs" / "automation.md").read_text()
        (block,) = re.findall(r"``\n# \.git_archival\.txt\n(.*?)``", docs, re.DOTALL)
        (project / ".git_archival.txt").write_text(block)
        (project / ".gitattributes").write_text(".git_archival.txt  export-subst\n")
        for words in (("add", "--all"), ("commit", "--quiet", "--message", "second"), ("tag", "v2.1")):
            subprocess.run([*GIT, *words], cwd=project, check=True)
        assert network_yard.build(self.unpacked(project, "archival")).name.startswith("hello-2.1-")

    @staticmethod
    def unpacked(project: Path, name: str) -> Path:
        """As a build server gets it."""
        folder = project.with_name(name)
        folder.mkdir()
        script = 'git archive HEAD | gzip > "$1.tar.gz" && tar -xzf "$1.tar.gz" -C "$1"'
        subprocess.run(["sh", "-ec", script, "sh", folder], cwd=project, check=True)
        return folder


@pytest.mark.network
class TestTwine:
    @pytest.fixture
    def dist(self, yard: Yard) -> Path:
        project = projects.hello(yard.folder / "project")
        yard.setup_py(project, "-q", "sdist", "bdist_wheel", "bdist_platter")
        dist = project / "dist"
        assert len(list(dist.iterdir())) == 3
        return dist

    def test_a_bundle_is_refused_and_nothing_is_uploaded(
        self, dist: Path, tool: Callable[[str, str], tuple[str, ...]]
    ) -> None:
        twine = tool("twine", "twine")
        files = sorted(map(str, dist.iterdir()))
        for words in (["check"], ["upload", "--repository-url", "http://127.0.0.1:9/", "-u", "a", "-p", "b"]):
            done = subprocess.run([*twine, *words, *files], check=False, capture_output=True, text=True)
            assert done.returncode == 1
            assert "InvalidDistribution" in done.stdout + done.stderr

    def test_the_release_script(self, yard: Yard, index: Index, tool: Callable[[str, str], tuple[str, ...]]) -> None:
        """The manual's, line by line, with a local index for the upload."""
        page = (ROOT / "docs" / "building.md").read_text()
        (script,) = re.findall(r"``sh\n(python -m build\n.*?)``", page, re.DOTALL)
        project = projects.hello(yard.folder / "project")
        twine = shlex.join(tool("twine", "twine"))
        script = script.replace("python -m build\n", "python setup.py -q sdist bdist_wheel\n")
        script = script.replace("twine upload", f"{twine} upload --repository-url {index.url}upload -u a -p b")
        script = script.replace("twine check", f"{twine} check").replace(" --strict", "")
        path = f"{Path(sys.executable).parent}:{yard.environ['PATH']}"
        yard.run("sh", "-ec", script, cwd=project, PATH=path)
        assert sorted(index.uploads) == ["hello-1.0-py3-none-any.whl", "hello-1.0.tar.gz"]
        assert [path.name.partition("-linux")[0] for path in (project / "bundles").iterdir()] == ["hello-1.0"]
