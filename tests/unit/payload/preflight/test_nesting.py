"""Neither roots nor releases lie within each other, whichever way their paths are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from platter_setuptools.payload.errors import DestinationError
from platter_setuptools.payload.install import install_state
from platter_setuptools.payload.preflight import nesting
from platter_setuptools.payload.releases import journal
from support import roots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one release of `app`, which is active."""
    made = roots.make(tmp_path, "1.0")
    Path(made.current).symlink_to("1.0")
    return Path(made.path)


@pytest.mark.parametrize("place", ["1.0", "1.0/x/y", "2.0", ".", "current/x"])
def test_a_root_within_another(root: Path, place: str) -> None:
    path = (root / "versions" / place).resolve()
    with pytest.raises(DestinationError, match=r"lies (within the release|among the releases)"):
        nesting.refuse_root(str(path), str(path / "versions"))


@pytest.mark.parametrize("state", ["complete", "unfinished", "begun"])
def test_within_a_release_in_any_state(tmp_path: Path, state: str) -> None:
    folder = tmp_path / "dst"
    folder.mkdir()
    if state == "begun":
        (folder / install_state.DRAFT).touch()
    else:
        install_state.write(str(folder), install_state.Marker(state, "", "app", "1.0", "", "", created=True))
    with pytest.raises(DestinationError, match=f"lies within the release {folder}"):
        nesting.refuse_destination(str(folder / "x" / "y"), "app")
    nesting.refuse_destination(str(folder), "app")


def test_versions_that_lead_into_another_root(root: Path, tmp_path: Path) -> None:
    (root / journal.FILE).touch()
    for versions in (root / "versions", root / "versions" / "1.0", root / "versions" / "1.0" / "x"):
        with pytest.raises(DestinationError, match=r"belongs to another root|lies"):
            nesting.refuse_root(str(tmp_path / "second"), str(versions))
    nesting.refuse_root(str(root), str(root / "versions"))
    nesting.refuse_root(str(tmp_path / "second"), str(tmp_path / "disk" / "versions"))


def test_by_hand_beside_other_releases(root: Path) -> None:
    versions = root / "versions"
    nesting.refuse_destination(str(versions / "2.0"), "App")
    for path, project in (("2.0", "other"), ("sub/2.0", "app"), ("1.0/x", "app")):
        with pytest.raises(DestinationError, match=r"holds the releases of app|lies"):
            nesting.refuse_destination(str(versions / path), project)


def test_a_link_of_another_layout_is_no_root(tmp_path: Path) -> None:
    """`current` beside a folder of releases, as many have it."""
    (tmp_path / "releases" / "1.0").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/1.0")
    nesting.refuse_destination(str(tmp_path / "releases" / "1.1"), "app")


def test_what_holds_releases_is_not_replaced(root: Path, tmp_path: Path) -> None:
    for folder in (root, tmp_path, root / "versions"):
        assert next(nesting.held(str(folder)))
    assert not list(nesting.held(str(root / "versions" / "1.0")))
    (root / "versions" / "1.0" / "data").mkdir()
    install_state.write(
        str(root / "versions/1.0/data"), install_state.Marker("complete", "", "x", "1", "", "", created=True)
    )
    assert list(nesting.held(str(root / "versions" / "1.0"))) == [f"the release {root}/versions/1.0/data"]
