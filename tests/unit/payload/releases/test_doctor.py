"""What doctor finds in a release, each kind of damage by itself."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import BundleError, DestinationError
from platter_setuptools.payload.preflight import health
from platter_setuptools.payload.releases import doctor, switch
from platter_setuptools.payload.wheels import contents
from support import roots

if TYPE_CHECKING:
    from platter_setuptools.payload.releases.root import Root

SITE = "lib/python3.11/site-packages"


@pytest.fixture(autouse=True)
def _no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is started: tests of ``health`` do that."""
    monkeypatch.setattr(health, "examine", lambda _: [])


def digest(path: Path) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")


def add(release: Path, name: str, *files: str) -> Path:
    """A distribution with these files; its folder of metadata."""
    site = release / SITE
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    rows = []
    for file in files:
        path = site / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        rows.append(f"{file},{digest(path)},{path.stat().st_size}")
    (info / "RECORD").write_text("\n".join([*rows, f"{info.name}/RECORD,,", ""]))
    return info


def remember(release: Path, *names: str) -> None:
    """Write down that these are in the release."""
    found = []
    for name in names:
        place = f"{SITE}/{name}-1.0.dist-info"
        content = (release / place / "RECORD").read_bytes()
        found.append(contents.Distribution(name, "1.0", place, hashlib.sha256(content).hexdigest()))
    contents.write(str(release), contents.Contents(str(release), "/os.py", [], found, {}))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = roots.make(tmp_path, "1.0", "1.1")
    for version in ("1.0", "1.1"):
        release = Path(made.folder(version))
        add(release, "app", "app/__init__.py", "app/page.html")
        remember(release, "app")
    return made


@pytest.fixture
def release(root: Root) -> Path:
    return Path(root.folder("1.0"))


def said(root: Root, *versions: str) -> str:
    """What doctor finds fault with."""
    with pytest.raises(BundleError, match="not all is as it should be") as caught:
        doctor.examine(root, versions)
    assert "--force" in caught.value.hint
    return caught.value.message


def test_all_is_well(root: Root, capfd: pytest.CaptureFixture[str]) -> None:
    doctor.examine(root, ())
    assert capfd.readouterr().out == "1.0: as it was installed\n1.1: as it was installed\n"


def test_one_release_of_several(root: Root, release: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (release / SITE / "app/page.html").unlink()
    doctor.examine(root, ["1.1"])
    assert capfd.readouterr().out == "1.1: as it was installed\n"
    assert "1.0: " in said(root, "1.0")
    with pytest.raises(DestinationError, match=r"there is no release '2\.0'"):
        doctor.examine(root, ["2.0"])


def test_files(root: Root, release: Path) -> None:
    (release / SITE / "app/__init__.py").write_text("abc")
    (release / SITE / "app/page.html").unlink()
    text = said(root)
    assert f"1.0: {SITE}/app/__init__.py is not what was installed" in text
    assert f"1.0: {SITE}/app/page.html is missing" in text
    assert "1.1: " not in text


def test_more_findings_than_anybody_reads(root: Root, release: Path) -> None:
    add(release, "many", *(f"many/{number}.py" for number in range(30)))
    for path in (release / SITE / "many").iterdir():
        path.unlink()
    remember(release, "app", "many")
    text = said(root)
    assert text.count(" is missing") == 10
    assert "1.0: and 20 more" in text


def test_a_distribution_that_came_later(root: Root, release: Path) -> None:
    add(release, "later", "later.py")
    assert f"1.0: {SITE}/later-1.0.dist-info was not installed from the bundle" in said(root)


def test_a_distribution_that_is_gone(root: Root, release: Path) -> None:
    (release / SITE / "app-1.0.dist-info" / "RECORD").unlink()
    assert "1.0: app 1.0 is missing" in said(root)


def test_a_file_of_two_distributions(root: Root, release: Path) -> None:
    """One has won, whichever that was."""
    add(release, "other", "app/page.html")
    remember(release, "app", "other")
    doctor.examine(root, ())


class TestBytecode:
    """An edit is found; what Python compiled anew is no damage beyond that of its module."""

    NAME = f"{SITE}/app/__pycache__/page.cpython-311.pyc"

    @pytest.fixture
    def release(self, root: Root) -> Path:
        release = Path(root.folder("1.0"))
        add(release, "code", "app/page.py", "app/__pycache__/page.cpython-311.pyc")
        os.utime(release / SITE / "app/page.py", (10**9, 10**9))
        (release / "pyvenv.cfg").touch()
        remember(release, "app", "code")
        doctor.examine(root, ())
        return release

    def test_edited(self, root: Root, release: Path) -> None:
        (release / self.NAME).write_text("edit")
        assert said(root).count(f"1.0: {self.NAME} is not what was installed") == 1

    def test_of_a_module_that_is_newer(self, root: Root, release: Path) -> None:
        (release / self.NAME).write_text("anew")
        os.utime(release / SITE / "app/page.py", (2**31, 2**31))
        doctor.examine(root, ())

    def test_of_a_module_that_was_edited(self, root: Root, release: Path) -> None:
        (release / self.NAME).write_text("anew")
        module = release / SITE / "app/page.py"
        module.write_text("edited")
        os.utime(module, (10**9, 10**9))
        text = said(root)
        assert (text.count("is not what was installed"), ".pyc" in text) == (1, False)

    def test_of_a_module_that_post_install_changed(self, root: Root, release: Path) -> None:
        (release / self.NAME).write_text("anew")
        module = release / SITE / "app/page.py"
        module.write_text("edited")
        os.utime(module, (10**9, 10**9))
        data = json.loads((release / contents.FILE).read_text())
        data["altered"] = {f"{SITE}/app/page.py": digest(module)}
        (release / contents.FILE).write_text(json.dumps(data))
        doctor.examine(root, ())


def test_what_post_install_changed_is_no_damage(root: Root, release: Path) -> None:
    page, module = release / SITE / "app/page.html", release / SITE / "app/__init__.py"
    page.write_text("made by post-install.sh")
    module.unlink()
    data = json.loads((release / contents.FILE).read_text())
    data["altered"] = {f"{SITE}/app/page.html": digest(page), f"{SITE}/app/__init__.py": ""}
    (release / contents.FILE).write_text(json.dumps(data))
    doctor.examine(root, ())
    page.write_text("changed after that")
    assert f"{SITE}/app/page.html is not what was installed" in said(root)


def test_nothing_outside_of_the_release_is_read(root: Root, release: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with (release / SITE / "app-1.0.dist-info" / "RECORD").open("a") as stream:
        stream.write(f"../../../../../../secret,{digest(tmp_path / 'secret')},1\n")
    remember(release, "app")
    assert "is not in the release, and was not checked" in said(root)


def test_links_that_lead_nowhere(root: Root, release: Path) -> None:
    (release / "bin" / "tool").symlink_to("/gone/tool")
    assert "1.0: bin/tool is a link to /gone/tool, where there is nothing" in said(root)


def test_current_leads_nowhere(root: Root) -> None:
    switch.point(root, "9.9")
    assert "current points at 9.9, which cannot be used" in said(root)


@pytest.mark.parametrize(
    ("kind", "told"),
    [("unfinished", "not completely installed; platter prune removes it"), ("foreign", "not installed from a bundle")],
)
def test_what_is_no_complete_release(root: Root, kind: str, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    if kind == "foreign":
        (Path(root.versions) / "0.9" / "bin").mkdir(parents=True)
    else:
        roots.release(root, "0.9", state="unfinished")
    doctor.examine(root, ())
    assert f"0.9: {told}" in capfd.readouterr().out
