"""A configuration file for setuptools that keeps what builds write by the way out of source trees."""

from __future__ import annotations

import configparser
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VARIABLE = "DIST_EXTRA_CONFIG"  # read by setuptools 66 and newer


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


def _escaped(path: Path) -> str:
    return os.fspath(path).replace("%", "%%")
