"""Keep source trees clean: by-products of builds are written elsewhere, or removed."""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_VARIABLE = "DIST_EXTRA_CONFIG"  # read by setuptools 66 and newer
# What an older one, and pdm-backend, make in a source tree.
_BUILD = "build"
_LITTER = (
    *("*.egg-info", "*/*.egg-info", ".pdm-build"),
    *(_BUILD, *(f"{_BUILD}/{name}" for name in ("lib*", "bdist.*", "temp.*", "scripts-*"))),
)
_lock = threading.Lock()
# The source trees that this process uses: the number of users, and the litter that was there before the first.
_users: dict[Path, int] = {}
_before: dict[Path, set[Path]] = {}


def builds_elsewhere(folder: Path, environ: Mapping[str, str], *, egg_info: bool) -> dict[str, str]:
    """Return variables under which setuptools builds below `folder`, where its configuration is written.

    With `egg_info` also its .egg-info folder is there: `folder / "egg-info"`, which is made. What a file says that the
    user has named by the same variable counts more.
    """
    config = configparser.RawConfigParser()
    config["build"] = {"build_base": _escaped(folder / "build")}
    if egg_info:
        (folder / "egg-info").mkdir(parents=True, exist_ok=True)
        config["egg_info"] = {"egg_base": _escaped(folder / "egg-info")}
    file = folder / "setuptools.cfg"
    if given := environ.get(_VARIABLE):
        try:
            config.read(given, "utf-8")
        except (configparser.Error, UnicodeDecodeError):
            return {_VARIABLE: given}  # setuptools will tell what is wrong with it
    with file.open("w", encoding="utf-8") as opened:
        config.write(opened)
    return {_VARIABLE: os.fspath(file)}


@contextlib.contextmanager
def left_clean(trees: Iterable[Path], *, keep: bool = False) -> Iterator[None]:
    """Remove what builds have left in these source trees, but nothing that was there before.

    Several threads may use one tree: the last of them removes it. With `keep` what was made during the block stays.
    """
    trees = {Path(os.path.realpath(tree)) for tree in trees}
    with _lock:
        for tree in trees:
            _users[tree] = _users.get(tree, 0) + 1
            _before.setdefault(tree, _litter(tree))
    try:
        yield
    finally:
        with _lock:
            for tree in trees:
                _users[tree] -= 1
                if keep:
                    _before[tree] |= _litter(tree)
                if not _users[tree]:
                    _remove(_litter(tree) - _before.pop(tree))


def _remove(folders: set[Path]) -> None:
    for folder in sorted(folders, reverse=True):
        if folder.name == _BUILD:  # it may hold what somebody else has just made
            with contextlib.suppress(OSError):
                folder.rmdir()
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _litter(tree: Path) -> set[Path]:
    return {path for pattern in _LITTER for path in tree.glob(pattern)}


def _escaped(path: Path) -> str:
    return os.fspath(path).replace("%", "%%")
