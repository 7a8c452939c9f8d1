"""Find forgotten files: those that git tracks in a package's folder and the project's wheel lacks.

Templates and static files are often forgotten, since setuptools includes them only when configured. Files that are not
needed at run time are ignored: tests, documentation, sources of compiled modules, and what the project excludes.
"""

from __future__ import annotations

import configparser
import contextlib
import fnmatch
import posixpath
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from platter_setuptools.config.files import read_pyproject
from platter_setuptools.errors import PlatterError
from platter_setuptools.runtime.progress import Progress, counted, first_few
from platter_setuptools.wheels.record_check import SITE, below_site

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

_FOLDERS = re.compile(
    r"\..*|__pycache__|tests?|testing|docs?|examples?|benchmarks?|(?:.*_)?src|node_modules|.*\.egg-info"
)
_NAMES = re.compile(
    r"""\..*
    | (?:README|LICEN[CS]E|COPYING|NOTICE|AUTHORS|CHANGE(?:LOG|S)|HISTORY|CONTRIBUTING|TODO|NEWS)\b.*
    | py\.typed | Makefile | CMakeLists\.txt | meson\.build | meson_options\.txt | MANIFEST\.in | Dockerfile
    | requirements.*\.txt | pyproject\.toml | setup\.cfg | tox\.ini | Cargo\.(?:toml|lock)
    | package(?:-lock)?\.json | (?:yarn|pnpm-lock)\..* | (?:ts|js)config.*\.json | .*\.config\.[cm]?[jt]s
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Sources of compiled modules, of what generators make, of style sheets and scripts; and what only type checkers read.
_SOURCES = re.compile(
    "pyi?|py[xf]|px[di]|c|cc|cpp|cxx|cuh?|hh?|hpp|hxx|mm?|f|f77|f9[05]|for|rs|go|s|asm|swg|[iyl]|in|a[cm]|m4|cmake|proto"
    "|thrift|g4|pot?|s[ac]ss|less|tsx?|jsx|vue|coffee|map|psd|xcf|orig|rej|bak|swp|patch|diff|ipynb|inc|src"
)
_TEXTS = frozenset({"md", "rst"})  # documentation where they lie beside modules
_BACKENDS = ("setuptools", "hatch", "poetry", "pdm", "flit", "uv", "maturin", "scikit-build", "meson-python")
_SETUPTOOLS = (
    "setuptools takes them if package-data (package_data) names them, or MANIFEST.in together with"
    " include-package-data; exclude-package-data says that they stay out on purpose"
)


def warn_of_forgotten(tree: Path | None, tracked: Collection[str], places: Collection[str], progress: Progress) -> None:
    """Warn of files that git tracks (`tracked`, from the folder `tree`) and that the wheel with these places lacks."""
    if tree is None or not tracked:
        return
    files = [file for file in forgotten(tracked, places) if (tree / file).is_file()]  # a submodule is a folder
    if files:
        excluded = list(_excluded(tree))
        files = [file for file in files if not _matches(file, excluded)]
    if files:
        count = counted(len(files), "file")
        progress.warn(f"the wheel lacks {count} that git tracks in its packages: {first_few(files)}: {_way(tree)}")


def forgotten(tracked: Collection[str], places: Collection[str]) -> list[str]:
    """Return the tracked files in packages of the wheel, by folder, that the wheel lacks."""
    there = below_site(places)
    elsewhere = {posixpath.basename(place) for place in places if not place.startswith(SITE)}  # data_files
    found_files = []
    for root, top in _roots(tracked, there):
        inside = {file[len(root) :] for file in tracked if file.startswith(f"{root}{top}/")}
        of_modules = {posixpath.dirname(file) for file in inside if file.endswith(".py")}
        bundled = {posixpath.dirname(file) for file in there if file.endswith(".py")}
        for file in inside - there:
            folder, base = posixpath.split(file)
            owner = folder
            while owner and owner not in of_modules:
                owner = posixpath.dirname(owner)
            if owner in bundled and base not in elsewhere and not _is_passed_over(folder, base, beside=owner == folder):
                found_files.append(root + file)
    return sorted(found_files)


def _roots(tracked: Iterable[str], there: Collection[str]) -> list[tuple[str, str]]:
    """Return the source folder of each package at the top of the wheel, such as `src/`, and its name."""
    votes: Counter[tuple[str, str]] = Counter()
    for file in tracked:
        parts = file.split("/") if file.endswith(".py") else []
        for start in range(len(parts) - 1):
            if "/".join(parts[start:]) in there:
                votes["".join(f"{part}/" for part in parts[:start]), parts[start]] += 1
                break
    best: dict[str, tuple[str, str]] = {}
    for (root, top), _ in sorted(votes.items(), key=lambda item: (-item[1], len(item[0][0]))):
        best.setdefault(top, (root, top))
    return list(best.values())


def _is_passed_over(folder: str, base: str, *, beside: bool) -> bool:
    suffix = base.rpartition(".")[2].lower() if "." in base else ""
    if _SOURCES.fullmatch(suffix) or (beside and suffix in _TEXTS) or _NAMES.fullmatch(base):
        return True
    return any(_FOLDERS.fullmatch(part) for part in folder.split("/")[1:])


def _matches(file: str, patterns: Iterable[str]) -> bool:
    parts = file.split("/")
    tails = ["/".join(parts[start:]) for start in range(len(parts))]
    return any(fnmatch.fnmatch(tail, one) for one in patterns for tail in tails)


def _excluded(tree: Path) -> Iterator[str]:
    """Return what the project excludes, for any backend, as patterns of paths. Too many are harmless."""
    with contextlib.suppress(OSError, ValueError):
        if "exclude_package_data" in (tree / "setup.py").read_text("utf-8"):
            yield "*"  # what it says shows when it runs
    with contextlib.suppress(OSError, ValueError):
        for line in (tree / "MANIFEST.in").read_text("utf-8").splitlines():
            command, *words = line.split() or [""]
            if command in {"exclude", "global-exclude"}:
                yield from words
            elif command in {"recursive-exclude", "prune"} and words:
                yield from (f"{words[0].rstrip('/')}/{pattern}" for pattern in words[1:] or ["*"])
    with contextlib.suppress(OSError, ValueError, configparser.Error):
        parser = configparser.RawConfigParser()
        parser.read_string((tree / "setup.cfg").read_text("utf-8"))
        if parser.has_section("options.exclude_package_data"):
            for value in dict(parser.items("options.exclude_package_data")).values():
                yield from re.split(r"[\s,]+", value.strip())
    with contextlib.suppress(PlatterError):
        tool = read_pyproject(tree).get("tool", {})
        for name in _BACKENDS:
            for pattern in _strings_of_excludes(tool.get(name)):
                plain = pattern.lstrip("/").removeprefix("**/").rstrip("/")
                yield from (plain, f"{plain}/*", plain.replace(".", "/"))


def _strings_of_excludes(value: Any, *, within: bool = False) -> Iterator[str]:
    """Return the strings at and below keys about excluding."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _strings_of_excludes(one, within=within or "exclude" in key)
    elif isinstance(value, list):
        for one in value:
            yield from _strings_of_excludes(one, within=within)
    elif isinstance(value, str) and within:
        yield value


def _way(tree: Path) -> str:
    backend = "setuptools"
    with contextlib.suppress(PlatterError):
        system = read_pyproject(tree).get("build-system", {})
        backend = str(system.get("build-backend", "setuptools")) if isinstance(system, dict) else backend
    if backend.partition(".")[0] in {"setuptools", "platter_setuptools"}:
        return _SETUPTOOLS
    return f"see what {backend.partition('.')[0]} says about files that are no modules, or let it exclude them"
