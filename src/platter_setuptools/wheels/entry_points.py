"""Check that the modules of the wheels' entry points are in the bundle, without importing them."""

from __future__ import annotations

import ast
import difflib
import os
import re
import sys
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools._in_process.compile import installed_name
from platter_setuptools.errors import WheelError
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels.archive import Archive
from platter_setuptools.wheels.record_check import below_site

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from platter_setuptools.payload.wheels.scripts import EntryPoint
    from platter_setuptools.runtime.progress import Progress
    from platter_setuptools.values import Wheel
    from platter_setuptools.wheels.check import Asked, WheelWithMetadata
    from platter_setuptools.wheels.record_check import Places

_ENDINGS = (".py", ".so", ".pyd", ".pyc")
# Of these .pth files it is known that they add no folder to sys.path.
_HARMLESS = re.compile(r"distutils-precedence\.pth|.*-nspkg\.pth")
# Where a module uses one of these its names are not to be found by reading it.
_DYNAMIC = frozenset({"__getattr__", "exec", "globals", "locals", "modules", "setattr", "vars"})
_HINT = (
    "correct the entry point ([project.scripts] or console_scripts), or let the wheel have the module: setuptools takes"
    " what `packages` and `py-modules` name or find; `platter inspect --files` lists what a bundle's wheels have"
)


class _Modules:
    """The modules of a bundle, from the paths of its wheels' files."""

    def __init__(self, places: Iterable[str]) -> None:
        files = below_site(places)
        self._bare = {_bare(file) for file in files if file.endswith(_ENDINGS) and "__pycache__/" not in file}
        # A .pth file may lead to modules anywhere.
        self.has_other_folders = any(
            file.endswith(".pth") and "/" not in file and not _HARMLESS.fullmatch(file) for file in files
        )

    def has(self, module: str) -> bool:
        path = module.replace(".", "/")
        return path in self._bare or f"{path}/__init__" in self._bare

    def can_give(self, module: str, attribute: str) -> bool:
        """Return whether `from module import attribute` finds the module, and in a namespace package the attribute."""
        submodule = f"{module}.{attribute.partition('.')[0]}"
        return module.partition(".")[0] in sys.stdlib_module_names or self.has(module) or self.has(submodule)

    def names(self) -> list[str]:
        return sorted(one.removesuffix("/__init__").replace("/", ".") for one in self._bare)


def check_scripts(
    wheels: Sequence[WheelWithMetadata],
    projects: Collection[WheelWithMetadata],
    places: Mapping[Wheel, Places],
    asked: Asked,
    progress: Progress,
) -> None:
    """Raise WheelError if a command of the project, one of `projects`, starts a module that no wheel has.

    Only warn if the command is another wheel's, or if the module may come from elsewhere: from a distribution that was
    excluded, an extra that was not asked for, or a folder that a .pth file adds. Ignore another wheel's command that is
    for an extra.
    """
    problems: list[str] = []
    modules = _Modules(place for one in wheels for place in places[one.wheel])
    for described, entry in [(one, entry) for one in wheels for entry in one.description.scripts]:
        if modules.can_give(entry.module, entry.attribute):
            continue
        told = f"{entry.name} = {entry.module}:{entry.attribute}: no wheel of the bundle has {entry.module}"
        told += _meant(entry.module, modules.names())
        if described not in projects:
            if not entry.extras:
                progress.warn(f"a command of {described.wheel.name} will not start: {told}")
        elif _may_come(entry, described, modules, asked):
            progress.warn(told)
        else:
            problems.append(told)
    if problems:
        title = " and ".join(f"{one.wheel.name} {one.wheel.version}" for one in projects)
        have = "have" if len(projects) > 1 else "has"
        raise WheelError(
            "\n".join([f"{title} {have} commands that cannot start:", *(f"  {one}" for one in problems)]), hint=_HINT
        )


def check_attributes(project: WheelWithMetadata, progress: Progress) -> None:
    """Warn of commands of the project whose module seems not to define what they call."""
    with Archive(os.fspath(project.wheel.path)) as archive:
        names = {installed: name for name in archive.members if (installed := installed_name(name))}
        for entry in project.description.scripts:
            path, attribute = entry.module.replace(".", "/"), entry.attribute.partition(".")[0]
            files = [names[file] for file in (f"{path}/__init__.py", f"{path}.py") if file in names]
            bound = _bound(archive, archive.members[files[0]]) if files else None
            if bound is None or attribute in bound:
                continue
            if not _Modules(f"site-packages/{name}" for name in names).has(f"{entry.module}.{attribute}"):
                told = f"{entry.name} = {entry.module}:{entry.attribute}: {entry.module} does not seem to define it"
                progress.warn(told + _meant(attribute, sorted(bound)))


def _may_come(entry: EntryPoint, described: WheelWithMetadata, modules: _Modules, asked: Asked) -> bool:
    """Return whether something that is not in the bundle may bring the module."""
    extras = set(map(canonicalize_name, asked.extras.get(described.wheel.name, ())))
    if modules.has_other_folders or not extras.issuperset(map(canonicalize_name, entry.extras)):
        return True
    return bool(asked.excluded) and not modules.has(entry.module.partition(".")[0])


def _bound(archive: Archive, module: zipfile.ZipInfo) -> set[str] | None:
    """Return the names that a module may define, anywhere in it; None if this is unknown."""
    try:
        nodes = list(ast.walk(ast.parse(archive.read(module))))
    except (BundleError, SyntaxError, ValueError, RecursionError):  # too long, or of a later Python, for one
        return None
    names = {name for node in nodes for name in _names(node)}
    used = {node.id if isinstance(node, ast.Name) else getattr(node, "attr", "") for node in nodes}
    return None if "*" in names or not _DYNAMIC.isdisjoint(names | used) else names


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


def _bare(file: str) -> str:
    """Return a module's path without its suffixes, such as `.cpython-311-x86_64-linux-gnu.so`."""
    folder, slash, base = file.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
