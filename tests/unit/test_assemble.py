"""The main flow from a wheel to a bundle, with tools that are played by functions: nothing is started."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import tomli_w
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from platter_setuptools.assemble import assemble, summary
from platter_setuptools.bundle.members import from_text
from platter_setuptools.config.options import Options
from platter_setuptools.context import BuildContext
from platter_setuptools.errors import ArchiveError, CommandError, DependencyError, ScriptError, UsageError, WheelError
from platter_setuptools.inspect.find import python_of
from platter_setuptools.payload import checksums as payload_checksums
from platter_setuptools.payload import manifest as payload_manifest
from platter_setuptools.runtime.concurrency import Background
from platter_setuptools.runtime.signals import signals_as_errors, what_stopped
from platter_setuptools.session import Session
from platter_setuptools.targets.find import Machines
from platter_setuptools.values import Artifact, Origin
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.build_settings import BuildSettings
from platter_setuptools.wheels.sources import Checkout
from platter_setuptools.wheels.tools import _specified
from support import handmade
from support.archives import write_archive
from support.fakes import Call, Diary, FakeRunner, target

if TYPE_CHECKING:
    from collections.abc import Callable


TOOLS = ("virtualenv", "distlib", "pip", "setuptools", "wheel")
METADATA = (
    "Metadata-Version: 2.1\nName: App\nVersion: 1.0\n"
    "Requires-Dist: dep>=1\nRequires-Dist: x; extra == 'more'\nProvides-Extra: more\n"
)


class Play(FakeRunner):
    """uv, the target's compiler, virtualenv and build scripts, played."""

    links: Path
    files: list[str]  # what requirements files the resolver was given
    missing: frozenset[str] = frozenset()
    script: Callable[[Call], object] = staticmethod(lambda _call: None)
    before_answer: Callable[[], object] = staticmethod(lambda: None)  # of what the project needs
    after_compiling: Callable[[], object] = staticmethod(lambda: None)

    def keep_temporary_files_in(self, folder: Path) -> None:
        assert folder.is_dir()

    def __call__(self, command: Any, **more: Any) -> str:
        if "compile" in command and "--refresh" not in command:
            raise CommandError(
                "uv", returncode=1, output=[]
            )  # whether something newer is passed over does not matter here
        super().__call__(command, **more)
        call = self.calls[-1]
        if "compile" in call.command:
            self.resolve(call)
        elif call.command[-1].endswith("compile.py"):
            self.compile(call)
            self.after_compiling()
        elif call.command[-1].endswith("requirements.py"):
            self.read(call)
        elif "HERE" in call.env:
            self.script(call)
        return ""

    def resolve(self, call: Call) -> None:
        source, *files = map(Path, call.command[call.command.index("--") + 1 :])
        self.files += [file.read_text() for file in files]
        names = [Requirement(line).name for line in source.read_text().splitlines()]
        if "app" in names:
            self.before_answer()
        wanted = ["dep"] if "app" in names else [name for name in TOOLS if name in {*names, "distlib"}]
        if self.missing & set(wanted):
            raise CommandError("uv", returncode=1, output=[f"Because {min(self.missing)} was not found in the cache"])
        packages = []
        for name in wanted:
            (path,) = self.links.glob(f"{name}-*.whl")
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            version = path.name.split("-")[1]
            packages.append(
                {"name": name, "version": version, "wheels": [{"url": path.as_uri(), "hashes": {"sha256": sha256}}]}
            )
        lock = {"lock-version": "1.0", "created-by": "uv", "packages": packages}
        Path(call.after("--output-file")[0]).write_text(tomli_w.dumps(lock))

    @staticmethod
    def read(call: Call) -> None:
        asked = json.loads(call.stdin)
        lines = [
            {"where": "", "constraint": kind == "constraints", "text": text, "shown": text, "requirement": None}
            for kind in ("files", "constraints")
            for file in asked[kind]
            for text in Path(file).read_text().splitlines()
        ]
        opened = asked["files"] + asked["constraints"]
        Path(asked["output"]).write_text(json.dumps({"require_hashes": False, "lines": lines, "opened": opened}))

    @staticmethod
    def compile(call: Call) -> None:
        for job in json.loads(call.stdin)["jobs"]:
            with zipfile.ZipFile(job["wheel"]) as source, zipfile.ZipFile(job["output"], "w") as output:
                for name in source.namelist():
                    if name.endswith(".py"):
                        output.writestr(zipfile.ZipInfo(f"{name[:-3]}.pyc"), name)
                output.writestr(zipfile.ZipInfo("RECORD"), "")

    def count(self, word: str) -> int:
        return sum(word in call.command for call in self.calls)


HERE = target()


@dataclass
class Yard:
    folder: Path
    play: Play = field(default_factory=Play)
    diary: Diary = field(default_factory=Diary)
    metadata: str = METADATA
    tree: Path | None = None

    def __post_init__(self) -> None:
        self.play.links, self.play.files = self.folder / "links", []
        for name in TOOLS:
            handmade.wheel(self.play.links, name, "20.0")
        handmade.wheel(self.play.links, "dep", "1.5")
        self.wheel = self.project_wheel()

    def wait_for_what_is_written_ahead(self) -> None:
        deadline = time.monotonic() + 30
        while not list((self.folder / "dist").glob(".platter-*.tmp/*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def project_wheel(self) -> Path:
        return handmade.wheel(self.folder / "project", "App", "1.0", metadata=self.metadata)

    def assemble(self, **options: Any) -> Artifact:
        values: dict[str, Any] = {
            "output": self.folder / "dist",
            "wheel_cache": self.folder / "cache",
            "format": "dir",
            **options,
        }
        self.play.stopped = False
        return assemble(
            Options(**values),
            source=self.folder / "project",
            project_wheel=lambda _context, _output: self.wheel,
            run=self.play,
            progress=self.diary,
            tree=self.tree,
        )


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "PLATTER_", "SOURCE_DATE_EPOCH")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return Yard(tmp_path)


def names(artifact: Artifact) -> set[str]:
    return {path.relative_to(artifact.path).as_posix() for path in artifact.path.rglob("*") if not path.is_dir()}


def wheels(artifact: Artifact) -> list[str]:
    return [wheel["name"] for wheel in json.loads((artifact.path / "info.json").read_text())["wheels"]]


class TestBundle:
    def test_all_of_it(self, yard: Yard) -> None:
        artifact = yard.assemble()
        found = names(artifact)
        assert {"PACKAGE", "VERSION", "PLATFORM", "info.json", "SHA256SUMS", "install.sh"} <= found
        assert {
            "data/App-1.0-py3-none-any.whl",
            "data/dep-1.5-py3-none-any.whl",
            "data/pip-20.0-py3-none-any.whl",
            "data/pylock.toml",
            "data/bootstrap/virtualenv.py",
            "data/bootstrap/distlib.py",
            "data/bootstrap/platter_payload/installation.py",
        } <= found
        assert not {"post-install.sh", "data/requirements.txt"} & found
        assert wheels(artifact) == ["dep", "pip", "app"]
        assert dict(artifact.wheels) == {Origin.PROJECT: 1, Origin.FETCHED: 2}
        assert os.listdir(yard.folder / "tmp") == []  # noqa: PTH208
        assert yard.play.stopped

    def test_the_payload_finds_no_fault(self, yard: Yard) -> None:
        artifact = yard.assemble()
        bundle = str(artifact.path)
        payload_checksums.verify(bundle, payload_checksums.read(bundle), frozenset())
        assert payload_manifest.read(bundle).title == "App 1.0"

    def test_the_second_time_is_the_same_without_any_fetching(self, yard: Yard) -> None:
        first = yard.assemble(format="tar.gz")
        content = first.path.read_bytes()
        yard.play.calls.clear()
        second = yard.assemble(format="tar.gz")
        assert second.path.read_bytes() == content
        assert second.sha256 == first.sha256 == hashlib.sha256(content).hexdigest()
        assert dict(second.wheels) == {Origin.PROJECT: 1, Origin.STORE: 2}
        assert yard.play.count("compile") == 2  # what the project needs, and the tools
        assert not [call for call in yard.play.calls if call.command[-1].endswith("compile.py")]

    def test_the_installer_is_compiled_while_the_project_is_resolved(self, yard: Yard) -> None:
        compiled, in_time = threading.Event(), []
        yard.play.after_compiling = compiled.set
        yard.play.before_answer = lambda: in_time.append(compiled.wait(30))
        artifact = yard.assemble()
        assert in_time == [True]
        assert "data/bootstrap/virtualenv.pyc" in names(artifact)
        assert sum(call.command[-1].endswith("compile.py") for call in yard.play.calls) == 2  # and the wheels

    def test_what_is_written_ahead_is_kept_if_the_resolver_says_what_it_said(self, yard: Yard) -> None:
        yard.assemble(format="tar.gz")
        yard.play.before_answer = yard.wait_for_what_is_written_ahead
        yard.diary.entries.clear()
        artifact = yard.assemble(format="tar.gz")
        assert yard.diary.said("step")[-2:] == ["Checking 3 wheels", f"Writing {artifact.path.name}"]
        assert [path.name for path in (yard.folder / "dist").iterdir()] == [artifact.path.name]

    @pytest.mark.parametrize("kind", ["tar.gz", "zip", "dir"])
    def test_what_is_written_ahead_is_thrown_away_if_the_resolver_says_something_else(
        self, yard: Yard, kind: str
    ) -> None:
        yard.assemble(format=kind)

        def release() -> None:
            yard.wait_for_what_is_written_ahead()
            next(yard.play.links.glob("dep-1.5-*")).unlink()
            handmade.wheel(yard.play.links, "dep", "1.6")

        yard.play.before_answer = release
        artifact = yard.assemble(format=kind)
        assert dict(artifact.wheels) == {Origin.PROJECT: 1, Origin.FETCHED: 1, Origin.STORE: 1}
        assert [path.name for path in (yard.folder / "dist").iterdir()] == [artifact.path.name]
        if kind == "dir":
            assert {"data/dep-1.6-py3-none-any.whl"} == {name for name in names(artifact) if "data/dep-" in name}
        assert sum(step.startswith("Writing ") for step in yard.diary.said("step")) == 2  # one for each build

    def test_what_is_written_ahead_is_thrown_away_if_the_tools_are_others(self, yard: Yard) -> None:
        yard.assemble(format="tar")
        next(yard.play.links.glob("distlib-20.0-*")).unlink()
        handmade.wheel(yard.play.links, "distlib", "21.0", files={"distlib.py": "new = True\n"})
        yard.play.before_answer = yard.wait_for_what_is_written_ahead
        artifact = yard.assemble(format="tar")
        assert b"new = True" in artifact.path.read_bytes()
        assert [path.name for path in (yard.folder / "dist").iterdir()] == [artifact.path.name]

    def test_what_is_written_ahead_is_not_there_when_the_resolver_fails(self, yard: Yard) -> None:
        before = yard.assemble(format="tar.gz").path.read_bytes()
        yard.wheel = handmade.wheel(yard.folder / "project", "App", "2.0", metadata=METADATA.replace("1.0", "2.0"))
        yard.play.missing, yard.play.before_answer = frozenset({"dep"}), yard.wait_for_what_is_written_ahead
        with pytest.raises(DependencyError, match="dep was not found"):
            yard.assemble(format="tar.gz")
        (path,) = (yard.folder / "dist").iterdir()
        assert path.read_bytes() == before

    def test_a_signal_discards_what_is_written_ahead(self, yard: Yard) -> None:
        before = yard.assemble(format="tar.gz").path.read_bytes()
        yard.wheel = handmade.wheel(yard.folder / "project", "App", "1.0", metadata=METADATA, files={"new.py": ""})

        def interrupt() -> None:
            yard.wait_for_what_is_written_ahead()
            raise KeyboardInterrupt

        yard.play.before_answer = interrupt
        with pytest.raises(KeyboardInterrupt):
            yard.assemble(format="tar.gz")
        (path,) = (yard.folder / "dist").iterdir()
        assert path.read_bytes() == before

    @pytest.mark.parametrize("kind", ["tar.gz", "zip", "dir"])
    def test_a_bundle_for_another_python_is_not_replaced(self, yard: Yard, kind: str) -> None:
        first = yard.assemble(format=kind)
        mine = python_of(first.path)
        other = from_text("info.json", json.dumps({"targets": [{"abi": "cp38"}]}))
        marks = [from_text("install.sh", ""), from_text("SHA256SUMS", "")]
        stem = first.path.name.removesuffix(f".{kind}")
        write_archive([other, *marks], stem, kind, first.path.parent, 10**9)
        with pytest.raises(ArchiveError, match=f"is a bundle for cp38, which one for {mine}"):
            yard.assemble(format=kind)
        assert python_of(first.path) == "cp38"
        beside = yard.assemble(format=kind, name_with_python=True)
        assert beside.path.name == first.path.name.replace("-1.0-", f"-1.0-{mine}-")
        assert python_of(beside.path) == mine

    @pytest.mark.parametrize("kind", ["tar.gz", "zip", "dir"])
    def test_one_that_comes_during_the_build_is_not_replaced(self, yard: Yard, kind: str) -> None:
        first = yard.assemble(format=kind)
        stem = first.path.name.removesuffix(f".{kind}")

        def other_build() -> None:
            marks = [from_text(name, "") for name in ("install.sh", "SHA256SUMS")]
            info = from_text("info.json", json.dumps({"targets": [{"abi": "cp38"}]}))
            write_archive([info, *marks], stem, kind, first.path.parent, 10**9)

        yard.play.before_answer = other_build
        with pytest.raises(ArchiveError, match="is a bundle for cp38"):
            yard.assemble(format=kind)
        assert python_of(first.path) == "cp38"
        assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]

    def test_several_targets(self, yard: Yard) -> None:
        python = f"cp3{sys.version_info[1]}"
        mine, other = f"{python}-manylinux_2_28_x86_64", f"{python}-musllinux_1_2_aarch64"
        first = yard.assemble(format="dir", target=(mine, other), no_pip=True)
        assert first.path.name.endswith("-linux-aarch64.linux-x86_64")
        plan = payload_manifest.load((first.path / "info.json").read_bytes())
        assert [(one.id, one.libc) for one in plan.targets] == [(mine, "glibc 2.28"), (other, "musl 1.2")]
        assert plan.targets[0].wheels == plan.targets[1].wheels == tuple(one.file for one in plan.wheels)
        assert {one.bytecode for one in plan.wheels} == {None}
        assert len(plan.targets[0].bytecode) == len(plan.wheels)
        again_sums = (first.path / "SHA256SUMS").read_bytes()
        again = yard.assemble(format="dir", target=(mine, other), no_pip=True)
        assert (again.path / "SHA256SUMS").read_bytes() == again_sums
        with pytest.raises(ArchiveError, match=r"is a bundle for (cp\d+), \1 musl, which one for \1 would replace"):
            yard.assemble(format="dir", target=(mine, other.replace("musllinux_1_2", "manylinux_2_28")), no_pip=True)

    def test_no_wheel_cache(self, yard: Yard) -> None:
        yard.assemble(no_wheel_cache=True)
        assert not (yard.folder / "cache").exists()

    def test_no_pip_and_no_bytecode(self, yard: Yard) -> None:
        artifact = yard.assemble(no_pip=True, no_bytecode=True)
        assert wheels(artifact) == ["dep", "app"]
        assert not [name for name in names(artifact) if name.endswith(".pyc") or "bytecode" in name]

    def test_a_project_that_needs_pip_has_it_once(self, yard: Yard) -> None:
        yard.metadata = METADATA.replace("dep>=1", "pip")
        yard.wheel = yard.project_wheel()
        lock = yard.folder / "pylock.toml"
        (path,) = yard.play.links.glob("pip-*.whl")
        hashes = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        entry = {"name": "pip", "version": "20.0", "wheels": [{"path": f"links/{path.name}", "hashes": hashes}]}
        lock.write_text(tomli_w.dumps({"lock-version": "1.0", "created-by": "me", "packages": [entry]}))
        assert wheels(yard.assemble(lock=lock)) == ["pip", "app"]
        assert not [call for call in yard.play.calls if call.after("--python-version")]

    def test_requirements_are_shipped_without_secrets(self, yard: Yard) -> None:
        one, two = yard.folder / "r.txt", yard.folder / "s.txt"
        one.write_text("--index-url https://user:secret@host/simple\ndep")
        two.write_text("dep==1\n")
        artifact = yard.assemble(requirements=(one, two))
        text = (artifact.path / "data" / "requirements.txt").read_text()
        assert text == "--index-url https://host/simple\ndep\ndep==1\n"
        assert yard.play.files == ["--index-url https://user:secret@host/simple\ndep\ndep==1\n"]

    def test_what_is_told(self, yard: Yard) -> None:
        artifact = yard.assemble()
        steps = yard.diary.said("step")
        words = [step.split()[0] for step in steps]
        words.remove("Fetching")  # the tools, which come in the background
        assert words == ["Resolving", "Fetching", "Checking", "Compiling", "Writing"]
        assert steps[-1] == f"Writing {artifact.path.name}"
        assert yard.diary.said("done") == [summary(artifact)]


def test_a_signal_after_the_bundle_is_there_does_not_deny_it(yard: Yard) -> None:
    with signals_as_errors():
        assert what_stopped(KeyboardInterrupt())[0] == "interrupted: nothing was written"
        artifact = yard.assemble()
        assert what_stopped(KeyboardInterrupt())[0] == f"interrupted: {artifact.path} was written"


class TestScripts:
    def script(self, yard: Yard, name: str) -> Path:
        path = yard.folder / name
        path.write_text("#!/bin/sh\n")
        return path

    def test_both(self, yard: Yard) -> None:
        ran: list[str] = []

        def script(call: Call) -> None:
            ran.append(Path(call.command[-1]).name)
            here, data = Path(call.env["HERE"]), Path(call.env["DATA_DIR"])
            if "pre" in ran[-1]:
                (data / "early").write_text("early")
            else:
                assert (data / "App-1.0-py3-none-any.whl").is_file()
                assert (here / "info.json").is_file()
                (data / "late").write_text("late")
                Path(call.env["INSTALL_SCRIPT"]).write_text("echo done\n")

        yard.play.script = script
        pre, post = self.script(yard, "pre.sh"), self.script(yard, "post.sh")
        artifact = yard.assemble(prebuild_script=pre, postbuild_script=post)
        assert ran == ["pre.sh", "post.sh"]
        assert {"data/early", "data/late", "post-install.sh"} <= names(artifact)
        assert (artifact.path / "post-install.sh").stat().st_mode & 0o111
        bundle = str(artifact.path)
        payload_checksums.verify(bundle, payload_checksums.read(bundle), frozenset())
        assert {"Running pre.sh", "Running post.sh"} <= set(yard.diary.said("step"))
        # The virtual environment has the tools; the bundle has not.
        (install,) = [call for call in yard.play.calls if "install" in call.command]
        installed = {Path(word).name.partition("-")[0] for word in install.command if word.endswith(".whl")}
        assert installed == {"pip", "setuptools", "wheel"}
        assert not any("setuptools" in name for name in names(artifact))

    def test_a_prebuild_script_alone_adds_files_too(self, yard: Yard) -> None:
        yard.play.script = lambda call: Path(call.env["DATA_DIR"], "early").write_text("early")
        assert "data/early" in names(yard.assemble(prebuild_script=self.script(yard, "pre.sh")))

    def test_a_failing_one(self, yard: Yard) -> None:
        def script(_call: Call) -> None:
            raise CommandError("sh", returncode=3, output=["no npm"])

        yard.play.script = script
        with pytest.raises(ScriptError, match="exit status 3"):
            yard.assemble(postbuild_script=self.script(yard, "post.sh"))
        assert not any((yard.folder / "dist").glob("*"))
        assert os.listdir(yard.folder / "tmp") == []  # noqa: PTH208

    def test_without_scripts_there_is_no_environment(self, yard: Yard) -> None:
        yard.assemble()
        assert not [call for call in yard.play.calls if "install" in call.command or "HERE" in call.env]

    def test_one_that_spoils_a_wheel(self, yard: Yard) -> None:
        yard.play.script = lambda call: Path(call.env["DATA_DIR"], "dep-1.5-py3-none-any.whl").write_text("other")
        with pytest.raises(ScriptError, match=r"changed data/dep-1\.5"):
            yard.assemble(postbuild_script=self.script(yard, "post.sh"))


class TestRefused:
    def test_an_extra_that_is_not_there(self, yard: Yard) -> None:
        with pytest.raises(UsageError, match="App has no extra most, much") as caught:
            yard.assemble(extras=("much", "more", "most"))
        assert caught.value.hint == "it has: more"
        assert not [
            call for call in yard.play.calls if "--python-version" in call.command
        ]  # the project's, not the tools'

    def test_an_extra_whose_requirement_the_lock_lacks(self, yard: Yard) -> None:
        with pytest.raises(WheelError, match=r"app 1\.0 requires x, which is missing"):
            yard.assemble(extras=("More",))

    def test_a_project_that_does_not_fit(self, yard: Yard) -> None:
        yard.wheel = yard.wheel.rename(yard.wheel.with_name("App-1.0-cp27-cp27m-win32.whl"))
        with pytest.raises(WheelError, match="does not fit"):
            yard.assemble()

    def test_no_network_and_a_cold_store(self, yard: Yard) -> None:
        with pytest.raises(DependencyError, match="the wheel cache has no answer of a resolver to "):
            yard.assemble(no_download=True)
        assert not any((yard.folder / "dist").glob("*"))
        assert os.listdir(yard.folder / "tmp") == []  # noqa: PTH208
        assert yard.play.count("compile") == 0

    def test_no_network_and_a_warm_store(self, yard: Yard) -> None:
        yard.assemble()
        yard.play.calls.clear()
        assert dict(yard.assemble(no_download=True).wheels) == {Origin.PROJECT: 1, Origin.STORE: 2}


class TestPatchReleases:
    def test_what_other_patches_need_is_resolved_in_a_second_round(self, yard: Yard) -> None:
        late = "{}.{}.998".format(*sys.version_info)
        yard.metadata = f"{METADATA}Requires-Dist: backport; python_full_version >= '{late}'\n"
        yard.wheel = yard.project_wheel()
        handmade.wheel(yard.play.links, "backport", "1.0")
        rounds: list[str] = []
        real = yard.play.resolve

        def resolve(call: Call) -> None:
            text = Path(call.command[call.command.index("--") + 1]).read_text()
            if "app @" in text:
                rounds.append(text)
            real(call)

        yard.play.resolve = resolve  # type: ignore[method-assign]
        yard.assemble()
        assert len(rounds) == 2
        assert rounds[1].splitlines()[1:] == ["backport"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [(None, "wheel"), ("1.0", "wheel==1.0"), (">=1,<2", "wheel>=1,<2"), ("~=1.0", "wheel~=1.0"), ("!=3", "wheel!=3")],
)
def test_specified(version: str | None, expected: str) -> None:
    assert _specified("wheel", version) == expected
    Requirement(expected)


def context_of(options: Options, yard: Yard, work: Path) -> BuildContext:
    session = Session(
        options=options,
        source=yard.folder,
        run=yard.play,
        progress=yard.diary,
        work=work,
        background=Background(),
        checkout=Checkout(None, yard.play, record=False),
        cache=WheelCache(yard.folder / "cache"),
    )
    return BuildContext(session, Machines(HERE, HERE))


def test_a_builder_without_isolation_shares_the_scripts_environment(yard: Yard) -> None:
    options = Options(
        output=yard.folder, wheel_cache=yard.folder / "cache", pip_option=("--no-build-isolation", "-Ca=b")
    )
    context = context_of(options, yard, yard.folder)
    assert context.needs_environment
    assert context.builder.shared() is context.environment
    assert context.dependencies.build_settings(canonicalize_name("x")) == BuildSettings(
        config_settings={"a": "b"}, isolated=False
    )
    assert cast("Any", context.resolvers.project.resolver).python == Path(context.environment.python_executable)


def test_what_limits_builds_is_part_of_the_key_of_what_is_built(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(number: int) -> str:
        options = Options(output=yard.folder, wheel_cache=yard.folder / "cache")
        work = yard.folder / f"work{number}"
        work.mkdir()
        context = context_of(options, yard, work)
        return context.dependencies.build_settings(canonicalize_name("x")).key

    file = yard.folder / "limits.txt"
    keys = [key(0)]
    for number, (name, text) in enumerate(
        [("UV_BUILD_CONSTRAINT", "a<1"), ("UV_BUILD_CONSTRAINT", "a<2"), ("PIP_BUILD_CONSTRAINT", "b<1")], 1
    ):
        file.write_text(text)
        monkeypatch.setenv(name, str(file))
        keys.append(key(number))
    (yard.folder / "uv.toml").write_text('build-constraint-dependencies = ["c<1"]\n')
    keys += [key(4), key(5)]
    assert keys[-1] == keys[-2]
    assert len(set(keys)) == len(keys) - 1


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["uv.lock"], ["uv.lock is not used: --lock uv.lock takes it"]),
        (["uv.lock", "pylock.toml"], ["pylock.toml is not used: --lock pylock.toml takes it"]),
        (["uv.lock", "PKG-INFO"], []),  # an sdist
        ([], []),
    ],
)
def test_locks_that_are_not_used(yard: Yard, files: list[str], told: list[str]) -> None:
    yard.tree = yard.folder / "project"
    for name in files:
        (yard.tree / name).write_text("")
    yard.assemble()
    assert [said for said in yard.diary.said("warn") if "is not used" in said] == told


def test_what_few_builds_need_is_not_imported() -> None:
    imported = "import sys, platter_setuptools.assemble, platter_setuptools.lock_project as _; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", imported], check=True, stdout=subprocess.PIPE, text=True)
    assert {"elftools", "gzip", "requests", "rich", "tomli_w", "uv"}.isdisjoint(done.stdout.split())


def test_summary() -> None:
    artifact = Artifact(
        path=Path("/dist/app.tar.gz"),
        size=96_200_000,
        sha256="ab" * 32,
        wheels={Origin.STORE: 60, Origin.FETCHED: 5, Origin.BUILT: 2, Origin.PROJECT: 1},
        seconds=3.21,
    )
    assert summary(artifact).splitlines() == [
        "/dist/app.tar.gz",
        "  size     96.2 MB",
        f"  sha256   {'ab' * 32}",
        "  wheels   68: 60 from the wheel cache, 5 fetched, 3 built",
        "  time     3.2 s",
    ]
