"""ROOT/shared: what is found wrong before anything is made, what is made, and what of it stays after a failure."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import BundleError, DestinationError, HostError
from platter_setuptools.payload.install import install_state, shared_folder
from platter_setuptools.payload.install.shared_folder import SharedFolder, examine_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
NOBODY = 65534
PATHS = ("app.env", "media/", "var/log/")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with an empty release, and the one file that has to be there."""
    path = Path(os.path.realpath(tmp_path)) / "root"
    (path / "versions" / "1.0").mkdir(parents=True)
    (path / "shared").mkdir()
    (path / "shared" / "app.env").write_text("SECRET=1\n")
    return path


def of(root: Path, paths: Sequence[str] = PATHS, version: str = "1.0") -> SharedFolder:
    return SharedFolder(str(root), str(root / "versions" / version), paths)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_folders_are_made_and_all_of_it_is_linked(root: Path) -> None:
    there = of(root)
    assert there.examine() == []
    there.settle()
    assert tree(root / "shared") == ["app.env", "media", "var", "var/log"]
    release = root / "versions" / "1.0"
    links = {str(path.relative_to(release)): str(path.readlink()) for path in release.rglob("*") if path.is_symlink()}
    assert links == {
        "app.env": "../../shared/app.env",
        "media": "../../shared/media",
        "var/log": "../../../shared/var/log",
    }
    assert (release / "app.env").read_text() == "SECRET=1\n"
    assert there.examine(installed=True) == []


def test_links_lead_there_from_versions_that_are_elsewhere(root: Path, tmp_path: Path) -> None:
    elsewhere = Path(os.path.realpath(tmp_path)) / "disk" / "versions" / "1.0"
    elsewhere.mkdir(parents=True)
    there = SharedFolder(str(root), str(elsewhere), PATHS)
    there.settle()
    assert (elsewhere / "app.env").read_text() == "SECRET=1\n"
    assert (elsewhere / "var" / "log").resolve() == root / "shared" / "var" / "log"
    assert there.examine(installed=True) == []


def test_nothing_is_made_without_paths(root: Path) -> None:
    (root / "shared" / "app.env").unlink()
    (root / "shared").rmdir()
    there = of(root, ())
    assert there.examine() == there.examine(installed=True) == []
    there.settle()
    assert tree(root) == ["versions", "versions/1.0"]


def test_a_root_that_is_not_there_yet_lacks_its_files_only(tmp_path: Path) -> None:
    there = of(Path(os.path.realpath(tmp_path)) / "new")
    (finding,) = there.examine()
    assert finding.kind is HostError
    assert finding.text == f"shared: expected the file {os.path.realpath(tmp_path)}/new/shared/app.env, found nothing"


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o700, 0o2775])
def test_what_is_made_has_mode_and_owner_of_the_root(root: Path, mode: int) -> None:
    root.chmod(mode)
    if os.geteuid() == 0:
        os.chown(root, 0, 12)
        root.chmod(mode)  # which a change of owner may take a bit from
    before = os.umask(0o077)
    try:
        of(root).settle()
    finally:
        os.umask(before)
    for name in ("media", "var", "var/log"):
        made, like = (root / "shared" / name).stat(), root.stat()
        assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (mode, like.st_uid, like.st_gid)


def test_what_is_there_is_left_as_it_is(root: Path) -> None:
    media = root / "shared" / "media"
    media.mkdir()
    media.chmod(0o701)
    (media / "cat.png").write_bytes(b"cat")
    (root / "shared" / "app.env").chmod(0o600)
    there = of(root)
    there.settle()
    there.withdraw()
    assert stat.S_IMODE(media.stat().st_mode) == 0o701
    assert stat.S_IMODE((root / "shared" / "app.env").stat().st_mode) == 0o600
    assert tree(root / "shared") == ["app.env", "media", "media/cat.png"]


def test_what_was_made_goes_after_a_failure_unless_something_is_in_it(root: Path) -> None:
    there = of(root)
    there.settle()
    (root / "shared" / "var" / "log" / "first.log").touch()
    there.withdraw()
    assert tree(root / "shared") == ["app.env", "var", "var/log", "var/log/first.log"]


def remove(path: Path) -> None:
    path.rmdir() if path.is_dir() else path.unlink()


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda shared: remove(shared / "app.env"), "expected the file {shared}/app.env, found nothing"),
        (lambda shared: as_folder(shared / "app.env"), "expected the file {shared}/app.env, found a folder"),
        (lambda shared: (shared / "media").touch(), "expected the folder {shared}/media, found a file"),
        (lambda shared: (shared / "var").touch(), "expected the folder {shared}/var, found a file"),
        (lambda shared: os.mkfifo(shared / "media"), "expected the folder {shared}/media, found something else"),
        (lambda shared: as_link(shared / "media", "/no/disk"), "{shared}/media is a link to /no/disk: No such file"),
        (lambda shared: as_link(shared / "media", "media"), "{shared}/media is a link to media: Too many levels"),
        (lambda shared: as_link(shared / "media", "/etc/passwd"), "expected the folder {shared}/media, found a file"),
        (lambda shared: as_link(shared / "app.env", "/etc"), "expected the file {shared}/app.env, found a folder"),
        (lambda shared: as_link(shared / "app.env", "/dev/null"), "{shared}/app.env, found something else"),
        (lambda shared: as_link(shared / "media", ".."), "{shared}/media is a link to .., in the root but not in"),
        (lambda shared: as_link(shared / "media", "../versions/1.0"), "in the root but not in {shared}"),
        (lambda shared: as_link(shared / "var", "../versions"), "in the root but not in {shared}"),
        (lambda shared: shared.chmod(0o777), "{shared} can be changed by anybody"),
        (lambda shared: as_link(shared / "var", "/tmp"), "{shared}/var can be changed by anybody"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_made(root: Path, change: Callable[[Path], None], said: str) -> None:
    shared = root / "shared"
    change(shared)
    before = tree(root)
    there = of(root)
    findings = there.examine()
    assert said.format(shared=shared) in "\n".join(one.text for one in findings)
    assert {one.kind for one in findings} == {HostError}
    assert all(one.hint for one in findings)
    with pytest.raises(HostError, match="is not what it was before"):
        there.settle()
    there.withdraw()
    assert tree(root) == before


def test_all_that_is_missing_is_told(root: Path) -> None:
    remove(root / "shared" / "app.env")
    (root / "shared" / "media").touch()
    found = of(root, ("app.env", "etc/db.env", "media/", "var/log/")).examine()
    assert [one.text for one in found] == [
        f"shared: expected the file {root}/shared/app.env, found nothing",
        f"shared: expected the file {root}/shared/etc/db.env, found nothing",
        f"shared: expected the folder {root}/shared/media, found a file",
    ]


def test_links_of_the_owner_may_lead_out(root: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (disk / "media").mkdir(parents=True)
    (disk / "app.env").write_text("SECRET=2\n")
    as_link(root / "shared" / "app.env", str(disk / "app.env"))
    (root / "shared" / "media").symlink_to(disk / "media")
    of(root).settle()
    release = root / "versions" / "1.0"
    assert (release / "app.env").read_text() == "SECRET=2\n"
    assert (release / "media").resolve() == (disk / "media").resolve()


def test_the_folder_itself_may_be_a_link_and_nothing_is_made_behind_it(root: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (root / "shared").rename(disk)
    (root / "shared").symlink_to(disk)
    (finding, _) = of(root).examine()
    assert finding.text == f"shared: expected the folder {root}/shared/media, found nothing"
    (disk / "media").mkdir()
    (disk / "var" / "log").mkdir(parents=True)
    of(root).settle()
    assert (root / "versions" / "1.0" / "media").resolve() == (disk / "media").resolve()


def test_links_within_the_folder_are_fine(root: Path) -> None:
    (root / "shared" / "old-media").mkdir()
    (root / "shared" / "media").symlink_to("old-media")
    of(root).settle()
    assert (root / "versions" / "1.0" / "media").resolve() == root / "shared" / "old-media"


@AS_ROOT
@pytest.mark.parametrize("name", ["", "var"])
def test_nobody_else_owns_what_leads_to_a_shared_path(root: Path, name: str) -> None:
    place = root / "shared" / name
    place.mkdir(exist_ok=True)
    os.chown(place, NOBODY, NOBODY)
    (finding, *_) = of(root).examine()
    assert finding.text == f"shared: {place} belongs to nobody"


@AS_ROOT
def test_the_superuser_trusts_no_group_but_that_of_the_root(root: Path) -> None:
    for place in (root, root / "shared"):
        os.chown(place, 0, 12)
        place.chmod(0o2775)
    assert of(root).examine() == []
    os.chown(root / "shared", 0, 13)
    (root / "shared").chmod(0o2775)
    (finding,) = of(root).examine()
    assert finding.text == f"shared: {root}/shared can be changed by group 13"


@AS_ROOT
@pytest.mark.parametrize(("name", "target"), [("media", "/srv"), ("app.env", "/etc/passwd"), ("var", "/srv")])
def test_no_link_of_somebody_else_is_followed(root: Path, name: str, target: str) -> None:
    link = root / "shared" / name
    as_link(link, target)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    (finding,) = of(root).examine()
    assert finding.text == f"shared: {link} belongs to nobody"


@AS_ROOT
def test_what_is_shared_may_belong_to_the_user_of_a_service(root: Path) -> None:
    (root / "shared" / "media").mkdir()
    (root / "shared" / "media").chmod(0o777)
    for name in ("media", "app.env"):
        os.chown(root / "shared" / name, NOBODY, NOBODY)
    assert of(root).examine() == []


def test_what_a_killed_run_left_on_the_way_goes(root: Path) -> None:
    (root / ".platter-new").mkdir(0o700)
    (root / "shared" / "var").mkdir()
    (root / "shared" / "var" / ".platter-new").mkdir(0o700)
    (root / "shared" / ".platter-new").mkdir(0o700)
    of(root).settle()
    assert tree(root / "shared") == ["app.env", "media", "var", "var/log"]
    assert not (root / ".platter-new").exists()


def test_nothing_that_is_half_made_is_seen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two steps a folder is not there, or has its mode and owner."""
    root.chmod(0o750)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("fchmod", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            there = of(root, ("media/",))
            with pytest.raises(OSError, match="No space"):
                there.settle()
            there.withdraw()
        assert tree(root / "shared") == ["app.env"]


STEPS = ("mkdir", "fchmod", "fchown", "rename", "symlink", "rmdir")


def end_before(step: int, there: SharedFolder) -> bool:
    """Settle in a process that is gone, as after kill -9, before it has changed more than that. False if it ended."""
    child = os.fork()
    if not child:
        left = [step]

        def counted(function: Callable[..., None]) -> Callable[..., None]:
            def call(*arguments: object, **more: object) -> None:
                if not left[0]:
                    os._exit(9)
                left[0] -= 1
                function(*arguments, **more)

            return call

        try:
            for name in STEPS:
                setattr(os, name, counted(getattr(os, name)))
            there.settle()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, 9}
    return status == 9


def test_a_run_that_is_killed_between_any_two_steps(root: Path, tmp_path: Path) -> None:
    """What has its name is whole; the next run finds nothing in its way, and leaves nothing behind."""
    (root / "shared" / "app.env").unlink()
    (root / "shared").rmdir()
    root.chmod(0o2750)
    paths, step = ("media/", "var/log/"), 0
    while True:
        copy = tmp_path / str(step)
        shutil.copytree(root, copy)
        killed = end_before(step, of(copy, paths))
        made = [path for path in [copy / "shared", *(copy / "shared").rglob("*")] if path.exists()]
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o2750 for path in made if path.name != ".platter-new")
        (copy / "versions" / "1.1").mkdir()
        of(copy, paths, "1.1").settle()
        assert tree(copy / "shared") == ["media", "var", "var/log"]
        assert sorted(path.name for path in copy.iterdir()) == ["shared", "versions"]
        if not killed:
            break
        step += 1
    assert step > 10


@pytest.mark.parametrize("put", ["media", "media/x", "var/log", "var"])
def test_the_release_must_not_have_something_there(root: Path, put: str) -> None:
    path = root / "versions" / "1.0" / put
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(BundleError, match="the release has something of its own there"):
        of(root).settle()
    assert path.read_bytes() == b""


def test_what_became_of_an_installed_release_is_told(root: Path) -> None:
    of(root).settle()
    release = root / "versions" / "1.0"
    note = install_state.Marker(
        "complete", "b", "app", "1.0", "linux-x86_64", "3.11", created=True, when="2026", shared_paths=PATHS
    )
    install_state.write(str(release), note)
    assert examine_installed(str(root), str(release)) == []
    (release / "app.env").unlink()
    as_link(release / "media", "/srv")
    (release / "var" / "log").unlink()
    (release / "var" / "log").mkdir()
    (root / "shared" / "var" / "log").rmdir()
    assert [(one.kind, one.text) for one in examine_installed(str(root), str(release))] == [
        (HostError, f"shared: expected the folder {root}/shared/var/log, found nothing"),
        (DestinationError, "app.env is missing: it was a link to ../../shared/app.env"),
        (DestinationError, "media is a link to /srv, and was one to ../../shared/media"),
        (DestinationError, "var/log is not what was installed: it was a link to ../../../shared/var/log"),
    ]


def test_a_release_that_says_nothing_shares_nothing(root: Path) -> None:
    assert shared_folder.examine_installed(str(root), str(root / "versions" / "1.0")) == []
