"""The entry point of install.sh, which compares this text with SHA256SUMS and lets Python run it.

The other modules of the payload are imported only after their files were compared with SHA256SUMS; they compare the
rest of the bundle. So this file imports none of them before, and prints its own errors.

In a bundle that is one file, `STEM.run`, install.sh gives it the SHA256SUMS that it read, whose signature it may have
checked, as the global variable SUMS. The modules are imported from memory, as they were compared.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys

TYPE_CHECKING = False  # typing would have to be loaded
if TYPE_CHECKING:
    from typing import Any

_SUMS = "SHA256SUMS"
_BOOTSTRAP = ("data", "bootstrap")
_PYTHON, _BUNDLE, _INTERRUPTED = 3, 4, 130
_SIGNALLED = 128  # added to the number of the signal that ends us
_STANDARD_ERROR = 2
_temporary = ""
_LONGEST_LIST, _LONGEST_MODULE = 8 << 20, 1 << 20  # bytes


def _start() -> int:
    gc.disable()  # a short run leaves few cycles, and imports alone would be searched for them many times
    # Below the bundle no link is followed: it could lead into another bundle, with sums of its own.
    place, package = os.path.split(os.path.dirname(__file__))
    bundle = os.path.realpath(os.path.dirname(os.path.dirname(place)))
    bootstrap = os.path.join(bundle, *_BOOTSTRAP)
    program = "install.sh" if os.path.isdir(bundle) else os.path.basename(bundle)
    unpacked = _unpacked()
    # Files that we open must not become the standard streams of processes that we start.
    while os.open(os.devnull, os.O_RDWR) <= _STANDARD_ERROR:
        pass
    try:
        prefix = "/".join((*_BOOTSTRAP, package, ""))
        contents = None if os.path.isdir(bundle) else _contents(bundle, prefix)
        damaged = _damaged(bundle, prefix) if contents is None else _altered(contents, prefix)
        if damaged:
            what = "%s: not what %s says" % (damaged, _SUMS)
            return _complain(program, what, "copy the bundle here again", _BUNDLE)
        from importlib import import_module  # noqa: PLC0415 - a crippled Python is told so

        if contents is not None:
            sys.meta_path.append(_Modules(bundle, "/".join((*_BOOTSTRAP, "")), contents))
            import_module(package)
        else:
            # What else lies there is not verified yet, and the standard library itself asks for modules that are
            # nowhere, such as msvcrt: so it is in the path for the package alone, whose modules are found without it.
            sys.path.append(bootstrap)
            import_module(package)
            sys.path.remove(bootstrap)
        main = import_module(package + ".installation").main
    except ImportError as error:
        what = "%s lacks a part of the standard library (%s)" % (sys.executable, error)
        return _complain(program, what, "install all of Python, or name another one with -p", _PYTHON)
    except (OSError, ValueError) as error:
        what = "the bundle %s cannot be read: %s" % (bundle, error)
        return _complain(program, what, "copy the bundle here again", _BUNDLE)
    status: int = main(sys.argv[1:], bundle, unpacked)
    return status


def _unpacked() -> str:
    """Return the folder that install.sh has unpacked the bundle's interpreter into; empty if it has not."""
    global _temporary  # noqa: PLW0603 - it goes when this ends, however that happens
    path = os.environ.pop("PLATTER_INTERPRETER", "")
    _temporary = os.path.abspath(path) if os.path.basename(path).startswith(".platter-python.") else ""
    return _temporary


def _damaged(bundle: str, prefix: str) -> str:
    """Return the first file of the payload, in a folder, that differs from SHA256SUMS; empty if none does."""
    from hashlib import sha256  # noqa: PLC0415 - a crippled Python lacks it, and is told so

    listed = set()
    sums = os.path.join(bundle, _SUMS)
    if not os.path.isfile(sums) or os.path.getsize(sums) > _LONGEST_LIST:  # a pipe would be waited for
        raise ValueError("%s is no file, or too long" % _SUMS)
    with open(sums, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            digest, name = line[:64], line.rstrip("\n")[66:]
            if name.startswith(prefix):
                listed.add(name)
                path = os.path.join(bundle, name)
                if not os.path.isfile(path):
                    return name
                with open(path, "rb") as file:
                    if sha256(file.read(_LONGEST_MODULE)).hexdigest() != digest:
                        return name
    for folder, folders, names in os.walk(os.path.join(bundle, prefix)):
        links = [one for one in folders if os.path.islink(os.path.join(folder, one))]  # nobody walks into these
        for one in names + links:
            name = os.path.relpath(os.path.join(folder, one), bundle)
            if name not in listed:
                return name
    return ""


def _contents(bundle: str, prefix: str) -> dict[str, bytes]:
    """Return the files of the payload in a bundle that is one file, by their names."""
    from zipfile import BadZipFile, ZipFile  # noqa: PLC0415 - as above

    found = {}
    try:
        with ZipFile(bundle) as archive:
            for info in archive.infolist():
                name = info.filename.partition("/")[2]
                if name.startswith(prefix) and not name.endswith("/"):
                    if info.file_size > _LONGEST_MODULE:
                        raise ValueError("%s is too long" % name)
                    found[name] = archive.read(info)
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError("%s: it was altered, or cut off" % error) from error
    return found


def _altered(contents: dict[str, bytes], prefix: str) -> str:
    """Return the first file of the payload, in memory, that differs from SHA256SUMS; empty if none does."""
    from hashlib import sha256  # noqa: PLC0415 - as above

    sums: bytes = globals().get("SUMS", b"")
    lines = sums.decode("utf-8", "surrogateescape").split("\n")
    digests = {line[66:]: line[:64] for line in lines if line[66:].startswith(prefix)}
    for name in sorted({*digests, *contents}):
        if name not in contents or sha256(contents[name]).hexdigest() != digests.get(name):
            return name
    return ""


class _Modules:
    """Imports the modules of the payload from memory (a meta path finder and loader)."""

    def __init__(self, bundle: str, folder: str, contents: dict[str, bytes]) -> None:
        self._bundle, self._folder, self._contents = bundle, folder, contents

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the specification of a module; None if it is not one of these."""
        del path, target
        from importlib.machinery import ModuleSpec  # noqa: PLC0415 - as above

        place = self._folder + name.replace(".", "/")
        for file in (place + "/__init__.py", place + ".py"):
            if file in self._contents:
                where = os.path.join(self._bundle, file)
                spec = ModuleSpec(name, self, origin=where, is_package=file != place + ".py")  # type: ignore[arg-type]
                spec.has_location = True
                if spec.submodule_search_locations is not None:
                    spec.submodule_search_locations.append(os.path.dirname(where))
                return spec
        return None

    def get_data(self, path: str) -> bytes:
        """Return a file of the payload, for pkgutil. Raise OSError if there is none."""
        try:
            return self._contents[os.path.relpath(path, self._bundle)]
        except KeyError:
            raise FileNotFoundError(path) from None

    def create_module(self, spec: Any) -> None:
        """Leave it to Python."""

    def exec_module(self, module: Any) -> None:
        """Run the module: its bytecode, if that is for this Python."""
        from importlib.util import MAGIC_NUMBER  # noqa: PLC0415 - as above
        from marshal import loads  # noqa: PLC0415 - as above

        file = os.path.relpath(module.__spec__.origin, self._bundle)
        folder, base = os.path.split(file)
        compiled = "%s/__pycache__/%s.%s.pyc" % (folder, base[: -len(".py")], sys.implementation.cache_tag)
        code = self._contents.get(compiled, b"")
        if code[:4] == MAGIC_NUMBER:
            program = loads(code[16:])  # noqa: S302 - it was compared
        else:
            program = compile(self._contents[file], module.__spec__.origin, "exec", dont_inherit=True)
        exec(program, module.__dict__)  # noqa: S102 - as every loader


def _complain(program: str, what: str, hint: str, status: int) -> int:
    what = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in what)  # as the payload's cleaning.py
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, ("%s: %s\nhint: %s\n" % (program, what, hint)).encode("utf-8", "surrogateescape"))
    return status


def _leave(status: int) -> None:
    """End at once: shutting the interpreter down takes a fiftieth of the time of an installation."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is when its descriptor was closed
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    if _temporary:
        import shutil  # noqa: PLC0415 - few bundles bring an interpreter

        shutil.rmtree(_temporary, ignore_errors=True)  # this runs from there, and needs nothing more of it
    if status > _SIGNALLED:  # by the signal that interrupted it, as its sender expects
        import signal  # noqa: PLC0415 - few installations need it here

        signal.signal(status - _SIGNALLED, signal.SIG_DFL)
        os.kill(os.getpid(), status - _SIGNALLED)
    os._exit(status)


if __name__ == "__main__":
    try:
        _leave(_start())
    except KeyboardInterrupt:
        _leave(_INTERRUPTED)
