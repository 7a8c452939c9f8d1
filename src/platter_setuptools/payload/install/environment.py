"""Make the empty virtualenv with the bundled virtualenv, without seed packages."""

import contextlib
import errno
import importlib
import json
import os
import pkgutil
import py_compile
import re
import shutil
import subprocess
import sys
import types
from typing import List, NamedTuple

from ..errors import BY_EXIT_CODE, HostError, InstallError, PythonError
from .tree import make_folders, open_to_all, write_new

WORK = ".platter-work"
_PROGRAM = """\
import sys
modules, package, folder, bootstrap, system_site_packages = sys.argv[1:]
sys.path.append(modules)
from importlib import import_module
from json import dumps
environment = import_module(package + ".install.environment")
errors = import_module(package + ".errors")
sys.path.remove(modules)
try:
    answer = environment.create(folder, bootstrap, system_site_packages=bool(system_site_packages))
except Exception as error:
    found = errors.foreseen(error)
    answer = {"status": found.exit_code, "message": found.message, "hint": found.hint}
print(dumps(answer))
"""
# virtualenv imports these for what it is told not to do: to ask an index for newer wheels.
_DISPENSABLE = ("ssl",)
# What it cannot do without and this payload does not import itself; a test finds what is missing here.
NEEDED = (
    "__future__",
    "argparse",
    "concurrent.futures.thread",
    "configparser",
    "dataclasses",
    "encodings.utf_8_sig",
    "html.parser",
    "importlib.metadata",
    "netrc",
    "secrets",
    "shlex",
    "tarfile",
    "urllib.request",
    "uuid",
    "xmlrpc.client",
)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_OTHER = "name another Python with -p; PLATTER_DEBUG=1 shows where this one fails"
_LIBRARY = r"lib(64)?/(python|pypy)[\d.]+t?"
# What any virtualenv may consist of, or holds of ours; below the root. No wheel has a file there, or below a file.
_OWN = re.compile(
    r"(pyvenv\.cfg|\.gitignore|\.lock|CACHEDIR\.TAG|\.platter-[^/]*|\.python|bin/(python|pypy)[\d.]*t?"
    r"|bin/activate(\.\w+|_this\.py)?|bin/deactivate(\.\w+)?|%s/site-packages/_virtualenv\.(py|pth))(/.*)?"
    r"|bin|include|lib(64)?|%s(/site-packages)?" % (_LIBRARY, _LIBRARY),
    re.IGNORECASE | re.ASCII | re.DOTALL,
)

# A folder of metadata, whichever Python it is for: a wheel may name it as data.
_METADATA = re.compile(r"%s/site-packages/[^/]+\.dist-info/.*" % _LIBRARY, re.IGNORECASE | re.ASCII | re.DOTALL)


class Scheme(NamedTuple):
    """The absolute paths of the folders for the parts of a wheel."""

    root: str
    python: str
    purelib: str
    platlib: str
    scripts: str
    headers: str
    data: str


def base_interpreter() -> str:
    """Return the running interpreter's own path, outside of any virtualenv, which may be deleted.

    The name has the minor version if there is such a file: `python3` may become another minor version.
    """
    found = getattr(sys, "_base_executable", None) or sys.executable
    for folder in (os.path.dirname(found), os.path.dirname(os.path.dirname(found))):
        home = _home(os.path.join(folder, "pyvenv.cfg"))
        if home:
            found = os.path.join(home, os.path.basename(found))
            break
    versioned = os.path.join(os.path.dirname(found), "python%d.%d" % sys.version_info[:2])
    real = os.path.realpath(sys.executable)
    with contextlib.suppress(OSError):
        found = versioned if os.path.samefile(versioned, real) else found
    # A link beside which another standard library stands would lead a virtualenv there.
    return real if not _has_library(found) and _has_library(real) else found


def _has_library(python: str) -> bool:
    """Whether the standard library of this process is where a virtualenv of that interpreter would look for it."""
    library = os.path.dirname(os.__file__)
    parts = (getattr(sys, "platlibdir", "lib"), os.path.basename(library))
    try:
        return os.path.samefile(os.path.join(os.path.dirname(os.path.dirname(python)), *parts), library)
    except OSError:
        return False


def _home(config: str) -> str:
    try:
        with open(config, encoding="utf-8") as stream:
            for line in stream:
                key, _, value = line.partition("=")
                if key.strip() == "home":
                    return value.strip()
    except OSError:
        pass
    return ""


def is_metadata(place: str) -> bool:
    """Whether a file there, below the virtualenv, would be metadata of a distribution."""
    return _METADATA.fullmatch(place) is not None


def is_own(place: str) -> bool:
    """Whether a path below a virtualenv is a part of it, whichever virtualenv release makes it."""
    return _OWN.fullmatch(place) is not None


def clean() -> None:
    """Take what would mislead virtualenv, or an interpreter that is started, out of this process's environment."""
    # PYTHON* would reach the interpreters, VIRTUALENV_* are virtualenv's options.
    for name in [name for name in os.environ if name.startswith(("VIRTUALENV_", "PYTHON", "__PYVENV"))]:
        del os.environ[name]
    os.environ["VIRTUALENV_CONFIG_FILE"] = os.devnull
    # Newer versions drop a file named .venv beside their folder when a pyproject.toml lies there. Older ones do not
    # know the option to prevent it, but every version passes over a variable that it does not know.
    os.environ["VIRTUALENV_NO_VENV_REDIRECT"] = "1"


def missing() -> List[PythonError]:
    """Return an error for each module that virtualenv needs and that this Python lacks."""
    errors = []
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:  # noqa: PERF203 - of each of them
            errors.append(lacking(error))
    return errors


def create(folder: str, bootstrap: str, *, system_site_packages: bool = False, python: str = "") -> Scheme:
    """Make the virtualenv in the folder, which is ours and empty but for the marker.

    It is based on this interpreter, or on `python`, which is this one in another folder. With `system_site_packages`
    the packages of the base Python are found after those of the virtualenv.
    Raise PythonError if this Python lacks a module that virtualenv needs.
    For a process that ends with it: where this one looks for modules, and what it takes itself for, is changed.
    """
    if python:
        return _create_with(python, folder, bootstrap, system_site_packages=system_site_packages)
    sys.unraisablehook = lambda _: None  # its locks print a traceback when the disk is gone beneath them
    # virtualenv finds its parts by entry points, and those of the system's packages are none of our business.
    sys.path[:] = [bootstrap] + [
        path for path in sys.path if os.path.basename(path) not in ("site-packages", "dist-packages")
    ]
    sys.executable = sys._base_executable = base_interpreter()  # type: ignore[attr-defined] # noqa: SLF001
    work = os.path.join(folder, WORK)
    arguments = [folder, "--no-seed", "--no-periodic-update", "--no-vcs-ignore", "--app-data", work]
    if system_site_packages:
        arguments.append("--system-site-packages")
    for name in _DISPENSABLE:
        try:
            importlib.import_module(name)
        except ImportError:  # noqa: PERF203 - one of them
            sys.modules[name] = types.ModuleType(name)
    try:
        import logging  # noqa: PLC0415 - virtualenv's, which warns of activation scripts that it leaves out

        logging.disable(logging.WARNING)
        import virtualenv  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415 - from the bundle, verified by now

        session = virtualenv.cli_run(arguments, setup_logging=False)
    except ImportError as error:
        raise lacking(error) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError) and error.filename2 and error.errno in _NO_LINKS:
            raise HostError(
                "%s: its filesystem has no symbolic links (%s)" % (error.filename2, error.strerror),
                hint="choose a folder on another filesystem",
            ) from error
        if isinstance(error, (InstallError, OSError)):
            raise
        raise InstallError(
            "virtualenv failed in %s: %s: %s" % (folder, type(error).__name__, error), hint=_OTHER
        ) from error
    shutil.rmtree(work, ignore_errors=True)
    creator = session.creator
    purelib = str(creator.purelib)
    _join(folder, str(creator.platlib), purelib)
    scheme = Scheme(
        root=folder,
        python=os.path.join(str(creator.script_dir), "python"),
        purelib=purelib,
        platlib=purelib,
        scripts=str(creator.script_dir),
        headers=os.path.join(folder, "include", "site", "python%d.%d" % sys.version_info[:2]),
        data=folder,
    )
    _tidy(scheme)
    return scheme


def _create_with(python: str, folder: str, bootstrap: str, *, system_site_packages: bool) -> Scheme:
    package = __name__.partition(".")[0]
    words = [_modules(folder, package), package, folder, bootstrap, "yes" if system_site_packages else ""]
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-X", "utf8", "-c", _PROGRAM, *words],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        answer = json.loads(done.stdout.decode("utf-8").splitlines()[-1])
    except (ValueError, LookupError) as error:
        raise InstallError("%s failed to make a virtualenv in %s" % (python, folder), hint=_OTHER) from error
    if isinstance(answer, dict):
        raise BY_EXIT_CODE[answer["status"]](answer["message"], hint=answer["hint"])
    return Scheme(*answer)


def _modules(folder: str, package: str) -> str:
    """Return the folder to import the package from: where it is, or a copy if it has run from within a file."""
    parent = os.path.abspath(__file__)
    for _ in __name__.split("."):
        parent = os.path.dirname(parent)
    if os.path.isdir(parent):
        return parent
    copies = os.path.join(folder, WORK, "modules")
    for name, module in list(sys.modules.items()):
        if (name + ".").startswith(package + "."):
            inside = name.split(".") if hasattr(module, "__path__") else name.split(".")[:-1]
            file = os.path.basename(module.__file__ or "")
            make_folders(os.path.join(copies, *inside))
            write_new(os.path.join(copies, *inside, file), pkgutil.get_data(".".join(inside), file) or b"")
    return copies


def lacking(error: ImportError) -> PythonError:
    """Return the error for a Python that has not all of its standard library."""
    return PythonError(
        "%s lacks a part of the standard library (%s)" % (base_interpreter(), error),
        hint="install all of Python, or name another one with -p",
    )


def _join(root: str, platlib: str, purelib: str) -> None:
    """Make lib64 a link to lib, as `python -m venv` and uv do: the parts of a package belong into one folder."""
    if platlib == purelib:
        return
    (lib64, *rest), (lib, *same) = (os.path.relpath(path, root).split(os.sep) for path in (platlib, purelib))
    if rest != same:
        raise InstallError("virtualenv has two places for packages: %s and %s" % (purelib, platlib), hint=_OTHER)
    old = os.path.join(root, lib64)
    for folder, _, names in os.walk(old):
        for name in names:
            path = os.path.join(folder, name)
            os.rename(path, os.path.join(root, lib, os.path.relpath(path, old)))
    shutil.rmtree(old)
    os.symlink(lib, old)


def _tidy(scheme: Scheme) -> None:
    tag = os.path.join(scheme.root, "CACHEDIR.TAG")
    if os.path.exists(tag):  # it tells backups to leave the folder out; an installed application is no cache
        os.unlink(tag)
    hook = os.path.join(scheme.purelib, "_virtualenv.py")
    if os.path.exists(hook):  # imported by every start of the interpreter
        py_compile.compile(hook, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    # virtualenv copies modes along with files, and the bundle may have been unpacked under any umask.
    for folder, _, files in os.walk(scheme.root):
        open_to_all(folder)
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)


def files(scheme: Scheme) -> "frozenset[str]":
    """Return the files of the virtualenv, which no wheel may overwrite."""
    return frozenset(
        os.path.join(folder, name) for folder, folders, names in os.walk(scheme.root) for name in names + folders
    )
