"""Workspaces of uv, several packages in one bundle, and projects that depend on the folder beside them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

from support import projects
from support.front_ends import info, output, unpack, wheels

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.front_ends import Yard

BACKEND = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'


def member(folder: Path, name: str, requires: Sequence[str] = (), more: str = "", *, backend: str = BACKEND) -> Path:
    """A project with one module, which imports those of the members that it requires, and one command."""
    ours = [one for one in requires if one in {"core", "models", "api", "worker"}]
    sources = "".join(f"{one} = {{ workspace = true }}\n" for one in ours)
    text = f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.10"\n'
    text += f"dependencies = {json.dumps([*requires])}\n"
    text += f'[project.scripts]\n{name} = "{name}_module:main"\n'
    text += f'{backend}[tool.setuptools]\npy-modules = ["{name}_module"]\n'
    text += f"[tool.uv.sources]\n{sources}" if ours else ""
    imports = "".join(f"import {one}_module\n" for one in ours)
    told = "".join(f" + ' ' + {one}_module.NAME" for one in ours)
    module = f"{imports}NAME = '{name}'{told}\n\n\ndef main():\n    print(NAME)\n"
    return projects.write(folder, {"pyproject.toml": text + more, f"{name}_module.py": module})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace of four members: api and worker use models, and that uses core."""
    root = tmp_path / "root"
    projects.write(root, {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*", "services/*"]\n'})
    member(root / "packages/core", "core", ["leaf"])
    member(root / "packages/models", "models", ["core"])
    member(root / "services/api", "api", ["models", "core"])
    member(root / "services/worker", "worker", ["models", "alpha"])
    return root


def uv_lock(yard: Yard, root: Path) -> None:
    yard.run(
        uv.find_uv_bin(),
        "lock",
        "--quiet",
        "--python",
        sys.executable,
        cwd=root,
        UV_INDEX_URL=yard.environ["PIP_INDEX_URL"],
    )


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class TestOneMember:
    def test_its_siblings_are_built_by_lock_and_without(self, yard: Yard, root: Path) -> None:
        artifact = yard.build(root, "--package", "api")
        assert artifact == root / "dist" / artifact.name
        assert wheels(artifact) == {"api": "1.0", "models": "1.0", "core": "1.0", "leaf": "2.0"}
        assert yard.say(artifact, "api") == "api models core core"
        before = artifact.read_bytes()
        assert yard.build(root / "services/api", "-o", root / "dist").read_bytes() == before
        uv_lock(yard, root)
        done = yard.platter("build", "services/api", cwd=root)
        assert f"{root / 'uv.lock'} is not used: --lock {root / 'uv.lock'} takes it" in done.stderr
        done = yard.platter("build", "--package=api", "--lock=uv.lock", cwd=root)
        assert "Resolving" not in done.stderr
        assert artifact.read_bytes() == before
        assert {path.name for path in (root / "services/api").iterdir()} == {"pyproject.toml", "api_module.py"}

    def test_a_change_in_a_sibling_is_seen(self, yard: Yard, root: Path) -> None:
        before = yard.build(root, "--package=worker").read_bytes()
        assert yard.build(root, "--package=worker").read_bytes() == before
        replace(root / "packages/core/core_module.py", "NAME = 'core'", "NAME = 'changed'")
        replace(root / "packages/models/pyproject.toml", '["core"]', '["core", "beta"]')
        artifact = yard.build(root, "--package=worker")
        assert wheels(artifact).keys() == {"worker", "models", "core", "leaf", "alpha", "beta"}
        assert yard.say(artifact, "worker") == "worker models changed"

    def test_members_in_a_circle(self, yard: Yard, root: Path) -> None:
        replace(root / "packages/core/pyproject.toml", '["leaf"]', '["leaf", "api"]')
        with (root / "packages/core/pyproject.toml").open("a") as file:
            file.write("[tool.uv.sources]\napi = { workspace = true }\n")
        artifact = yard.build(root, "--package=api")
        assert wheels(artifact).keys() == {"api", "models", "core", "leaf"}
        before = artifact.read_bytes()
        uv_lock(yard, root)
        assert yard.build(root, "--package=api", "--lock=uv.lock").read_bytes() == before

    def test_a_virtual_root_is_no_project(self, yard: Yard, root: Path) -> None:
        said = yard.refuse(2, root)
        assert f"{root} is the root of a workspace, and not a project itself" in said
        assert "--package NAME: api, core, models, worker\n" in said
        assert "has no member beta\n  hint: it has: api, core, models, worker\n" in yard.refuse(
            2, root, "--package=beta"
        )
        wheel = projects.write(yard.folder / "other", {"a-1-py3-none-any.whl": ""}) / "a-1-py3-none-any.whl"
        assert "is not a folder of a workspace" in yard.refuse(2, root, wheel, "--package=api")

    def test_a_root_that_does_not_build(self, yard: Yard, root: Path) -> None:
        replace(root / "pyproject.toml", "[tool.uv", '[project]\nname = "root"\nversion = "1"\n[tool.uv')
        said = yard.refuse(3, root)
        assert "Multiple top-level packages discovered" in said
        assert "; or choose members of its workspace: --package api, core, models, root, worker\n" in said

    def test_two_members_of_one_name(self, yard: Yard, root: Path) -> None:
        member(root / "packages/more", "core")
        assert "Two workspace members are both named `core`" in yard.refuse(2, root, "--package=api")


class TestSeveralPackages:
    def test_one_bundle_installs_them_all(self, yard: Yard, root: Path) -> None:
        artifact = yard.build(root, "--package=api", "--package", "worker")
        assert artifact.name.startswith("api-1.0-linux")
        everything = {"api", "worker", "models", "core", "leaf", "alpha"}
        assert wheels(artifact).keys() == everything
        assert {one["name"] for one in info(artifact)["wheels"] if one["requested"]} == {"api", "worker"}
        assert "is in order: api 1.0" in yard.platter("verify", artifact, cwd=root).stderr
        told = yard.platter("inspect", artifact, cwd=root).stdout
        assert "  packages   api 1.0, worker 1.0\n" in told
        assert "  commands   api, worker\n" in told
        bill = json.loads(yard.platter("inspect", "--sbom", artifact, cwd=root).stdout)
        assert bill["metadata"]["component"]["name"] == "api"
        depends = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
        assert depends[bill["metadata"]["component"]["bom-ref"]] == ["pkg:pypi/api@1.0", "pkg:pypi/worker@1.0"]
        lock = tomllib.loads((unpack(artifact, yard.folder / "unpacked") / "data/pylock.toml").read_text())
        assert {one["name"] for one in lock["packages"]} == everything

        application = yard.install(artifact)
        assert output(application / "bin/api") == "api models core core"
        assert output(application / "bin/worker") == "worker models core"
        requested = {path.parent.name for path in (application / "lib").rglob("*.dist-info/REQUESTED")}
        assert {"api-1.0.dist-info", "worker-1.0.dist-info"} <= requested
        assert "core-1.0.dist-info" not in requested

        before = artifact.read_bytes()
        uv_lock(yard, root)
        assert yard.build(root, "--package=api,worker", "--lock=uv.lock").read_bytes() == before
        yard.platter("lock", "--package=api,worker", cwd=root)
        lock_file = root / "services/api/pylock.toml"
        assert {one["name"] for one in tomllib.loads(lock_file.read_text())["packages"]} == everything - {
            "api",
            "worker",
        }
        assert yard.build(root, "--package=api,worker", "--lock", lock_file).read_bytes() == before

    def test_one_that_requires_the_other(self, yard: Yard, root: Path) -> None:
        words = ("--no-bytecode", "--package=core,api")
        assert wheels(yard.build(root, *words)).keys() == {"core", "api", "models", "leaf"}
        uv_lock(yard, root)
        assert wheels(yard.build(root, *words, "--lock=uv.lock")).keys() == {"core", "api", "models", "leaf"}

    def test_with_pip(self, yard: Yard, root: Path) -> None:
        """pip knows of no sources: all members that are needed are named."""
        said = yard.refuse(4, root, "--resolver=pip", "--package=api,core")
        assert said.count("pip does not read [tool.uv.sources]: models may come from an index instead") == 1
        assert "models was not found" in said
        done = yard.platter("build", "--resolver=pip", "--package=api,models,core", cwd=root)
        assert "tool.uv.sources" not in done.stderr
        artifact = Path(done.stdout.strip())
        assert wheels(artifact).keys() == {"api", "models", "core", "leaf"}

    def test_a_lock_that_lacks_one(self, yard: Yard, root: Path) -> None:
        yard.platter("lock", "--package=api", cwd=root)
        said = yard.refuse(5, root, "--package=api,worker", "--lock=services/api/pylock.toml")
        assert "worker 1.0 requires alpha, which is missing" in said

    def test_extras_and_groups_are_those_of_each(self, yard: Yard, root: Path) -> None:
        more = '[project.optional-dependencies]\nfast = ["beta"]\n[dependency-groups]\nprod = ["branch"]\n'
        member(root / "services/worker", "worker", ["models"], more)
        member(root / "services/api", "api", ["models"], '[dependency-groups]\nown = ["only-linux"]\n')
        words = ("--package=api,worker", "--extra=fast", "--group=prod,own")
        found = {"api": "1.0", "worker": "1.0", "models": "1.0", "core": "1.0", "leaf": "1.0", "branch": "1.0"}
        found |= {"beta": "1.0", "only-linux": "1.0"}
        artifact = yard.build(root, *words)
        assert wheels(artifact) == found
        uv_lock(yard, root)
        before = artifact.read_bytes()
        assert yard.build(root, *words, "--lock=uv.lock").read_bytes() == before
        assert "api and worker have no extra none" in yard.refuse(2, root, "--package=api,worker", "--extra=none")
        said = yard.refuse(2, root, "--package=api,worker", "--group=none")
        assert "api and worker have no dependency group none" in said
        assert "exclude: worker is the project itself" in yard.refuse(
            2, root, "--package=api,worker", "--exclude=worker"
        )

    def test_a_group_of_siblings_and_a_member_that_uv_does_not_install(self, yard: Yard, root: Path) -> None:
        member(root / "services/api", "api", ["alpha"])
        more = '[tool.uv]\npackage = false\n[dependency-groups]\nprod = ["core"]\n'
        member(root / "services/worker", "worker", ["models"], more, backend="")
        replace(root / "services/worker/pyproject.toml", "sources]\n", "sources]\ncore = { workspace = true }\n")
        words = ("--package=api,worker", "--group=prod")
        artifact = yard.build(root, *words)
        assert wheels(artifact).keys() == {"api", "worker", "models", "core", "leaf", "alpha"}
        before = artifact.read_bytes()
        uv_lock(yard, root)
        assert yard.build(root, *words, "--lock=uv.lock").read_bytes() == before


class TestConfiguration:
    def test_the_first_package_counts_more_than_the_root(self, yard: Yard, root: Path) -> None:
        with (root / "pyproject.toml").open("a") as file:
            file.write('[tool.platter]\npackage = ["api", "worker"]\noutput = "bundles"\nformat = "tar.xz"\n')
        with (root / "services/api/pyproject.toml").open("a") as file:
            file.write('[tool.platter]\nformat = "tar"\npackage = ["core"]\n')
        artifact = yard.build(root)
        assert (artifact.parent, artifact.suffix) == (root / "bundles", ".tar")
        assert wheels(artifact).keys() == {"api", "worker", "models", "core", "leaf", "alpha"}
        told = json.loads(yard.platter("config", "--json", cwd=root).stdout)
        assert told["package"] == {
            "value": ["api", "worker"],
            "place": f"{root / 'pyproject.toml'} [tool.platter] package",
        }
        assert str(root / "services/api/pyproject.toml") in told["format"]["place"]
        assert wheels(yard.build(root, PLATTER_BUILD_PACKAGE="core")).keys() == {"core", "leaf"}

    def test_setup_py_in_a_member(self, yard: Yard, root: Path) -> None:
        api = root / "services/api"
        (api / "setup.py").write_text(projects.EMPTY_SETUP_PY)
        artifact = yard.command(api, "--package=api,worker")
        assert wheels(artifact).keys() == {"api", "worker", "models", "core", "leaf", "alpha"}
        assert artifact.read_bytes() == yard.build(root, "--package=api,worker").read_bytes()
        said = yard.setup_py(api, "-q", "bdist_platter", "--package=worker", code=1).stderr
        assert "package: worker is not the project that is built here, api" in said
        assert wheels(yard.command(api)).keys() == {"api", "models", "core", "leaf"}

    def test_our_backend_in_a_member(self, yard: Yard, root: Path) -> None:
        api = root / "services/api"
        replace(api / "pyproject.toml", '"setuptools.build_meta"', '"platter_setuptools.build_meta"')
        words = ("--wheel", "--no-isolation", "-Cplatter=true", "-Cplatter.package=api,worker")
        yard.run(sys.executable, "-m", "build", *words, cwd=api)
        (artifact,) = (api / "dist").glob("*.tar.gz")
        assert wheels(artifact).keys() == {"api", "worker", "models", "core", "leaf", "alpha"}


class TestBadInput:
    def test_members_that_contradict_each_other(self, yard: Yard, root: Path) -> None:
        member(root / "services/worker", "worker", ["leaf<2"])
        member(root / "services/api", "api", ["leaf>=2"])
        assert wheels(yard.build(root, "--package=worker"))["leaf"] == "1.0"
        said = yard.refuse(4, root, "--package=api,worker")
        assert "worker" in said
        assert "leaf<2" in said

    def test_a_member_for_another_python(self, yard: Yard, root: Path) -> None:
        replace(root / "packages/core/pyproject.toml", '">=3.10"', '">=3.99"')
        said = yard.refuse(4, root, "--package=api")
        assert ">=3.99" in said
        replace(root / "packages/core/pyproject.toml", '">=3.99"', '">=3.10"')
        replace(root / "services/worker/pyproject.toml", '">=3.10"', '">=3.99"')
        assert ">=3.99" in yard.refuse(4, root, "--package=api,worker")

    def test_a_member_that_does_not_build(self, yard: Yard, root: Path) -> None:
        replace(root / "services/worker/pyproject.toml", "py-modules", "no-modules")
        said = yard.refuse(4, root, "--package=api,worker")
        assert f"the wheel of {root / 'services/worker'} cannot be built" in said
        assert "configuration error: `tool.setuptools` must not contain {'no-modules'}" in said

    def test_a_member_without_its_command(self, yard: Yard, root: Path) -> None:
        (root / "services/worker/worker_module.py").unlink()
        said = yard.refuse(5, root, "--package=api,worker")
        assert "worker 1.0 and api 1.0 have commands that cannot start:\n  worker = worker_module:main" in said


class TestPlainFolders:
    """No workspace: folders that name each other."""

    @pytest.fixture
    def services(self, tmp_path: Path) -> Path:
        folder = tmp_path / "plain"
        member(folder / "lib/core", "core", ["leaf"])
        member(folder / "lib/models", "models", [f"core @ {(folder / 'lib/core').as_uri()}"])
        member(folder / "api", "api", ["base", "models"])
        replace(folder / "api/pyproject.toml", "{ workspace = true }", '{ path = "../lib/models" }')
        return folder

    def test_paths_urls_and_links(self, yard: Yard, services: Path) -> None:
        from support import handmade  # noqa: PLC0415

        handmade.wheel(services / "links", "base", "1.0")
        words = ("--pip-option=--find-links=links", "--no-bytecode")
        artifact = yard.build(services, "api", *words)
        assert wheels(artifact).keys() == {"api", "base", "models", "core", "leaf"}
        before = artifact.read_bytes()
        yard.platter("lock", "api", words[0], cwd=services)
        assert yard.build(services, "api", *words, "--lock=api/pylock.toml").read_bytes() == before
        replace(services / "lib/core/core_module.py", "NAME = 'core'", "NAME = 'changed'")
        assert yard.build(services, "api", *words).read_bytes() != before

    def test_the_recorded_commit_does_not_cover_other_repositories(self, yard: Yard, services: Path) -> None:
        replace(services / "api/pyproject.toml", '"base", ', "")
        projects.commit(services / "api")
        words = ("--record-git-state", "--no-bytecode")
        done = yard.platter("build", "api", *words, cwd=services)
        for name in ("core", "models"):
            told = f"{name} is built from {services / 'lib' / name}, which the recorded commit does not cover"
            assert f"warning: record-git-state: {told}\n" in done.stderr
        shutil.rmtree(services / "api/.git")
        projects.commit(services)
        done = yard.platter("build", "api", *words, cwd=services)
        assert "does not cover" not in done.stderr

    def test_a_folder_that_is_gone(self, yard: Yard, services: Path) -> None:
        replace(services / "api/pyproject.toml", '"base", ', "")
        yard.platter("lock", "api", cwd=services)
        (services / "lib/models").rename(services / "elsewhere")
        said = yard.refuse(4, services, "api")
        assert f"{services / 'lib/models'}" in said
        said = yard.refuse(4, services, "api", "--lock=api/pylock.toml")
        assert f"the lock names the folder {services / 'lib/models'}, which is not there" in said
        (services / "lib/models").symlink_to("models")  # which leads to itself
        assert yard.refuse(4, services, "api", "--lock=api/pylock.toml")
        assert yard.refuse(4, services, "api")
