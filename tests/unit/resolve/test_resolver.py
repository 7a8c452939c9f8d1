"""Resolving: the command lines of uv and pip, pip's report as a lock, and what is said when there is no solution."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uv as uv_program
from packaging.pylock import PackageArchive, PackageDirectory, PackageSdist, PackageVcs, PackageWheel

from platter_setuptools._in_process import run_pip
from platter_setuptools.errors import CommandError, DependencyError, UsageError
from platter_setuptools.resolve.indexes import IndexSettings
from platter_setuptools.resolve.pip_config import read_settings
from platter_setuptools.resolve.preferences import Preferences
from platter_setuptools.resolve.requirements import Line, Requirements
from platter_setuptools.resolve.resolver import PipResolver, Request, UvResolver
from platter_setuptools.resolve.uv import uv_platform
from platter_setuptools.targets.description import from_name
from support.fakes import Call, FakeRunner, failing, target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from platter_setuptools.resolve.lock import Lock

LOCK = """
lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "dep"
version = "1.0"
wheels = [{ url = "https://host/dep-1.0-py3-none-any.whl", hashes = { sha256 = "%s" } }]
""" % ("ab" * 32)
HASHES = {"sha256": "ab" * 32}
PYTHON = Path("/opt/python")


def uv(run: FakeRunner, tmp_path: Path, settings: IndexSettings | None = None) -> UvResolver:
    return UvResolver(
        python=PYTHON,
        settings=settings or IndexSettings(),
        run=run,
        work=tmp_path,
        project=tmp_path / "project",
    )


def pip(run: FakeRunner, tmp_path: Path, *options: str, environ: dict[str, str] | None = None) -> PipResolver:
    base, options_base = tmp_path / "here", tmp_path / "project"
    settings = read_settings(options, environ=environ or {}, config_files=(), base=base, options_base=options_base)
    return PipResolver(
        python=PYTHON,
        pip=lambda: Path("/pip.whl"),
        settings=settings,
        run=run,
        work=tmp_path,
        project=tmp_path / "project",
    )


def said(*lines: str) -> Requirements:
    """What files say: requirements, and constraints after -c."""
    texts = [(line.removeprefix("-c "), line.startswith("-c ")) for line in lines]
    return Requirements(
        lines=tuple(Line(where="", constraint=limit, text=text, shown=text) for text, limit in texts),
    )


def arguments(call: Call) -> list[str]:
    """What pip is told."""
    words: list[str] = json.loads(call.stdin)["arguments"]
    return words


def locking(call: Call) -> str:
    """What uv does."""
    Path(call.after("--output-file")[0]).write_text(LOCK)
    return ""


def reporting(*items: dict[str, Any], environment: Mapping[str, str] | None = None) -> Callable[[Call], str]:
    """What pip does."""

    def answer(call: Call) -> str:
        if call.stdin:
            words = arguments(call)
            report = {"version": "1", "install": list(items), "environment": environment}
            Path(words[words.index("--report") + 1]).write_text(json.dumps(report))
        return ""

    return answer


class TestUv:
    def test_the_command(self, tmp_path: Path) -> None:
        read: list[str] = []

        def answer(call: Call) -> str:
            files = [*call.command[call.command.index("--") + 1 :], *call.after("--constraints")]
            read.extend(Path(file).read_text() for file in [*files, *call.after("--build-constraints")])
            assert {stat.S_IMODE(Path(file).stat().st_mode) for file in files[1:]} == {0o600}
            return locking(call)

        run = FakeRunner(answer)
        lock = uv(run, tmp_path)(
            Request(
                requirements=("app @ file:///a.whl", "dep[x]>=1; python_version<'4'"),
                said=said("one==1", "-c two<2", "three --hash=sha256:00"),
                build=said("-c four<4"),
                python_version="3.11.0",
            )
        )
        (call,) = run.calls
        assert call.command[0] == uv_program.find_uv_bin()
        assert [*call.after("--format"), *call.after("--python")] == ["pylock.toml", str(PYTHON)]
        assert call.after("--python-version") == ["3.11.0"]
        assert "--refresh" in call.command
        # Builds that uv asks for metadata leave nothing in their folders.
        assert call.env["PYTHONDONTWRITEBYTECODE"] == "1"
        config = Path(call.env["DIST_EXTRA_CONFIG"])
        assert f"egg_base = {config.parent / 'egg-info'}\n" in config.read_text()
        assert call.cwd == tmp_path / "project"
        assert read == [
            "app @ file:///a.whl\ndep[x]>=1; python_version<'4'\n",
            "one==1\nthree --hash=sha256:00\n",
            "two<2\n",
            "four<4\n",
        ]
        # uv insists on this form of the name.
        assert re.fullmatch(r"pylock(\.\w+)?\.toml", Path(call.after("--output-file")[0]).name)
        assert [package.name for package in lock.pylock.packages] == ["dep"]

    def test_offline(self, tmp_path: Path) -> None:
        run = FakeRunner(locking)
        dataclasses.replace(uv(run, tmp_path), offline=True)(Request(requirements=("dep",)))
        assert "--refresh" not in run.calls[0].command  # uv refuses it

    def test_a_repository_s_login_goes_by_the_environment(self, tmp_path: Path) -> None:
        read: list[str] = []

        def answer(call: Call) -> str:
            read.append(Path(call.command[-1]).read_text())
            return locking(call)

        run = FakeRunner(answer)
        line = "x @ git+https://tok3n@host/x.git@main#egg=x"
        request = Request(requirements=(), said=said(line))
        uv(run, tmp_path)(request)
        assert read == ["x @ git+https://host/x.git@main#egg=x\n"]
        of_a_group = FakeRunner(answer)
        uv(of_a_group, tmp_path)(Request(requirements=(line,)))
        assert read[0] == read[1]
        environ = {name: value for name, value in run.calls[0].env.items() if name.startswith("GIT_")}
        assert environ == {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "http.https://host/x.git.extraHeader",
            "GIT_CONFIG_VALUE_0": "Authorization: Basic dG9rM246",
            "GIT_CONFIG_KEY_1": "http.https://host/.extraHeader",  # of submodules
            "GIT_CONFIG_VALUE_1": "Authorization: Basic dG9rM246",
        }
        assert environ.items() <= of_a_group.calls[0].env.items()
        answered = FakeRunner(reporting())
        pip(answered, tmp_path)(request)
        assert environ.items() <= answered.calls[1].env.items()

    def test_no_python_version_unless_asked_for(self, tmp_path: Path) -> None:
        run = FakeRunner(locking)
        uv(run, tmp_path)(Request(requirements=()))
        assert "--python-version" not in run.calls[0].command

    def test_what_pip_is_configured_to_do(self, tmp_path: Path) -> None:
        settings = IndexSettings(index_url="https://user:secret@host/simple", no_binary=("dep",), proxy="http://p")
        run = FakeRunner(locking)
        uv(run, tmp_path, settings)(Request(requirements=("dep",)))
        (call,) = run.calls
        assert "--no-binary=dep" in call.command
        assert call.env["UV_DEFAULT_INDEX"] == "https://user:secret@host/simple"
        assert call.env["HTTPS_PROXY"] == "http://p"
        assert "secret" not in " ".join(call.command)

    def test_what_only_pip_understands(self, tmp_path: Path) -> None:
        run = FakeRunner(locking)
        with pytest.raises(UsageError, match="--use-feature: only pip understands") as caught:
            uv(run, tmp_path, IndexSettings(unknown=("--use-feature=x",)))(Request(requirements=()))
        assert 'resolver = "pip"' in str(caught.value.hint)
        assert run.calls == []

    def test_versions_to_keep(self, tmp_path: Path) -> None:
        found: list[str] = []

        def answer(call: Call) -> str:
            found.append(Path(call.after("--output-file")[0]).read_text())
            return locking(call)

        keep = Preferences(kept=("a==1", 'b==2 ; os_name == "posix"'), upgraded=("c<3", "b"))
        run = FakeRunner(answer)
        uv(run, tmp_path)(Request(requirements=("a",), preferences=keep))
        packages = tomllib.loads(found[0])["packages"]
        assert packages == [
            {"name": "a", "version": "1"},
            {"name": "b", "version": "2", "marker": 'os_name == "posix"'},
        ]
        assert run.calls[0].after("--upgrade-package") == ["c<3", "b"]

    def test_groups_of_other_members(self, tmp_path: Path) -> None:
        run = FakeRunner(locking)
        uv(run, tmp_path)(Request(requirements=("a",), member_groups=((tmp_path, "prod"),)))
        assert run.calls[0].after("--group") == [f"{tmp_path}/pyproject.toml:prod"]

    def test_two_resolutions_do_not_meet(self, tmp_path: Path) -> None:
        run = FakeRunner(locking)
        resolver = uv(run, tmp_path)
        resolver(Request(requirements=("a",)))
        resolver(Request(requirements=("b",)))
        assert run.calls[0].after("--output-file") != run.calls[1].after("--output-file")


class TestPip:
    def test_the_command(self, tmp_path: Path) -> None:
        run = FakeRunner(reporting())
        pip(run, tmp_path, "--no-binary=a,b", "-f '/srv/my wheels'")(
            Request(
                requirements=("app @ file:///a.whl", "-dash"), said=said("one==1", "-c two<2"), build=said("-c x<2")
            )
        )
        asked, call = run.calls
        assert asked.command == (str(PYTHON), "-m", "pip", "--version")
        assert call.command == (str(PYTHON), run_pip.__file__)
        assert json.loads(call.stdin)["path"] == []
        words = arguments(call)
        assert words[:2] == ["install", "--dry-run"]
        assert {"--ignore-installed", "--no-input"} <= set(words)
        assert {"--find-links=/srv/my wheels", "--no-binary=a,b", "--no-user"} <= set(words)
        assert Path(words[words.index("--src") + 1]).is_relative_to(tmp_path)
        assert call.env["PIP_REQUIRE_VIRTUALENV"] == "no"
        files = [words[words.index(flag) + 1] for flag in ("--constraint", "--requirement")]
        files.append(call.env["PIP_BUILD_CONSTRAINT"])
        assert [Path(file).read_text() for file in files] == [
            "two<2\n",
            "one==1\n",
            "x<2\n",
        ]
        assert words[words.index("--") + 1 :] == ["app @ file:///a.whl", "-dash"]
        assert "--no-index" not in words
        assert call.cwd == tmp_path / "project"

    def test_paths_start_where_they_are_said(self, tmp_path: Path) -> None:
        run = FakeRunner(reporting())
        environ = {"PIP_FIND_LINKS": "a https://h", "PIP_CERT": "ca.pem", "PIP_CACHE_DIR": "c", "PIP_TIMEOUT": "9"}
        pip(run, tmp_path, "--find-links=b", "--cert=own.pem", environ=environ)(Request(requirements=("dep",)))
        call = run.calls[1]
        here = tmp_path / "here"
        assert (
            call.env.items()
            >= {
                "PIP_FIND_LINKS": f"{here}/a https://h",
                "PIP_CERT": f"{here}/ca.pem",
                "PIP_CACHE_DIR": f"{here}/c",
                "PIP_REQUIRE_VIRTUALENV": "no",
            }.items()
        )
        assert {f"--find-links={tmp_path}/project/b", f"--cert={tmp_path}/project/own.pem"} <= set(arguments(call))

    def test_versions_to_keep_are_constraints(self, tmp_path: Path) -> None:
        found: list[str] = []

        def answer(call: Call) -> str:
            if call.stdin:
                words = arguments(call)
                found.extend(
                    Path(words[place + 1]).read_text() for place, one in enumerate(words) if one == "--constraint"
                )
            return reporting()(call)

        keep = Preferences(kept=("a==1", 'b==2 ; os_name == "posix"'), upgraded=("C<3", "B"))
        pip(FakeRunner(answer), tmp_path)(Request(requirements=("a",), said=said("-c d<4"), preferences=keep))
        assert found == ["d<4\n", "a==1\nC<3\n"]

    def test_an_interpreter_without_pip(self, tmp_path: Path) -> None:
        def without_pip(call: Call) -> str:
            if call.command == (str(PYTHON), "-m", "pip", "--version"):
                raise CommandError("no pip", returncode=1, output=["No module named pip"])
            return reporting()(call)

        run = FakeRunner(without_pip)
        pip(run, tmp_path)(Request(requirements=("dep",)))
        assert json.loads(run.calls[1].stdin)["path"] == ["/pip.whl"]


def item(name: str, url: str, **info: Any) -> dict[str, Any]:
    direct = info.pop("is_direct", False)
    return {
        "download_info": {"url": url, **info},
        "is_direct": direct,
        "metadata": {"name": name, "version": "1.0"},
    }


class TestReport:
    def lock(self, tmp_path: Path, *items: dict[str, Any]) -> Lock:
        return pip(FakeRunner(reporting(*items)), tmp_path)(Request(requirements=("x",)))

    def test_each_kind(self, tmp_path: Path) -> None:
        archive = {"archive_info": {"hash": "sha256=" + "ab" * 32, "hashes": HASHES}}
        commit = {"vcs": "git", "requested_revision": "main", "commit_id": "12" * 20}
        lock = self.lock(
            tmp_path,
            item("A.Wheel", "https://host/a_wheel-1.0-py3-none-any.whl", **archive),
            item("b-sdist", "https://host/b-sdist-1.0.tar.gz", **archive),
            item("c-direct", "https://host/c.zip", is_direct=True, subdirectory="sub", **archive),
            item("d-vcs", "https://host/d.git", is_direct=True, vcs_info=commit, subdirectory="sub"),
            item("e-folder", "file:///srv/e", is_direct=True, dir_info={}),
            item("f-fragment", "https://host/f_fragment-1.0-py3-none-any.whl?token=1#x", **archive),
        )
        artifacts: list[Any] = [artifact for _package, artifact in lock.select(target())]
        kinds = [PackageWheel, PackageSdist, PackageArchive, PackageVcs, PackageDirectory, PackageWheel]
        assert [type(artifact) for artifact in artifacts] == kinds
        assert [str(one.name) for one in lock.pylock.packages][:2] == ["a-wheel", "b-sdist"]
        assert artifacts[0].hashes == HASHES
        assert (artifacts[2].subdirectory, artifacts[3].subdirectory) == ("sub", "sub")
        assert (artifacts[3].type, artifacts[3].commit_id) == ("git", "12" * 20)
        assert lock.folder_of(artifacts[4]) == Path("/srv/e")

    def test_hashes_as_pip_had_them_before_23_1(self, tmp_path: Path) -> None:
        file = tmp_path / "b c-1.0-py3-none-any.whl"
        file.write_bytes(b"wheel")
        lock = self.lock(
            tmp_path,
            item("a", "https://host/a-1.0-py3-none-any.whl", archive_info={"hash": "sha256=" + "ab" * 32}),
            item("b", file.as_uri(), is_direct=True, archive_info={}),
        )
        wheels, archive = lock.pylock.packages[0].wheels, lock.pylock.packages[1].archive
        assert wheels
        assert wheels[0].hashes == HASHES
        assert archive
        assert archive.hashes == {"sha256": hashlib.sha256(b"wheel").hexdigest()}

    def test_an_index_without_hashes(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError, match="pip's report is not a valid lock") as caught:
            self.lock(tmp_path, item("a", "https://host/a-1.0-py3-none-any.whl", archive_info={}))
        assert "hash" in str(caught.value.hint)


UV_SAYS = (
    "error: No solution found when resolving dependencies",
    "  cause: Because nosuch was not found in the package registry and you require nosuch==3, we can conclude that",
)
UV_SAYS_OFFLINE = ("  cause: Because my-dep was not found in the cache and you require my-dep, we can conclude that",)
PIP_SAYS = (
    "ERROR: Could not find a version that satisfies the requirement nosuch>=1 (from app) (from versions: none)",
    "ERROR: No matching distribution found for nosuch>=1",
)


class TestNoSolution:
    def test_uv(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError, match="cannot be resolved: nosuch was not found") as caught:
            uv(failing(*UV_SAYS), tmp_path)(Request(requirements=("nosuch==3",)))
        assert caught.value.exit_code == 4
        assert caught.value.output == UV_SAYS

    def test_pip(self, tmp_path: Path) -> None:
        def answer(call: Call) -> str:
            if call.stdin:
                raise CommandError("failed", returncode=1, output=PIP_SAYS)
            return ""

        with pytest.raises(DependencyError, match="cannot be resolved: nosuch>=1 was not found"):
            pip(FakeRunner(answer), tmp_path)(Request(requirements=("nosuch",)))

    def test_words_that_we_do_not_know(self, tmp_path: Path) -> None:
        with pytest.raises(DependencyError, match=r"cannot be resolved$"):
            uv(failing("something else"), tmp_path)(Request(requirements=("x",)))


class TestAnotherTarget:
    @pytest.mark.parametrize(
        ("name", "platform"),
        [
            ("cp312-manylinux_2_17_x86_64", "x86_64-manylinux_2_17"),
            ("cp312-manylinux_2_29_aarch64", "aarch64-manylinux_2_28"),
            ("cp312-manylinux_2_45_aarch64", "aarch64-manylinux_2_40"),
            ("cp312-musllinux_1_2_x86_64", "x86_64-unknown-linux-musl"),
            ("cp312-macosx_14_0_arm64", "aarch64-apple-darwin"),
        ],
    )
    def test_uv_resolves_for_the_newest_system_that_is_not_newer(
        self, name: str, platform: str, tmp_path: Path
    ) -> None:
        run = FakeRunner(locking)
        resolve = dataclasses.replace(uv(run, tmp_path), target=from_name(name))
        resolve(Request(requirements=("dep",), python_version="3.12.0"))
        assert run.calls[0].after("--python-platform") == [platform]
        assert run.calls[0].after("--python-version") == ["3.12.0"]
        assert run.calls[0].after("--python") == [str(PYTHON)]
        assert run.calls[0].env.get("MACOSX_DEPLOYMENT_TARGET") == ("14.0" if "macosx" in name else None)
        resolve(Request(requirements=("dep",), universal=True))
        assert run.calls[1].after("--python-platform") == []
        assert run.calls[1].after("--python-version") == ["3.12.99"]

    def test_uv_knows_these(self) -> None:
        """The values of --python-platform, which its help lists."""
        help_text = subprocess.run(
            [uv_program.find_uv_bin(), "pip", "compile", "--help"], check=True, capture_output=True
        ).stdout
        known = set(re.findall(r"[\w-]+", help_text.decode()))
        for system in ("manylinux_2_17", "manylinux_2_28", *(f"manylinux_2_{minor}" for minor in range(31, 60))):
            assert uv_platform(from_name(f"cp312-{system}_x86_64")) in known
        assert {"x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "aarch64-apple-darwin"} <= known

    @pytest.mark.parametrize("name", ["cp312-manylinux_2_28_s390x", "cp312-manylinux_2_5_x86_64"])
    def test_uv_cannot(self, name: str, tmp_path: Path) -> None:
        resolve = dataclasses.replace(uv(FakeRunner(locking), tmp_path), target=from_name(name))
        with pytest.raises(UsageError, match=f"uv cannot resolve for {name}") as caught:
            resolve(Request(requirements=("dep",)))
        assert "resolver = pip" in str(caught.value.hint)

    def test_pip_is_told_what_to_take_for_its_interpreter(self, tmp_path: Path) -> None:
        server = from_name("cp312-manylinux_2_28_s390x")
        markers = {**server.environment, "python_full_version": "3.12.0", "implementation_version": "3.12.0"}
        run = FakeRunner(reporting(environment=markers))
        resolve = dataclasses.replace(pip(run, tmp_path), target=server)
        resolve(Request(requirements=("dep",), python_version="3.12.0"))
        told = json.loads(run.calls[-1].stdin)["target"]
        assert (told["version"], told["markers"]["platform_machine"]) == ([3, 12, 0], "s390x")
        assert told["tags"] == [str(tag) for tag in server.tags]

    def test_pip_resolved_for_another_one(self, tmp_path: Path) -> None:
        resolve = dataclasses.replace(
            pip(FakeRunner(reporting(environment={})), tmp_path), target=from_name("cp312-manylinux_2_28_s390x")
        )
        with pytest.raises(DependencyError, match="pip resolved for another target"):
            resolve(Request(requirements=("dep",)))
