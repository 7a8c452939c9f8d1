"""The order of a deployment, and what it refuses before anything is touched. The installation itself is left out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload import checksums, manifest
from platter_setuptools.payload.errors import CommandError, DestinationError, HookError
from platter_setuptools.payload.install import install_state
from platter_setuptools.payload.options import Given, Options
from platter_setuptools.payload.preflight import health
from platter_setuptools.payload.releases import last_commands, switch
from platter_setuptools.payload.releases.deploy import deploy, refuse_another_signer, refuse_others
from platter_setuptools.payload.releases.root import Root
from support import roots

if TYPE_CHECKING:
    from platter_setuptools.payload.terminal import Terminal


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """One release, which is active."""
    made = roots.make(tmp_path, "1.0")
    with made.held():
        switch.activate(made, "1.0", roots.NONE)
    return made


@pytest.fixture(autouse=True)
def _bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle that is deployed: version 1.1 of the project."""
    plan = SimpleNamespace(name="app", version="1.1", created_by="platter-setuptools 0.1")
    monkeypatch.setattr(checksums, "read", lambda _: {})
    monkeypatch.setattr(checksums, "identity", lambda _: "1.1" * 8)
    monkeypatch.setattr(manifest, "read_verified", lambda *_: plan)


def install(options: Options, _: str, terminal: Terminal) -> None:
    """Stand in for the installation."""
    folder = Path(options.destination)
    if not options.check and not folder.exists():
        terminal.step("installing")
        roots.release(Root(str(folder.parents[1]), terminal), folder.name)


def deployed(root: Root, **options: Any) -> None:
    commands = Given(**{name: options.pop(name) for name in Given._fields if name in options})
    deploy(Options(destination="", root=root.path, commands=commands, **options), "", root.terminal, install)


def test_the_order(root: Root, capfd: pytest.CaptureFixture[str]) -> None:
    deployed(root, health_check="echo healthy", reload="echo reloaded; readlink ../current", keep=5)
    said = capfd.readouterr().out.splitlines()
    assert said == [
        "installing",
        "  checking the health of 1.1",
        "healthy",
        "  reloading",
        "reloaded",
        "1.1",
        "1.1 is active now, 1.0 was before.",
    ]
    assert roots.changes(root)[-2:] == ["install - 1.1 done", "activate 1.0 1.1 done"]
    assert (Path(root.path) / "platter").exists()
    assert last_commands.commands(root, Given(), 0o022).health_check == "echo healthy"


def test_a_second_time_nothing_happens(root: Root, capfd: pytest.CaptureFixture[str]) -> None:
    deployed(root)
    before = roots.changes(root)
    capfd.readouterr()
    deployed(root, health_check="echo healthy")
    assert roots.changes(root) == before
    assert capfd.readouterr().out.splitlines() == [
        "1.1 is active already; not run: the health check.",
        "  kept for later switches: --health-check",
    ]
    deployed(root, health_check="echo healthy")
    assert capfd.readouterr().out == "1.1 is active already; not run: the health check.\n"
    deployed(root, health_check="", command_timeout=600)
    assert capfd.readouterr().out.splitlines() == [
        "1.1 is active already.",
        "  kept for later switches: --no-health-check, --command-timeout 600",
    ]
    assert roots.changes(root) == before


def test_without_activation(root: Root, capfd: pytest.CaptureFixture[str]) -> None:
    deployed(root, no_activate=True, health_check='echo "healthy after $PLATTER_PREVIOUS"')
    assert roots.current(root) == "1.0"
    said = capfd.readouterr().out.splitlines()
    assert said[-2:] == ["healthy after 1.0", "  kept for later switches: --health-check"]
    assert roots.changes(root)[-1] == "install - 1.1 done"


def test_check_touches_nothing(root: Root) -> None:
    before = sorted(Path(root.path).rglob("*"))
    deployed(root, check=True, keep=1)
    assert sorted(Path(root.path).rglob("*")) == before


def test_an_installation_that_fails(tmp_path: Path) -> None:
    """Not even the root is left, and nothing was run."""

    def fail(*_: object) -> None:
        raise HookError("post-install.sh exited with 1", hint="look")

    options = Options(destination="", root=str(tmp_path / "new"), commands=Given(f"touch {tmp_path}/ran"))
    with pytest.raises(HookError):
        deploy(options, "", roots.make(tmp_path).terminal, fail)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "ran").exists()


def test_a_health_check_that_fails(root: Root) -> None:
    """The release stays, the one before is active, and the commands of the last time are kept."""
    deployed(root, no_activate=True, health_check="true", reload="")
    with pytest.raises(CommandError, match=r"1\.0 is still active"):
        deployed(root, health_check="exit 1")
    assert roots.current(root) == "1.0"
    assert Path(root.folder("1.1")).is_dir()
    assert last_commands.commands(root, Given(), 0o022).health_check == "true"


def test_another_project(root: Root) -> None:
    refuse_others(root, "App")  # as PEP 503 compares names
    with pytest.raises(DestinationError, match="holds the releases of app, and this bundle is of other"):
        refuse_others(root, "other")


@pytest.mark.parametrize(
    ("signer", "new_signer", "refused"),
    [("ada", False, False), ("eve", False, True), ("eve", True, False), ("bob,eve", False, False), ("", False, False)],
)
def test_another_signer(
    root: Root, signer: str, capfd: pytest.CaptureFixture[str], *, new_signer: bool, refused: bool
) -> None:
    folder = root.folder("1.0")
    note = install_state.read(folder)
    assert note is not None
    install_state.write(folder, note._replace(signer="ada,bob"))
    options = Options(destination="", signer=signer, new_signer=new_signer)
    if refused:
        with pytest.raises(DestinationError, match="releases that ada,bob signed, and this bundle was signed by eve"):
            refuse_another_signer(root, options)
    else:
        refuse_another_signer(root, options)
    assert ("signature was not checked" in capfd.readouterr().err) == (not signer)


class TestTheActiveRelease:
    @pytest.fixture
    def other(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> Root:
        """The root, for another build of the version that is active."""
        plan = SimpleNamespace(name="app", version="1.0", created_by="platter-setuptools 0.1")
        monkeypatch.setattr(manifest, "read_verified", lambda *_: plan)
        return root

    def test_another_build_does_not_replace_it(self, other: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "examine", lambda _: [])
        with pytest.raises(DestinationError, match="is the active release, and replacing it would interrupt") as caught:
            deployed(other)
        assert "a version of its own" in caught.value.hint

    def test_unless_it_cannot_run(self, other: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "examine", lambda _: ["its Python is gone"])
        deployed(other)

    def test_a_link_in_its_place(self, root: Root, tmp_path: Path) -> None:
        Path(root.folder("1.1")).symlink_to(tmp_path)
        with pytest.raises(DestinationError, match=r"1\.1 is a link to"):
            deployed(root)
