"""`shared`: folders and files that stay when releases come and go, from the option to the links of each release."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.thinning import make_thin
from support import handmade, projects
from support.front_ends import PLATTER, info, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from support.front_ends import Yard

Done = subprocess.CompletedProcess[str]
PATHS = ("app.env", "media/", "var/log/")
# What a service does with its shared paths: it reads its settings, and leaves a file.
SERVE = """
import os
import pathlib
import sys


def main():
    here = pathlib.Path(sys.prefix)
    print((here / "app.env").read_text().strip(), *sorted(os.listdir(here / "media")))
    (here / "media" / sys.argv[1]).touch()
"""


def bundle(folder: Path, version: str, shared: tuple[str, ...] = PATHS, **more: Any) -> handmade.Bundle:
    points = "[console_scripts]\nserve = serve:main\n"
    wheel = handmade.wheel(folder / version, "serve", version, files={"serve.py": SERVE}, entry_points=points)
    return handmade.bundle(folder, [wheel], shared=shared, **more)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, handmade.Bundle]:
    """Three releases: the first shares nothing, the others do."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "1.0": bundle(folder, "1.0", ()),
        "1.1": bundle(folder, "1.1"),
        "1.2": bundle(folder, "1.2", (*PATHS, "new.env")),
        "1.3": bundle(folder, "1.3"),
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root in which an operator has put the file that has to be there."""
    path = tmp_path / "srv" / "app"
    (path / "shared").mkdir(parents=True)
    (path / "shared" / "app.env").write_text("SECRET=1\n")
    return path


@pytest.fixture
def deploy(bundles: Mapping[str, handmade.Bundle], root: Path) -> Callable[..., Done]:
    def run(version: str, *words: str | Path, code: int = 0) -> Done:
        return install(bundles[version], "--root", root, *words, code=code)

    return run


def install(made: handmade.Bundle, *words: str | Path, code: int = 0, **options: Any) -> Done:
    done = handmade.run(made, *words, **options)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def platter(root: Path, *words: str, code: int = 0, **options: Any) -> Done:
    environment = {"PATH": os.defpath}
    done = subprocess.run(
        [root / "platter", *words], check=False, capture_output=True, text=True, timeout=60, env=environment, **options
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# Installing


def test_what_is_missing_is_told_at_once_and_nothing_is_touched(deploy: Callable[..., Done], root: Path) -> None:
    (root / "shared" / "app.env").unlink()
    (root / "shared" / "media").touch()
    for words in ([], ["--check"], ["--no-activate"]):
        said = deploy("1.2", *words, code=5).stderr
        assert f"shared: expected the file {root}/shared/app.env, found nothing" in said
        assert f"shared: expected the file {root}/shared/new.env, found nothing" in said
        assert f"shared: expected the folder {root}/shared/media, found a file" in said
        assert "hint: make what is missing" in said
        assert tree(root) == ["shared", "shared/media"]


def test_a_root_that_is_not_there_stays_away(bundles: Mapping[str, handmade.Bundle], tmp_path: Path) -> None:
    assert "app.env, found nothing" in install(bundles["1.1"], "--root", tmp_path / "new", code=5).stderr
    assert tree(tmp_path) == []


def test_one_folder_has_no_shared_paths(bundles: Mapping[str, handmade.Bundle], tmp_path: Path) -> None:
    for words in ([], ["--check"], ["--force"]):
        said = install(bundles["1.1"], tmp_path / "dst", *words, code=2).stderr
        assert "shares app.env, media/, var/log/" in said
        assert "hint: use --root" in said
    assert tree(tmp_path) == []


def test_it_is_a_file_or_folder_of_all_releases(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.0")
    assert tree(root / "shared") == ["app.env"]
    assert deploy("1.1", "--health-check", "serve 1.1").stdout.count("SECRET=1\n") == 1
    assert deploy("1.3", "--health-check", "serve 1.3").stdout.count("SECRET=1 1.1\n") == 1
    (root / "shared" / "app.env").write_text("SECRET=2\n")
    assert "SECRET=2 1.1 1.3\n" in platter(root, "rollback", "--health-check", "serve back").stdout
    platter(root, "rollback", "--no-health-check")
    for version in ("1.1", "1.3"):
        (release := root / "versions" / version).joinpath("var", "log", version).touch()
        assert str((release / "media").readlink()) == "../../shared/media"
    assert tree(root / "shared") == [
        *("app.env", "media", "media/1.1", "media/1.3", "media/back", "var", "var/log", "var/log/1.1", "var/log/1.3")
    ]
    listed = {one["version"]: one["shared_paths"] for one in json.loads(platter(root, "list", "--json").stdout)}
    assert listed == {"1.0": [], "1.1": list(PATHS), "1.3": list(PATHS)}


def test_releases_go_and_what_they_share_stays(deploy: Callable[..., Done], root: Path) -> None:
    for version in ("1.0", "1.1", "1.3"):
        deploy(version)
    (root / "shared" / "media" / "cat.png").touch()
    (root / "shared" / "unknown").mkdir()
    before = tree(root / "shared")
    platter(root, "activate", "1.0")
    deploy("1.3", "--no-activate", "--force")
    platter(root, "activate", "1.3")
    platter(root, "prune", "--keep", "1")
    assert sorted(path.name for path in (root / "versions").iterdir()) == ["1.0", "1.3", "current"]
    assert tree(root / "shared") == before
    platter(root, "doctor")


def test_scripts_find_the_links(tmp_path: Path, root: Path) -> None:
    script = 'cat "$VIRTUAL_ENV/app.env"; touch "$VIRTUAL_ENV/media/by-script"; test -L "$VIRTUAL_ENV/var/log"\n'
    made = bundle(tmp_path, "1.0", post_install=script)
    assert "SECRET=1\n" in install(made, "--root", root).stdout
    assert (root / "shared" / "media" / "by-script").exists()
    platter(root, "doctor")


def test_after_a_failure_the_root_is_as_it_was(tmp_path: Path, root: Path) -> None:
    made = bundle(tmp_path, "1.0", post_install="exit 1\n")
    install(made, "--root", root, code=7)
    assert tree(root) == ["shared", "shared/app.env"]


def test_what_a_failed_script_has_put_there_stays(tmp_path: Path, root: Path) -> None:
    made = bundle(tmp_path, "1.0", post_install='touch "$VIRTUAL_ENV/media/cat.png"; exit 1\n')
    install(made, "--root", root, code=7)
    assert tree(root) == ["shared", "shared/app.env", "shared/media", "shared/media/cat.png"]


def test_a_failed_health_check_leaves_the_release_with_its_links(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.1", "--health-check", "exit 1", code=8)
    assert tree(root / "shared") == ["app.env", "media", "var", "var/log"]
    platter(root, "doctor")
    platter(root, "activate", "1.1", "--health-check", "serve later")


def test_a_thin_bundle_links_the_same(bundles: Mapping[str, handmade.Bundle], tmp_path: Path, root: Path) -> None:
    install(bundles["1.1"], "--root", root)
    make_thin(bundles["1.3"].path, [bundles["1.1"].path], frozenset(), output=tmp_path, kind="dir", mtime=315532800)
    thin = handmade.Bundle(path=tmp_path / f"{bundles['1.3'].path.name}-thin", info={})
    install(thin, "--root", root)
    assert (root / "versions" / "current" / "app.env").read_text() == "SECRET=1\n"


def test_versions_and_shared_folders_on_other_disks(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for name in ("versions", "media", "secret"):
        (disk / name).mkdir(parents=True)
    (root / "versions").symlink_to(disk / "versions")
    (root / "shared" / "media").symlink_to(disk / "media")
    (root / "shared" / "app.env").rename(disk / "secret" / "app.env")
    (root / "shared" / "app.env").symlink_to(disk / "secret" / "app.env")
    deploy("1.1", "--health-check", "serve cat.png")
    assert tree(disk / "media") == ["cat.png"]
    platter(root, "doctor")
    deploy("1.3", "--keep", "1")
    assert tree(disk / "media") == ["cat.png"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_the_service_and_its_users_own_what_is_theirs(deploy: Callable[..., Done], root: Path) -> None:
    """As people do it: folders for the user of the service. The way there stays the superuser's."""
    media = root / "shared" / "media"
    media.mkdir()
    for path in (media, root / "shared" / "app.env"):
        os.chown(path, 65534, 65534)
    deploy("1.1")
    assert media.stat().st_uid == 65534
    os.chown(root / "shared", 65534, 65534)
    assert f"shared: {root}/shared belongs to nobody" in deploy("1.3", code=5).stderr
    assert f"shared: {root}/shared belongs to nobody" in platter(root, "doctor", code=4).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_root_of_somebody_else(root: Path, tmp_path: Path) -> None:
    """Its owner installs there, and gets folders of his own."""
    common = shutil.which(f"python{sys.version_info[0]}.{sys.version_info[1]}", path="/usr/local/bin:/usr/bin:/bin")
    if common is None:
        pytest.skip("there is no interpreter of this version that everybody may use")
    for folder in [*root.parents][:-1]:
        folder.chmod(folder.stat().st_mode | 0o055)
    for path in (root, root / "shared", root / "shared" / "app.env"):
        os.chown(path, 65534, 65534)
    root.chmod(0o750)
    made = bundle(tmp_path, "1.1")
    assert "belongs to nobody, and this runs as root" in install(made, "--root", root, code=5).stderr
    nobody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": [], "env": {"PATH": os.defpath}}
    install(made, "--root", root, "-p", common, python=False, **nobody)
    made_folder = (root / "shared" / "media").stat()
    assert (stat.S_IMODE(made_folder.st_mode), made_folder.st_uid) == (0o750, 65534)


# What is installed


def test_what_becomes_of_it_is_found(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.3")
    deploy("1.1")
    release = root / "versions" / "1.1"
    deploy("1.1", "--check")
    (root / "shared" / "media").rmdir()
    said = f"shared: expected the folder {root}/shared/media, found nothing"
    assert said in deploy("1.1", "--check", code=5).stderr
    assert said in deploy("1.1", code=5).stderr
    doctor = platter(root, "doctor", code=4).stderr
    assert f"1.1: {said}" in doctor
    assert doctor.count("media") == 2  # once for each release
    assert "--force" not in doctor
    assert "hint: make what is missing" in doctor
    assert "1.1: lacks what it shares" in platter(root, "doctor", code=4).stdout
    platter(root, "activate", "1.3", code=5)
    assert said in platter(root, "rollback", code=5).stderr
    assert (root / "versions" / "current").readlink().name == "1.1"
    (root / "shared" / "media").mkdir()
    platter(root, "activate", "1.3")
    (release / "media").unlink()
    (release / "media").mkdir()
    said = "media is not what was installed: it was a link to ../../shared/media"
    assert said in deploy("1.1", "--check", code=6).stderr
    assert said in platter(root, "doctor", "1.1", code=4).stderr
    assert f"warning: 1.1: {said}" in platter(root, "activate", "1.1").stderr


# Bundles that no build makes


@pytest.mark.parametrize(
    "paths", [["../media/"], ["/etc/"], ["bin/"], ["media/", "media/x"], ["a\nb"], [7], "media/", {"media/": 1}]
)
def test_no_bundle_makes_links_elsewhere(tmp_path: Path, root: Path, paths: Any) -> None:
    made = bundle(tmp_path, "1.0")
    made.info["shared"] = paths
    made.seal()
    assert "info.json: shared: " in install(made, "--root", root, code=4).stderr
    assert tree(root) == ["shared", "shared/app.env"]


@pytest.mark.parametrize("file", ["media/cat.png", "media", "var", "app.env"])
def test_a_wheel_with_a_file_there(tmp_path: Path, root: Path, file: str) -> None:
    wheel = handmade.wheel(tmp_path, "serve", data={file: "mine"})
    made = handmade.bundle(tmp_path, [wheel], shared=PATHS)
    assert "the release has something of its own there" in install(made, "--root", root, code=4).stderr
    assert tree(root) == ["shared", "shared/app.env"]


# Building


def test_from_the_option_to_the_bundle(yard: Yard) -> None:
    """As people write it; what reads bundles tells of it."""
    project = projects.hello(yard.folder / "project", {"pyproject.toml": projects.PYPROJECT})
    plain = yard.build(project)
    assert "shared" not in info(plain)
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[tool.platter]\nshared = ["media/", "app.env"]\n')
    made = yard.build(project, "--output=with")
    assert info(made)["shared"] == ["app.env", "media/"]
    summary = subprocess.run([PLATTER, "inspect", made], check=True, capture_output=True, text=True, timeout=60).stdout
    assert "  shared     app.env, media/ (links to ROOT/shared)\n" in summary
    difference = subprocess.run([PLATTER, "diff", plain, made], check=False, capture_output=True, text=True, timeout=60)
    assert "shared: none -> app.env, media/\n" in difference.stdout
    subprocess.run([PLATTER, "verify", made], check=True, capture_output=True, timeout=60)
    (root := yard.folder / "root" / "shared").mkdir(parents=True)
    (root / "app.env").touch()
    server = unpack(made, yard.folder / "server")
    yard.run(server / "install.sh", "-p", sys.executable, "--root", root.parent, cwd=server)
    release = root.parent / "versions" / "1.0"
    subprocess.run([PLATTER, "diff", made, release], check=True, capture_output=True, timeout=60)
    other = subprocess.run([PLATTER, "diff", plain, release], check=False, stdout=subprocess.PIPE, timeout=60)
    assert other.stdout == b"shared: none -> app.env, media/\n"


def test_a_bundle_in_which_a_wheel_is_in_the_way_is_not_in_order(yard: Yard) -> None:
    """No build makes one; `platter verify` tells before a server does."""
    pyproject = projects.PYPROJECT + '\n    [tool.setuptools.data-files]\n    "etc/hello" = ["hello.conf"]\n'
    project = projects.hello(yard.folder / "project", {"pyproject.toml": pyproject, "hello.conf": "x = 1\n"})
    folder = unpack(yard.build(project, "--shared=free/"), yard.folder / "server")
    text = (folder / "info.json").read_text()
    made = handmade.Bundle(path=folder, info=json.loads(text.replace('"free/"', '"etc/"')))
    made.seal()
    said = yard.platter("verify", folder, cwd=folder, code=5).stderr
    assert "shared: etc/: hello-1.0-py3-none-any.whl installs etc/hello/hello.conf" in said


def test_what_cannot_be_shared_is_refused_before_anything_is_built(yard: Yard) -> None:
    project = projects.hello(yard.folder / "project", {"pyproject.toml": projects.PYPROJECT})
    said = yard.refuse(2, project, "--shared=../media/")
    assert "the command line --shared: '../media/': it has a part that is empty, . or .." in said
    assert "Building" not in said


def test_what_a_wheel_installs_cannot_be_shared(yard: Yard) -> None:
    pyproject = projects.PYPROJECT + '\n    [tool.setuptools.data-files]\n    "etc/hello" = ["hello.conf"]\n'
    project = projects.hello(yard.folder / "project", {"pyproject.toml": pyproject, "hello.conf": "x = 1\n"})
    said = yard.refuse(2, project, "--shared=etc/hello/")
    assert "shared: etc/hello/: hello-1.0-py3-none-any.whl installs etc/hello/hello.conf" in said
