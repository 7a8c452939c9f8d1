"""What builds write into source trees by the way is removed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.runtime.setuptools_config import left_clean

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "src/old.egg-info").mkdir(parents=True)
    with left_clean([tmp_path]):
        for name in ("new.egg-info", "src/new.egg-info", "build/lib", ".pdm-build", "other"):
            (tmp_path / name).mkdir(parents=True)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        *("other", "src", "src/old.egg-info"),
    ]


def test_what_somebody_else_makes_in_the_build_folder_stays(tmp_path: Path) -> None:
    with left_clean([tmp_path]):
        for name in ("build/lib.linux-x86_64-cpython-311", "build/bdist.linux-x86_64", "build/html"):
            (tmp_path / name).mkdir(parents=True)
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["html"]


def test_the_last_of_several_users_of_a_tree_removes(tmp_path: Path) -> None:
    """A resolver and a build use one tree at the same time: what one has made is no litter to the other."""
    (tree := tmp_path / "tree").mkdir()
    (link := tmp_path / "link").symlink_to(tree)
    with left_clean([link]):
        (tree / "new.egg-info").mkdir()
        with left_clean([tree]):
            pass
        assert (tree / "new.egg-info").is_dir()
    assert not [*tree.iterdir()]


def test_what_this_process_builds_there_meanwhile_stays(tmp_path: Path) -> None:
    """A resolver in the background ends while setuptools builds the project's wheel in place, or after that."""
    with left_clean([tmp_path]):
        with left_clean([tmp_path], keep=True):
            (tmp_path / "build").mkdir()
            with left_clean([tmp_path]):
                pass
            assert (tmp_path / "build").is_dir()
        (tmp_path / "new.egg-info").mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["build"]
    with left_clean([tmp_path], keep=True):
        (tmp_path / "build").rmdir()
        with left_clean([tmp_path]):
            (tmp_path / "build").mkdir()
        assert (tmp_path / "build").is_dir()
